#pragma once

#include <string>
#include <vector>

#include "containerpilot/agent/plan.h"
#include "containerpilot/discovery/interfaces.h"

namespace containerpilot::agent {

// What -explain prints: the resolved plan. Tokens, passwords, variables with such names and values
// read from secret files appear as "***". Pure; any thread.

/// For people: what runs when, what is watched and measured, which address each service gets and
/// why.
std::string explain_text(const Plan& plan,
                         const std::vector<discovery::InterfaceAddress>& addresses);

/// The same as JSON, `indent` spaces per level and ending in a newline; -1: all in one line, with
/// none. Durations are strings ("1m30s").
std::string explain_json(const Plan& plan,
                         const std::vector<discovery::InterfaceAddress>& addresses, int indent = 2);

}  // namespace containerpilot::agent
