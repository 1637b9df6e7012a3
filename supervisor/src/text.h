#pragma once

#include <string>
#include <string_view>

#include "containerpilot/supervisor/event_bus.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot {

/// For people: "1m30s", "5s", "250ms", "0s".
std::string format_seconds(Duration duration);
/// "healthy of 'db'", "startup", "SIGHUP", "a start by hand".
std::string describe_event(const Event& event);
/// The last non-empty line of a text.
std::string last_line(std::string_view text);

}  // namespace containerpilot
