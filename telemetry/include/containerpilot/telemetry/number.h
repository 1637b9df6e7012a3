#pragma once

#include <string>
#include <string_view>

#include "containerpilot/supervisor/result.h"

namespace containerpilot::telemetry {

/// Parses a measured or pushed value: one number, blanks around it allowed. Decimal and hexadecimal
/// floats, exponents, "inf", "Infinity", "NaN" in any case; '_' between digits of a number with a
/// base prefix, and between decimal digits. Errors: kInvalid (empty, not a number, out of the range
/// of a double, more than one field). Pure; any thread; whatever the locale. Source:
/// ContainerPilot 2.7 and 3.8.0, Go's strconv.ParseFloat.
Result<double> parse_metric_value(std::string_view text);

/// Appends the shortest text that reads back as `value`; "NaN", "+Inf", "-Inf". Pure; whatever the
/// locale.
void append_number(std::string& out, double value);

}  // namespace containerpilot::telemetry
