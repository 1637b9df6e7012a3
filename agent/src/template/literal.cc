#include "template/literal.h"

#include <clocale>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// A character of a quoted literal: a code point, or with \x and octal escapes a raw byte.
struct Char {
  char32_t value = 0;
  bool is_byte = false;
};

std::optional<char32_t> take_digits(std::string_view& text, std::size_t count, int base) {
  if (text.size() < count) return std::nullopt;
  char32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0 || digit >= base) return std::nullopt;
    value = value * static_cast<char32_t>(base) + static_cast<char32_t>(digit);
  }
  text.remove_prefix(count);
  return value;
}

std::optional<Char> take_code_point(std::string_view& text, std::size_t digits) {
  const auto value = take_digits(text, digits, 16);
  if (!value || !is_valid_rune(*value)) return std::nullopt;
  return Char{*value, false};
}

/// The next character of a literal in `quote`s, taken off `text`, which is not empty.
std::optional<Char> take_char(std::string_view& text, char quote) {
  if (text[0] == quote || text[0] == '\n') return std::nullopt;
  if (text[0] != '\\') {
    const Rune rune = decode_rune(text);
    text.remove_prefix(rune.size);
    return Char{rune.value, false};
  }
  text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  const char escape = text[0];
  if (escape >= '0' && escape <= '7') {
    const auto value = take_digits(text, 3, 8);
    if (!value || *value > 0xFF) return std::nullopt;
    return Char{*value, true};
  }
  text.remove_prefix(1);
  switch (escape) {
    case 'a':
      return Char{'\a'};
    case 'b':
      return Char{'\b'};
    case 'f':
      return Char{'\f'};
    case 'n':
      return Char{'\n'};
    case 'r':
      return Char{'\r'};
    case 't':
      return Char{'\t'};
    case 'v':
      return Char{'\v'};
    case '\\':
      return Char{'\\'};
    case 'x': {
      const auto value = take_digits(text, 2, 16);
      if (!value) return std::nullopt;
      return Char{*value, true};
    }
    case 'u':
      return take_code_point(text, 4);
    case 'U':
      return take_code_point(text, 8);
    default:
      if (escape != quote) return std::nullopt;
      return Char{static_cast<unsigned char>(escape)};
  }
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text;
}

/// 2, 8 or 16 for a number with a letter prefix (0b, 0o, 0x), else 10.
int letter_base(std::string_view digits) {
  if (digits.size() < 2 || digits[0] != '0') return 10;
  switch (lower(digits[1])) {
    case 'b':
      return 2;
    case 'o':
      return 8;
    case 'x':
      return 16;
    default:
      return 10;
  }
}

/// Underscores must stand between digits; a base prefix counts as a digit.
bool underscores_ok(std::string_view text) {
  text = without_sign(text);
  const int base = letter_base(text);
  bool after_digit = base != 10;
  bool after_underscore = false;
  for (const char c : text.substr(after_digit ? 2 : 0)) {
    const int digit = hex_value(c);
    if (c == '_') {
      if (!after_digit) return false;
      after_underscore = true;
      after_digit = false;
    } else if (digit >= 0 && (digit < 10 || base == 16)) {
      after_digit = true;
      after_underscore = false;
    } else {
      if (after_underscore) return false;
      after_digit = false;
    }
  }
  return !after_underscore;
}

std::string without_underscores(std::string_view text) {
  std::string plain(text);
  std::erase(plain, '_');
  return plain;
}

/// An unsigned integer with Go's base prefixes: 12, 0x1F, 0b1, 0o7 and 017. None when malformed;
/// kTooLarge beyond 64 bits.
std::variant<std::uint64_t, NumberError> parse_unsigned(std::string_view text) {
  if (!underscores_ok(text)) return NumberError::kSyntax;
  int base = letter_base(text);
  if (base != 10) {
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
    text.remove_prefix(1);
  }
  const std::string digits = without_underscores(text);
  if (digits.empty()) return NumberError::kSyntax;
  std::uint64_t value = 0;
  bool too_large = false;
  for (const char c : digits) {
    const int digit = hex_value(c);
    if (digit < 0 || digit >= base) return NumberError::kSyntax;
    const auto ubase = static_cast<std::uint64_t>(base);
    const auto udigit = static_cast<std::uint64_t>(digit);
    if (value > (std::numeric_limits<std::uint64_t>::max() - udigit) / ubase) too_large = true;
    value = value * ubase + udigit;
  }
  if (too_large) return NumberError::kTooLarge;
  return value;
}

/// True when strtod would read all of it and Go would, too.
bool is_float_syntax(std::string_view text) {
  if (!underscores_ok(text)) return false;
  const std::string plain = without_underscores(without_sign(text));
  std::string_view rest = plain;
  const bool hexadecimal = rest.size() > 2 && letter_base(rest) == 16;
  if (hexadecimal) rest.remove_prefix(2);
  bool digits = false;
  bool dot = false;
  while (!rest.empty()) {
    const int digit = hex_value(rest[0]);
    if (digit >= 0 && (digit < 10 || hexadecimal)) {
      digits = true;
    } else if (rest[0] == '.' && !dot) {
      dot = true;
    } else {
      break;
    }
    rest.remove_prefix(1);
  }
  if (!digits) return false;
  if (rest.empty()) return !hexadecimal;  // a hexadecimal float needs its exponent
  if (lower(rest[0]) != (hexadecimal ? 'p' : 'e')) return false;
  rest = without_sign(rest.substr(1));
  return !rest.empty() && rest.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<double> parse_float(std::string_view text) {
  if (!is_float_syntax(text)) return std::nullopt;
  // strtod rounds correctly and reads hexadecimal; from_chars cannot tell too small from too large.
  static const locale_t kCLocale = newlocale(LC_ALL_MASK, "C", nullptr);
  const double value = strtod_l(without_underscores(text).c_str(), nullptr, kCLocale);
  if (std::isinf(value)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Text> parse_string(std::string_view token) {
  const char quote = token[0];
  std::string_view body = token.substr(1, token.size() - 2);
  if (quote == '`') {
    if (body.find('\r') == std::string_view::npos) return Text::borrowed(body);
    std::string text(body);
    std::erase(text, '\r');
    return Text::owned(std::move(text));
  }
  if (body.find('\\') == std::string_view::npos && is_valid_utf8(body)) return Text::borrowed(body);
  std::string text;
  while (!body.empty()) {
    const auto c = take_char(body, quote);
    if (!c) return std::nullopt;
    if (c->is_byte) {
      text += static_cast<char>(c->value);
    } else {
      append_rune(text, c->value);
    }
  }
  return Text::owned(std::move(text));
}

std::optional<std::int64_t> parse_rune(std::string_view token) {
  std::string_view body = token.substr(1, token.size() - 2);
  if (body.empty()) return std::nullopt;
  const auto c = take_char(body, '\'');
  if (!c || !body.empty()) return std::nullopt;
  return static_cast<std::int64_t>(c->value);
}

std::variant<Value, NumberError> parse_number(std::string_view token) {
  if (token.ends_with('i')) {
    const auto imaginary = parse_float(token.substr(0, token.size() - 1));
    if (!imaginary) return NumberError::kSyntax;
    return std::complex<double>(0, *imaginary);
  }
  // How it is written decides between int and float; "-0x1E" counts as written with an exponent,
  // because only an unsigned 0x is recognised. Source: text/template, isHexInt.
  const bool hexadecimal = token.size() > 2 && letter_base(token) == 16;
  const bool looks_like_float = hexadecimal
                                    ? token.find_first_of("pP") != std::string_view::npos
                                    : token.find_first_of(".eEpP") != std::string_view::npos;
  const bool negative = token[0] == '-';
  const auto magnitude = parse_unsigned(without_sign(token));
  if (const auto* value = std::get_if<std::uint64_t>(&magnitude)) {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    const bool fits = *value <= kMax + (negative ? 1 : 0);
    // Only an unsigned literal may exceed int64 (and then fails when executed).
    if (!fits && without_sign(token).size() != token.size()) return NumberError::kTooLarge;
    if (!fits) return NumberError::kTooLargeForInt;
    const auto integer = static_cast<std::int64_t>(negative ? 0 - *value : *value);
    if (looks_like_float) return static_cast<double>(integer);
    return integer;
  }
  const auto value = parse_float(token);
  if (!value) return std::get<NumberError>(magnitude);
  if (token.find_first_of(".eEpP") == std::string_view::npos) return NumberError::kTooLarge;
  return *value;
}

std::variant<Value, NumberError> parse_complex(std::string_view token) {
  for (std::size_t i = 1; i < token.size(); ++i) {
    const bool sign = token[i] == '+' || token[i] == '-';
    if (!sign || lower(token[i - 1]) == 'e' || lower(token[i - 1]) == 'p') continue;
    const auto real = parse_float(token.substr(0, i));
    const auto imaginary = parse_float(token.substr(i, token.size() - i - 1));
    if (!real || !imaginary) break;
    return std::complex<double>(*real, *imaginary);
  }
  return NumberError::kSyntax;
}

}  // namespace containerpilot::agent::tmpl
