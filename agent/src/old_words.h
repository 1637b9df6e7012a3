#pragma once

#include <string>
#include <vector>

#include "containerpilot/agent/problem.h"

namespace containerpilot::agent {

/// What a program that looks for the errors of 3.8.0 may look for: where the loading ended, in its
/// words, then the first problem in ours. `rendered`: the template was rendered.
std::string in_old_words(const std::vector<Problem>& errors, bool rendered);

}  // namespace containerpilot::agent
