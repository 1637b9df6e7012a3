#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace containerpilot {

/// What happened. Names as ContainerPilot 3.x config and metrics spell them (event_code_name,
/// event_metric_name); those marked + are new.
enum class EventCode : std::uint8_t {
  kStartup,
  kShutdown,
  kExitSuccess,
  kExitFailed,
  kError,
  kHealthy,
  kUnhealthy,
  kChanged,
  kTimerExpired,
  kStopping,
  kStopped,
  kEnterMaintenance,
  kExitMaintenance,
  kSignal,
  kQuit,
  kReady,      // + once per start: notification, else the first passing check
  kAcquired,   // + lock
  kLost,       // + lock
  kRequested,  // + start, stop or restart by hand, of a job
  kReloaded,   // + the configuration, of "global"
};
inline constexpr std::array kAllEventCodes = {
    EventCode::kStartup,         EventCode::kShutdown, EventCode::kExitSuccess,
    EventCode::kExitFailed,      EventCode::kError,    EventCode::kHealthy,
    EventCode::kUnhealthy,       EventCode::kChanged,  EventCode::kTimerExpired,
    EventCode::kStopping,        EventCode::kStopped,  EventCode::kEnterMaintenance,
    EventCode::kExitMaintenance, EventCode::kSignal,   EventCode::kQuit,
    EventCode::kReady,           EventCode::kAcquired, EventCode::kLost,
    EventCode::kRequested,       EventCode::kReloaded};

/// As written in `when`: "exitSuccess", "healthy", "changed", … Pure.
std::string_view event_code_name(EventCode code);
/// As exported in containerpilot_events{code}: "ExitSuccess", "StatusHealthy", … Pure.
std::string_view event_metric_name(EventCode code);
/// Inverse of event_code_name, exact case, for what jobs may wait for: "SIGHUP" and "SIGUSR2" are
/// not codes but sources of kSignal, and nobody waits for what is done by hand or by a reload.
bool may_be_waited_for(EventCode code);
std::optional<EventCode> parse_event_code(std::string_view name);

/// Identifies one published event for the life of the process; 0 is "none".
using EventId = std::uint64_t;

/// Who an event is about: a job's name, "check.<job>", "watch.<name>", "global", "SIGHUP",
/// "lock.<name>".
struct EventKey {
  EventCode code = EventCode::kStartup;
  std::string source;
  friend bool operator==(const EventKey&, const EventKey&) = default;
};

}  // namespace containerpilot
