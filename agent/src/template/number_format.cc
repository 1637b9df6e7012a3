#include "template/number_format.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace containerpilot::agent::tmpl {
namespace {

constexpr int kMantissaBits = 52;
constexpr int kExponentBias = 1023;
constexpr int kShortestExponentLimit =
    6;  // %v and %g switch to an exponent at 1e6, unlike C at 1e17

char upper_if(bool upper, char lower) {
  return upper ? static_cast<char>(lower - 'a' + 'A') : lower;
}

/// Significant decimal digits without trailing zeros; value = 0.DIGITS * 10^point.
struct Decimal {
  std::string digits;
  int point = 0;
};

/// Rounded to `count` digits, at least one; or the shortest.
Decimal to_decimal(double magnitude, std::optional<int> count) {
  std::string text(static_cast<std::size_t>(std::max(count.value_or(0), 0)) + 32, '\0');
  char* const end = text.data() + text.size();
  const auto format = std::chars_format::scientific;
  const auto written = count ? std::to_chars(text.data(), end, magnitude, format, *count - 1)
                             : std::to_chars(text.data(), end, magnitude, format);
  text.resize(static_cast<std::size_t>(written.ptr - text.data()));
  const std::size_t e = text.find('e');
  Decimal out;
  out.digits = text.substr(0, e);
  std::erase(out.digits, '.');
  out.digits.erase(out.digits.find_last_not_of('0') + 1);
  if (!out.digits.empty()) out.point = std::atoi(text.c_str() + e + 1) + 1;
  return out;
}

/// d.ddde±dd
std::string exponent_form(const Decimal& number, int fraction_digits, char e) {
  std::string out(1, number.digits.empty() ? '0' : number.digits[0]);
  if (fraction_digits > 0) {
    const auto wanted = static_cast<std::size_t>(fraction_digits);
    std::string fraction = number.digits.substr(std::min<std::size_t>(1, number.digits.size()));
    fraction.resize(wanted, '0');
    out += "." + fraction;
  }
  const int exponent = number.digits.empty() ? 0 : number.point - 1;
  out += e;
  out += exponent < 0 ? '-' : '+';
  if (std::abs(exponent) < 10) out += '0';
  return out + std::to_string(std::abs(exponent));
}

/// ddd.ddd
std::string plain_form(const Decimal& number, int fraction_digits) {
  const auto digit_at = [&](int i) {
    return i >= 0 && i < static_cast<int>(number.digits.size())
               ? number.digits[static_cast<std::size_t>(i)]
               : '0';
  };
  std::string out;
  for (int i = 0; i < number.point; ++i) out += digit_at(i);
  if (out.empty()) out = "0";
  if (fraction_digits > 0) out += '.';
  for (int i = 0; i < fraction_digits; ++i) out += digit_at(number.point + i);
  return out;
}

std::string general_form(double magnitude, char e, std::optional<int> precision) {
  if (precision) precision = std::max(*precision, 1);
  const Decimal number = to_decimal(magnitude, precision);
  const int digits = static_cast<int>(number.digits.size());
  int exponent_limit = precision.value_or(kShortestExponentLimit);
  if (precision && exponent_limit > digits && digits >= number.point) exponent_limit = digits;
  const int exponent = number.point - 1;
  if (exponent < -4 || exponent >= exponent_limit) {
    return exponent_form(number, std::max(digits - 1, 0), e);
  }
  return plain_form(number, std::max(digits - number.point, 0));
}

std::string fixed_form(double magnitude, std::optional<int> precision) {
  if (!precision) {
    const Decimal number = to_decimal(magnitude, std::nullopt);
    return plain_form(number, std::max(static_cast<int>(number.digits.size()) - number.point, 0));
  }
  std::string text(static_cast<std::size_t>(*precision) + 320,
                   '\0');  // 309 digits before the point
  const auto written = std::to_chars(text.data(), text.data() + text.size(), magnitude,
                                     std::chars_format::fixed, *precision);
  text.resize(static_cast<std::size_t>(written.ptr - text.data()));
  return text;
}

std::string scientific_form(double magnitude, char e, std::optional<int> precision) {
  if (precision) precision = *precision + 1;
  const Decimal number = to_decimal(magnitude, precision);
  const int shortest = std::max(static_cast<int>(number.digits.size()) - 1, 0);
  return exponent_form(number, precision ? *precision - 1 : shortest, e);
}

struct Binary {
  std::uint64_t mantissa = 0;  ///< value = mantissa * 2^(exponent - kMantissaBits)
  int exponent = 0;
};

Binary to_binary(double magnitude) {
  const auto bits = std::bit_cast<std::uint64_t>(magnitude);
  const std::uint64_t implicit_one = std::uint64_t{1} << kMantissaBits;
  Binary out{bits & (implicit_one - 1), static_cast<int>(bits >> kMantissaBits)};
  if (out.exponent == 0) {
    out.exponent = 1;  // subnormal: no implicit one
  } else {
    out.mantissa |= implicit_one;
  }
  out.exponent -= kExponentBias;
  return out;
}

/// 4503599627370496p-52
std::string binary_form(double magnitude) {
  const Binary number = to_binary(magnitude);
  const int exponent = number.exponent - kMantissaBits;
  return std::to_string(number.mantissa) + (exponent < 0 ? "p" : "p+") + std::to_string(exponent);
}

/// 0x1.8p+01
std::string hexadecimal_form(double magnitude, bool upper, std::optional<int> precision) {
  constexpr int kPoint = 60;  // the leading one is moved to this bit
  constexpr std::uint64_t kOne = std::uint64_t{1} << kPoint;
  constexpr int kAllDigits = kPoint / 4;
  Binary number = to_binary(magnitude);
  std::uint64_t bits = number.mantissa << (kPoint - kMantissaBits);
  if (bits == 0) number.exponent = 0;
  while (bits != 0 && (bits & kOne) == 0) {
    bits <<= 1;
    --number.exponent;
  }
  if (precision && *precision < kAllDigits) {
    const int shift = *precision * 4;
    const std::uint64_t rest = (bits << shift) & (kOne - 1);
    bits >>= kPoint - shift;
    if ((rest | (bits & 1)) > kOne / 2) ++bits;  // half to even
    bits <<= kPoint - shift;
    if ((bits & (kOne << 1)) != 0) {
      bits >>= 1;
      ++number.exponent;
    }
  }
  std::string out = {'0', upper_if(upper, 'x'), (bits & kOne) != 0 ? '1' : '0'};
  std::string fraction = format_unsigned(bits & (kOne - 1), 16, upper);
  fraction.insert(0, static_cast<std::size_t>(kAllDigits) - fraction.size(), '0');
  if (precision) {
    fraction.resize(static_cast<std::size_t>(*precision), '0');
  } else {
    fraction.erase(fraction.find_last_not_of('0') + 1);
  }
  if (!fraction.empty()) out += "." + fraction;
  out += upper_if(upper, 'p');
  out += number.exponent < 0 ? '-' : '+';
  if (std::abs(number.exponent) < 10) out += '0';
  return out + std::to_string(std::abs(number.exponent));
}

std::string format_magnitude(double magnitude, char verb, std::optional<int> precision) {
  switch (verb) {
    case 'b':
      return binary_form(magnitude);
    case 'e':
    case 'E':
      return scientific_form(magnitude, verb, precision);
    case 'f':
      return fixed_form(magnitude, precision);
    case 'x':
    case 'X':
      return hexadecimal_form(magnitude, verb == 'X', precision);
    default:
      return general_form(magnitude, upper_if(verb == 'G', 'e'), precision);
  }
}

}  // namespace

std::string format_float(double value, char verb, std::optional<int> precision) {
  std::string text = format_magnitude(std::fabs(value), verb, precision);
  if (std::signbit(value)) text.insert(0, 1, '-');
  return text;
}

std::string format_unsigned(std::uint64_t value, unsigned base, bool upper_case) {
  char digits[64];
  const auto written = std::to_chars(digits, digits + sizeof digits, value, static_cast<int>(base));
  std::string text(digits, written.ptr);
  if (upper_case) {
    for (char& c : text) c = c >= 'a' ? upper_if(true, c) : c;
  }
  return text;
}

}  // namespace containerpilot::agent::tmpl
