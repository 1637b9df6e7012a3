#pragma once

#include <string>
#include <string_view>

namespace containerpilot::telemetry {

/// Appends `text` as one gzip member to `out`, fast rather than small. False (and `out` as it was)
/// when there is no memory for it.
bool append_gzip(std::string_view text, std::string& out);

}  // namespace containerpilot::telemetry
