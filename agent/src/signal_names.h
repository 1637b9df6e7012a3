#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace containerpilot::agent {

/// "SIGTERM"; "signal 40" for those without a name.
std::string signal_name(int signo);
/// "SIGHUP", "HUP" in any case, or a number from 1 to 64. Pure.
std::optional<int> parse_signal(std::string_view text);

}  // namespace containerpilot::agent
