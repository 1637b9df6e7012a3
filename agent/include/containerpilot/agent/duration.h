#pragma once

#include <string>
#include <string_view>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::agent {

/// Parses a duration as users write it in config: an integer means seconds ("10", "-1", "007"),
/// anything else is a Go duration ("250ms", "1h30m", "-1.5s"; units ns us µs ms s m h). No spaces.
/// Exact nanoseconds over the whole range; smaller fractions are dropped. May be negative.
/// Errors: kInvalid, saying what is wrong and what is accepted. Pure; any thread.
/// Source: ContainerPilot 3.8.0 config/timing; Go time.ParseDuration.
Result<Duration> parse_duration(std::string_view text);

/// The Go form only, in which a number without a unit is an error (except "0").
Result<Duration> parse_go_duration(std::string_view text);

/// As Go prints it: "1h30m0s", "1.5s", "100ms", "0s". Pure.
std::string format_duration(Duration duration);

}  // namespace containerpilot::agent
