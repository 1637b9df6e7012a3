#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace containerpilot::test {

/// What is wrong with an OpenMetrics 1.0 text exposition, one line each; empty when it is good.
/// Written from the specification and spec/scaling.md section 3, apart from the renderer it judges.
/// Timestamps and exemplars, which are legal, count as wrong: the agent must not send them.
std::vector<std::string> openmetrics_problems(std::string_view text);

}  // namespace containerpilot::test
