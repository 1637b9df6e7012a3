#pragma once

#include <vector>

#include "config/tree.h"
#include "containerpilot/agent/plan.h"
#include "containerpilot/agent/problem.h"

namespace containerpilot::agent {

/// Where ours deliberately differs from the program this file was written for, key by key: the
/// entries of CHANGELOG.md's Compatibility section that touch a key the file uses. `accepted` says
/// how to keep the old behaviour.
std::vector<Problem> compatibility_notes(const Tree& tree, const Node& top, Generation generation);

/// Titles of all entries, for the test that CHANGELOG.md has them.
std::vector<std::string> compatibility_titles();

}  // namespace containerpilot::agent
