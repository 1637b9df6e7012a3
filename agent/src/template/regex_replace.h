#pragma once

#include <string>
#include <string_view>

#include "template/budget.h"

namespace containerpilot::agent::tmpl {

/// Go's regexp.MustCompile(expression).ReplaceAllString(text, replacement): leftmost-first, "$1",
/// "${name}" and "$$" in the replacement. Throws Failure for a bad expression.
std::string regex_replace_all(Budget& budget, std::string_view expression,
                              std::string_view replacement, std::string_view text);

}  // namespace containerpilot::agent::tmpl
