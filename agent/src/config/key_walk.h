#pragma once

#include <functional>
#include <string>

#include "config/tree.h"

namespace containerpilot::agent {

/// Calls `visit` for every value below `top` that is not null, in file order, with the pattern of
/// its path: in lower case, elements of lists as "[]", like "jobs[].health.interval".
void for_each_key(const Node& top,
                  const std::function<void(const std::string& pattern, const Node& node)>& visit);

}  // namespace containerpilot::agent
