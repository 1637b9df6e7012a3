#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace containerpilot::agent::tmpl {

/// A finite number as Go's strconv.FormatFloat(value, verb, precision, 64) spells it.
/// @param verb       one of b e E f g G x X
/// @param precision  none: the fewest digits that read back the same
std::string format_float(double value, char verb, std::optional<int> precision);

/// Digits in base 2, 8, 10 or 16.
std::string format_unsigned(std::uint64_t value, unsigned base, bool upper_case);

}  // namespace containerpilot::agent::tmpl
