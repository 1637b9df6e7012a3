#include "text.h"

#include <cstdio>

namespace containerpilot {

using namespace std::chrono_literals;

std::string format_seconds(Duration duration) {
  if (duration < 0s) return "-" + format_seconds(-duration);
  const double seconds = std::chrono::duration<double>(duration).count();
  char buffer[48];
  if (duration < 1s) {
    std::snprintf(
        buffer, sizeof buffer, "%lldms",
        static_cast<long long>(std::chrono::round<std::chrono::milliseconds>(duration).count()));
  } else if (duration < 1min) {
    std::snprintf(buffer, sizeof buffer, "%.3g", seconds);
    return std::string(buffer) + "s";
  } else {
    const auto whole = std::chrono::round<std::chrono::seconds>(duration).count();
    if (whole >= 3600) {
      std::snprintf(buffer, sizeof buffer, "%lldh%lldm", static_cast<long long>(whole / 3600),
                    static_cast<long long>(whole % 3600 / 60));
    } else {
      std::snprintf(buffer, sizeof buffer, "%lldm%llds", static_cast<long long>(whole / 60),
                    static_cast<long long>(whole % 60));
    }
  }
  return buffer;
}

std::string describe_event(const Event& event) {
  if (event.key.code == EventCode::kSignal) return event.key.source;
  if (event.key.code == EventCode::kRequested) return event.detail;
  if (event.key.code == EventCode::kReloaded) return "a reload";
  const std::string code(event_code_name(event.key.code));
  return event.key.source == "global" ? code : code + " of '" + event.key.source + "'";
}

std::string last_line(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const std::size_t newline = text.rfind('\n');
  return std::string(newline == text.npos ? text : text.substr(newline + 1));
}

}  // namespace containerpilot
