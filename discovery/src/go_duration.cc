#include "go_duration.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <utility>

namespace containerpilot::discovery {

namespace {
using namespace std::chrono_literals;

// Longer names first, so that "ms" is not read as "m".
constexpr std::array<std::pair<std::string_view, Duration>, 8> kUnits = {{{"ns", 1ns},
                                                                          {"us", 1us},
                                                                          {"\u00b5s", 1us},
                                                                          {"\u03bcs", 1us},
                                                                          {"ms", 1ms},
                                                                          {"s", 1s},
                                                                          {"m", 1min},
                                                                          {"h", 1h}}};
}  // namespace

std::optional<Duration> parse_go_duration(std::string_view text) {
  if (text == "0") return Duration{0};
  if (text.empty()) return std::nullopt;
  double total = 0;  // nanoseconds
  while (!text.empty()) {
    double number = 0;
    const char first = text.front();
    if (first != '.' && (first < '0' || first > '9')) return std::nullopt;  // no sign, no "inf"
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    bool known = false;
    for (const auto& [name, unit] : kUnits) {
      if (!text.starts_with(name)) continue;
      text.remove_prefix(name.size());
      total += number * static_cast<double>(unit.count());
      known = true;
      break;
    }
    if (!known) return std::nullopt;
  }
  if (total >= 9.2e18) return std::nullopt;
  return Duration(static_cast<std::int64_t>(std::llround(total)));
}

std::string to_go_duration(Duration duration) {
  if (duration % 1s == 0s) return std::to_string(duration / 1s) + "s";
  return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(duration).count()) + "ms";
}

}  // namespace containerpilot::discovery
