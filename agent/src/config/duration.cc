#include "containerpilot/agent/duration.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "config/problems.h"

namespace containerpilot::agent {

namespace {

constexpr std::uint64_t kMagnitudeLimit = std::uint64_t{1} << 63U;  // of the most negative int64

Error not_a_duration(std::string_view text, const std::string& why) {
  return {Errc::kInvalid, "'" + printable(text) + "' is not a duration: " + why +
                              "; durations look like \"250ms\", \"5s\" or \"1h30m\""};
}

struct Unit {
  std::string_view name;
  std::uint64_t nanoseconds;
};
constexpr std::array kUnits = {Unit{"ns", 1},
                               Unit{"us", 1'000},
                               Unit{"µs", 1'000},  // U+00B5
                               Unit{"μs", 1'000},  // U+03BC
                               Unit{"ms", 1'000'000},
                               Unit{"s", 1'000'000'000},
                               Unit{"m", 60'000'000'000},
                               Unit{"h", 3'600'000'000'000}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Digits at the front of `text`, taken off it; nullopt above 2^63.
std::optional<std::uint64_t> leading_integer(std::string_view& text) {
  std::uint64_t value = 0;
  while (!text.empty() && is_digit(text.front())) {
    const auto digit = static_cast<std::uint64_t>(text.front() - '0');
    if (value > kMagnitudeLimit / 10) return std::nullopt;
    value = value * 10 + digit;
    if (value > kMagnitudeLimit) return std::nullopt;
    text.remove_prefix(1);
  }
  return value;
}

struct Fraction {
  std::uint64_t digits = 0;
  double scale = 1;
};

/// Digits behind the point, taken off `text`. What does not fit is dropped, as in the original.
Fraction leading_fraction(std::string_view& text) {
  Fraction out;
  bool full = false;
  while (!text.empty() && is_digit(text.front())) {
    const auto digit = static_cast<std::uint64_t>(text.front() - '0');
    text.remove_prefix(1);
    if (full || out.digits > (kMagnitudeLimit - 1) / 10 ||
        out.digits * 10 + digit > kMagnitudeLimit) {
      full = true;
      continue;
    }
    out.digits = out.digits * 10 + digit;
    out.scale *= 10;
  }
  return out;
}

/// "1h", ".5s": one number with its unit, taken off `rest`.
Result<std::uint64_t> leading_part(std::string_view whole, std::string_view& rest) {
  const std::size_t before = rest.size();
  const std::optional<std::uint64_t> integer = leading_integer(rest);
  if (!integer) return not_a_duration(whole, "it is too long");
  bool any_digit = rest.size() != before;
  Fraction fraction;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    const std::size_t behind_point = rest.size();
    fraction = leading_fraction(rest);
    any_digit = any_digit || rest.size() != behind_point;
  }
  if (!any_digit) return not_a_duration(whole, "expected a number");
  std::size_t unit_size = 0;
  while (unit_size < rest.size() && rest[unit_size] != '.' && !is_digit(rest[unit_size]))
    ++unit_size;
  const std::string_view name = rest.substr(0, unit_size);
  if (name.empty()) return not_a_duration(whole, "a unit is missing (ns, us, ms, s, m or h)");
  const auto* unit =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == name; });
  if (unit == kUnits.end()) {
    return not_a_duration(whole, "'" + printable(name) + "' is not a unit (ns, us, ms, s, m or h)");
  }
  rest.remove_prefix(unit_size);
  if (*integer > kMagnitudeLimit / unit->nanoseconds)
    return not_a_duration(whole, "it is too long");
  const double part = static_cast<double>(fraction.digits) *
                      (static_cast<double>(unit->nanoseconds) / fraction.scale);
  const std::uint64_t value = *integer * unit->nanoseconds + static_cast<std::uint64_t>(part);
  if (value > kMagnitudeLimit) return not_a_duration(whole, "it is too long");
  return value;
}

}  // namespace

Result<Duration> parse_go_duration(std::string_view text) {
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest.front() == '-';
  if (negative || (!rest.empty() && rest.front() == '+')) rest.remove_prefix(1);
  if (rest == "0") return Duration{0};
  if (rest.empty()) return not_a_duration(text, "it is empty");
  std::uint64_t total = 0;
  while (!rest.empty()) {
    Result<std::uint64_t> part = leading_part(text, rest);
    if (!part) return std::move(part).error();
    total += part.value();
    if (total > kMagnitudeLimit) return not_a_duration(text, "it is too long");
  }
  if (negative) return Duration{static_cast<std::int64_t>(0 - total)};
  if (total == kMagnitudeLimit) return not_a_duration(text, "it is too long");
  return Duration{static_cast<std::int64_t>(total)};
}

Result<Duration> parse_duration(std::string_view text) {
  std::string_view digits = text;
  if (!digits.empty() && digits.front() == '+') digits.remove_prefix(1);
  if (digits.empty() || (digits.front() == '-' && digits.size() != text.size())) {
    return parse_go_duration(text);
  }
  std::int64_t seconds = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, code] = std::from_chars(digits.data(), end, seconds);
  if (stop != end || code == std::errc::invalid_argument) return parse_go_duration(text);
  constexpr std::int64_t kMostSeconds = std::numeric_limits<std::int64_t>::max() / 1'000'000'000;
  if (code != std::errc() || seconds > kMostSeconds || seconds < -kMostSeconds) {
    return not_a_duration(text, "it is too long");
  }
  return Duration{std::chrono::seconds(seconds)};
}

std::string format_duration(Duration duration) {
  const std::int64_t count = duration.count();
  if (count == 0) return "0s";
  const bool negative = count < 0;
  const std::uint64_t magnitude =
      negative ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  const auto with_fraction = [](std::uint64_t value, std::uint64_t unit) {
    std::string out = std::to_string(value / unit);
    std::string digits = std::to_string(unit + value % unit).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    return digits.empty() ? out : out + "." + digits;
  };
  std::string out;
  if (magnitude < 1'000) {
    out = std::to_string(magnitude) + "ns";
  } else if (magnitude < 1'000'000) {
    out = with_fraction(magnitude, 1'000) + "µs";
  } else if (magnitude < 1'000'000'000) {
    out = with_fraction(magnitude, 1'000'000) + "ms";
  } else {
    constexpr std::uint64_t kMinute = 60'000'000'000;
    const std::uint64_t minutes = magnitude / kMinute;
    if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
    if (minutes > 0) out += std::to_string(minutes % 60) + "m";
    out += with_fraction(magnitude % kMinute, 1'000'000'000) + "s";
  }
  return negative ? "-" + out : out;
}

}  // namespace containerpilot::agent
