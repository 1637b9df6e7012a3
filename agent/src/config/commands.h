#pragma once

#include <map>
#include <string>

#include "config/problems.h"
#include "config/tree.h"
#include "containerpilot/agent/plan.h"

namespace containerpilot::agent {

/// Warns of commands whose program is not there: not on `environment`'s PATH, or no executable
/// file. Commands with a `cwd` or `env` of their own are left alone. Looks at files, runs nothing.
void check_commands(Problems& problems, const Node& top, Generation generation,
                    const std::map<std::string, std::string, std::less<>>& environment);

}  // namespace containerpilot::agent
