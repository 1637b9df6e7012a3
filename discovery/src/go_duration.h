#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// A duration as Consul's API spells it (Go's time.ParseDuration): "10s", "1h30m", "1.5s", "250ms",
/// "0". nullopt for anything else and for what does not fit. Pure.
std::optional<Duration> parse_go_duration(std::string_view text);

/// The shortest form Consul accepts: whole seconds as "5s", else milliseconds (rounded up)
/// "1500ms". Pure.
std::string to_go_duration(Duration duration);

}  // namespace containerpilot::discovery
