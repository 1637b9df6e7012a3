#include "containerpilot/supervisor/event.h"

namespace containerpilot {

namespace {
struct Names {
  std::string_view config;
  std::string_view metric;
};

Names names_of(EventCode code) {
  switch (code) {
    case EventCode::kStartup:
      return {"startup", "Startup"};
    case EventCode::kShutdown:
      return {"shutdown", "Shutdown"};
    case EventCode::kExitSuccess:
      return {"exitSuccess", "ExitSuccess"};
    case EventCode::kExitFailed:
      return {"exitFailed", "ExitFailed"};
    case EventCode::kError:
      return {"error", "Error"};
    case EventCode::kHealthy:
      return {"healthy", "StatusHealthy"};
    case EventCode::kUnhealthy:
      return {"unhealthy", "StatusUnhealthy"};
    case EventCode::kChanged:
      return {"changed", "StatusChanged"};
    case EventCode::kTimerExpired:
      return {"timerExpired", "TimerExpired"};
    case EventCode::kStopping:
      return {"stopping", "Stopping"};
    case EventCode::kStopped:
      return {"stopped", "Stopped"};
    case EventCode::kEnterMaintenance:
      return {"enterMaintenance", "EnterMaintenance"};
    case EventCode::kExitMaintenance:
      return {"exitMaintenance", "ExitMaintenance"};
    case EventCode::kSignal:
      return {"signal", "Signal"};
    case EventCode::kQuit:
      return {"quit", "Quit"};
    case EventCode::kReady:
      return {"ready", "Ready"};
    case EventCode::kAcquired:
      return {"acquired", "Acquired"};
    case EventCode::kLost:
      return {"lost", "Lost"};
    case EventCode::kRequested:
      return {"requested", "Requested"};
    case EventCode::kReloaded:
      return {"reloaded", "Reloaded"};
  }
  return {};
}
}  // namespace

std::string_view event_code_name(EventCode code) { return names_of(code).config; }
std::string_view event_metric_name(EventCode code) { return names_of(code).metric; }

bool may_be_waited_for(EventCode code) {
  return code != EventCode::kSignal && code != EventCode::kRequested &&
         code != EventCode::kReloaded;
}

std::optional<EventCode> parse_event_code(std::string_view name) {
  for (const EventCode code : kAllEventCodes) {
    if (event_code_name(code) == name && may_be_waited_for(code)) return code;
  }
  return std::nullopt;
}

}  // namespace containerpilot
