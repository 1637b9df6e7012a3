#include "containerpilot/telemetry/number.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

namespace containerpilot::telemetry {
namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";
constexpr std::size_t kQuotedMax = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_hex(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }

bool equals_lower(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

Error not_a_number(std::string_view text) {
  std::string shown(text.substr(0, kQuotedMax));
  if (text.size() > kQuotedMax) shown += "…";
  return {Errc::kInvalid, "cannot read '" + shown + "' as a value: one number is expected"};
}

/// Drops the underscores if each stands between two digits (or after the base prefix).
bool strip_underscores(std::string_view digits, bool hex, std::string& out) {
  out.reserve(digits.size());
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const char c = digits[i];
    if (c != '_') {
      out += c;
      continue;
    }
    const bool after = i > 0 ? (hex ? is_hex(digits[i - 1]) : is_digit(digits[i - 1])) : hex;
    const bool before =
        i + 1 < digits.size() && (hex ? is_hex(digits[i + 1]) : is_digit(digits[i + 1]));
    if (!after || !before) return false;
  }
  return true;
}

/// Tells too large from too small, which from_chars does not: where the first digit that counts
/// stands.
bool above_one(std::string_view number, bool hex) {
  const auto marker = number.find_first_of(hex ? "pP" : "eE");
  const std::string_view mantissa = number.substr(0, marker);
  const auto point = std::min(mantissa.find('.'), mantissa.size());
  const auto first = mantissa.find_first_not_of("0.");
  auto magnitude =
      static_cast<long long>(point) - static_cast<long long>(std::min(first, mantissa.size()));
  if (hex) magnitude *= 4;
  if (marker == std::string_view::npos) return magnitude > 0;
  std::string_view exponent = number.substr(marker + 1);
  if (!exponent.empty() && exponent.front() == '+') exponent.remove_prefix(1);
  long long shift = 0;
  const auto [end, ec] = std::from_chars(exponent.data(), exponent.data() + exponent.size(), shift);
  if (ec == std::errc::result_out_of_range) return exponent.front() != '-';
  return shift + magnitude > 0;
}

}  // namespace

Result<double> parse_metric_value(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return not_a_number("");
  text = text.substr(first, text.find_last_not_of(kBlanks) - first + 1);

  std::string_view rest = text;
  const bool negative = rest.front() == '-';
  if (negative || rest.front() == '+') rest.remove_prefix(1);
  const double sign = negative ? -1.0 : 1.0;
  if (equals_lower(rest, "inf") || equals_lower(rest, "infinity")) {
    return sign * std::numeric_limits<double>::infinity();
  }
  if (equals_lower(text, "nan")) return std::numeric_limits<double>::quiet_NaN();

  const bool hex = rest.size() > 2 && rest[0] == '0' && lower(rest[1]) == 'x';
  if (hex) rest.remove_prefix(2);
  // from_chars takes neither of these at the front, but would take "inf" and "-".
  if (rest.empty() || !(hex ? is_hex(rest[0]) || rest[0] == '.' || rest[0] == '_'
                            : is_digit(rest[0]) || rest[0] == '.')) {
    return not_a_number(text);
  }
  std::string digits;
  if (rest.find('_') != std::string_view::npos) {
    if (!strip_underscores(rest, hex, digits)) return not_a_number(text);
    rest = digits;
  }
  // A hexadecimal float needs its binary exponent: "0x10" is refused, "0x10p0" is 16.
  if (hex && rest.find_first_of("pP") == std::string_view::npos) return not_a_number(text);

  double value = 0;
  const char* const end = rest.data() + rest.size();
  const auto [ptr, ec] = std::from_chars(rest.data(), end, value,
                                         hex ? std::chars_format::hex : std::chars_format::general);
  if (ptr != end || ec == std::errc::invalid_argument) return not_a_number(text);
  if (ec == std::errc::result_out_of_range) {
    if (above_one(rest, hex)) {
      return Error(Errc::kInvalid, "cannot read '" + std::string(text.substr(0, kQuotedMax)) +
                                       "' as a value: too large for a double");
    }
    value = 0;
  }
  return sign * value;
}

void append_number(std::string& out, double value) {
  constexpr double kExactIntegers = 1e15;
  std::array<char, 32> buffer;
  std::to_chars_result result{};
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  if (std::fabs(value) < kExactIntegers && value == std::trunc(value)) {
    result =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), static_cast<long long>(value));
  } else {
    result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  }
  out.append(buffer.data(), result.ptr);
}

}  // namespace containerpilot::telemetry
