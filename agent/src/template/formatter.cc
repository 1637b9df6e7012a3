#include "template/formatter.h"

#include <algorithm>
#include <string>

#include "template/number_format.h"
#include "template/quote.h"
#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

constexpr std::string_view kHexLower = "0123456789abcdef";
constexpr std::string_view kHexUpper = "0123456789ABCDEF";

}  // namespace

void Formatter::write(const Value& value, char32_t verb) {
  if (std::holds_alternative<Nil>(value)) {
    return verb == 'T' || verb == 'v' ? pad("<nil>") : write_bad_verb(value, verb);
  }
  if (verb == 'T') return pad(truncated(type_name(value)));
  // %p would be a memory address, %w is for Go's errors: neither means anything here.
  const bool scalar = !size_of(value) || std::holds_alternative<Text>(value);
  if (!scalar && (verb == 'p' || verb == 'w')) return write_bad_verb(value, verb);
  write_element(value, verb);
}

void Formatter::write_element(const Value& value, char32_t verb) {
  std::visit(
      Overload{[&](Nil) { pad("<nil>"); }, [&](bool v) { write_bool(v, verb); },
               [&](std::int64_t v) { write_integer(static_cast<std::uint64_t>(v), true, verb); },
               [&](std::uint8_t v) { write_integer(v, false, verb); },
               [&](double v) { write_float(v, verb); },
               [&](const std::complex<double>& v) { write_complex(v, verb); },
               [&](const Text& v) { write_text(v.view(), verb); },
               [&](const TextList& v) { write_list(v, verb); },
               [&](const IntList& v) { write_list(v, verb); },
               [&](const Variables* v) { write_map(*v, verb); }},
      value);
}

void Formatter::write_bool(bool value, char32_t verb) {
  if (verb != 't' && verb != 'v') return write_bad_verb(value, verb);
  pad(value ? "true" : "false");
}

void Formatter::write_integer(std::uint64_t bits, bool is_signed, char32_t verb) {
  switch (verb) {
    case 'v':
      if (directive_.go_syntax && !is_signed) {
        Formatter hexadecimal = *this;
        hexadecimal.directive_.sharp = true;
        return hexadecimal.write_digits(bits, false, 16, verb);
      }
      return write_digits(bits, is_signed, 10, verb);
    case 'd':
      return write_digits(bits, is_signed, 10, verb);
    case 'b':
      return write_digits(bits, is_signed, 2, verb);
    case 'o':
    case 'O':
      return write_digits(bits, is_signed, 8, verb);
    case 'x':
    case 'X':
      return write_digits(bits, is_signed, 16, verb);
    case 'c': {
      std::string rune;
      append_rune(rune, bits > kMaxRune ? kReplacementRune : static_cast<char32_t>(bits));
      return pad(rune);
    }
    case 'q':
      return pad(quote_rune(bits > kMaxRune ? kReplacementRune : static_cast<char32_t>(bits),
                            directive_.plus ? QuoteStyle::kAsciiOnly : QuoteStyle::kUnicode));
    case 'U':
      return write_code_point(bits);
    default:
      return write_bad_verb(is_signed ? Value(static_cast<std::int64_t>(bits))
                                      : Value(static_cast<std::uint8_t>(bits)),
                            verb);
  }
}

void Formatter::write_digits(std::uint64_t bits, bool is_signed, unsigned base, char32_t verb) {
  const bool negative = is_signed && static_cast<std::int64_t>(bits) < 0;
  const std::uint64_t magnitude = negative ? 0 - bits : bits;
  // A precision and a zero-padded width both ask for leading zeros; the precision wins.
  int digits = 0;
  if (directive_.precision) {
    digits = *directive_.precision;
    if (digits == 0 && magnitude == 0) return pad_with_spaces("");
  } else if (directive_.zero && directive_.width) {
    digits = *directive_.width;
    if (negative || directive_.plus || directive_.space) --digits;
  }
  std::string text = format_unsigned(magnitude, base, verb == 'X');
  const auto wanted = static_cast<std::size_t>(std::max(digits, 0));
  if (text.size() < wanted) text.insert(0, wanted - text.size(), '0');
  if (directive_.sharp) {
    if (base == 2) text.insert(0, "0b");
    if (base == 8 && text[0] != '0') text.insert(0, "0");
    if (base == 16) text.insert(0, verb == 'X' ? "0X" : "0x");
  }
  if (verb == 'O') text.insert(0, "0o");
  if (negative) {
    text.insert(0, "-");
  } else if (directive_.plus) {
    text.insert(0, "+");
  } else if (directive_.space) {
    text.insert(0, " ");
  }
  pad_with_spaces(text);
}

// U+0078, or with "#" also the character: U+0078 'x'.
void Formatter::write_code_point(std::uint64_t bits) {
  std::string text = format_unsigned(bits, 16, true);
  const auto digits = static_cast<std::size_t>(std::max(directive_.precision.value_or(0), 4));
  if (text.size() < digits) text.insert(0, digits - text.size(), '0');
  text.insert(0, "U+");
  if (directive_.sharp && bits <= kMaxRune && is_printable(static_cast<char32_t>(bits))) {
    text += " '";
    append_rune(text, static_cast<char32_t>(bits));
    text += '\'';
  }
  pad_with_spaces(text);
}

void Formatter::write_float(double value, char32_t verb) {
  switch (verb) {
    case 'v':
      return write_number(value, 'g', std::nullopt);
    case 'b':
    case 'g':
    case 'G':
    case 'x':
    case 'X':
      return write_number(value, static_cast<char>(verb), std::nullopt);
    case 'f':
    case 'e':
    case 'E':
      return write_number(value, static_cast<char>(verb), 6);
    case 'F':
      return write_number(value, 'f', 6);
    default:
      return write_bad_verb(value, verb);
  }
}

namespace {

// "#" keeps the decimal point and, for %g and %x, the zeros that its precision asks for.
std::string with_all_digits(const std::string& number, char verb, std::optional<int> precision) {
  const bool hexadecimal = verb == 'x' || verb == 'X';
  const std::size_t exponent = number.find_first_of(hexadecimal ? "pP" : "eE");
  std::string mantissa = number.substr(0, exponent);
  int missing = verb == 'g' || verb == 'G' || verb == 'x' ? precision.value_or(6) : 0;
  bool significant = false;
  for (const char c : mantissa) {
    if (c == '.') continue;
    significant = significant || c != '0';
    if (significant) --missing;
  }
  if (mantissa.find('.') == std::string::npos) {
    if (mantissa == "0") --missing;
    mantissa += '.';
  }
  mantissa.append(static_cast<std::size_t>(std::max(missing, 0)), '0');
  return exponent == std::string::npos ? mantissa : mantissa + number.substr(exponent);
}

}  // namespace

void Formatter::write_number(double value, char verb, std::optional<int> default_precision) {
  const auto precision = directive_.precision ? directive_.precision : default_precision;
  std::string number = format_float(value, verb, precision);
  char sign = '+';
  if (number[0] == '-') {
    sign = '-';
    number.erase(0, 1);
  } else if (directive_.space && !directive_.plus) {
    sign = ' ';
  }
  if (directive_.sharp && verb != 'b') number = with_all_digits(number, verb, precision);
  if (sign == '+' && !directive_.plus) return pad(number);
  const std::size_t width = static_cast<std::size_t>(directive_.width.value_or(0));
  if (directive_.zero && width > number.size() + 1) {
    out_.append({&sign, 1});
    write_padding(number.size() + 1);
    return out_.append(number);
  }
  pad(sign + number);
}

void Formatter::write_complex(const std::complex<double>& value, char32_t verb) {
  constexpr std::u32string_view kVerbs = U"vbgGxXfFeE";
  if (kVerbs.find(verb) == std::u32string_view::npos) return write_bad_verb(value, verb);
  out_.append("(");
  write_float(value.real(), verb);
  Formatter imaginary = *this;
  imaginary.directive_.plus = true;
  imaginary.write_float(value.imag(), verb);
  out_.append("i)");
}

void Formatter::write_text(std::string_view value, char32_t verb) {
  switch (verb) {
    case 'v':
      if (!directive_.go_syntax) return pad(truncated(value));
      [[fallthrough]];
    case 'q': {
      const std::string_view text = truncated(value);
      if (directive_.sharp && can_backquote(text)) return pad("`" + std::string(text) + "`");
      return pad(quote(text, directive_.plus ? QuoteStyle::kAsciiOnly : QuoteStyle::kUnicode));
    }
    case 's':
      return pad(truncated(value));
    case 'x':
    case 'X':
      return write_hex_text(value, verb == 'X');
    default:
      return write_bad_verb(Text::borrowed(value), verb);
  }
}

void Formatter::write_hex_text(std::string_view value, bool upper_case) {
  const std::string_view digits = upper_case ? kHexUpper : kHexLower;
  const std::string_view prefix = upper_case ? "0X" : "0x";
  if (directive_.precision)
    value = value.substr(0, static_cast<std::size_t>(*directive_.precision));
  if (value.empty()) return write_padding(0);
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (directive_.space && i > 0) text += ' ';
    if (directive_.sharp && (i == 0 || directive_.space)) text += prefix;
    const auto byte = static_cast<unsigned char>(value[i]);
    text += digits[byte >> 4];
    text += digits[byte & 0xF];
  }
  pad(text);
}

template <class List>
void Formatter::write_list(const List& list, char32_t verb) {
  if (directive_.go_syntax) out_.append(type_name(list));
  out_.append(directive_.go_syntax ? "{" : "[");
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out_.append(directive_.go_syntax ? ", " : " ");
    write_element(list.at(i), verb);
  }
  out_.append(directive_.go_syntax ? "}" : "]");
}

void Formatter::write_map(const Variables& map, char32_t verb) {
  out_.append(directive_.go_syntax ? type_name(&map) : "map");
  out_.append(directive_.go_syntax ? "{" : "[");
  bool first = true;
  for (const auto& [key, value] : map) {
    if (!std::exchange(first, false)) out_.append(directive_.go_syntax ? ", " : " ");
    write_text(key, verb);
    out_.append(":");
    write_text(value, verb);
  }
  out_.append(directive_.go_syntax ? "}" : "]");
}

void Formatter::write_bad_verb(const Value& value, char32_t verb) {
  std::string marker = "%!";
  append_rune(marker, verb);
  out_.append(marker);
  out_.append("(");
  if (std::holds_alternative<Nil>(value)) {
    out_.append("<nil>");
  } else {
    out_.append(type_name(value));
    out_.append("=");
    write_element(value, 'v');
  }
  out_.append(")");
}

/// The first `precision` characters.
std::string_view Formatter::truncated(std::string_view text) const {
  if (!directive_.precision) return text;
  std::string_view rest = text;
  for (int left = *directive_.precision; left > 0 && !rest.empty(); --left) {
    rest.remove_prefix(decode_rune(rest).size);
  }
  return text.substr(0, text.size() - rest.size());
}

void Formatter::pad(std::string_view text) {
  if (!directive_.width) return out_.append(text);
  const std::size_t used = count_runes(text);
  if (!directive_.minus) write_padding(used);
  out_.append(text);
  if (directive_.minus) write_padding(used);
}

void Formatter::pad_with_spaces(std::string_view text) {
  const bool zero = std::exchange(directive_.zero, false);
  pad(text);
  directive_.zero = zero;
}

void Formatter::write_padding(std::size_t used) {
  const auto width = static_cast<std::size_t>(directive_.width.value_or(0));
  if (width > used) out_.append(width - used, directive_.zero ? '0' : ' ');
}

void print_value(Buffer& out, const Value& value) {
  if (std::holds_alternative<Nil>(value)) return out.append("<no value>");
  Formatter(out).write(value, 'v');
}

void print(Buffer& out, std::span<const Value> values) {
  bool after_text = true;
  for (const Value& value : values) {
    const bool is_text = std::holds_alternative<Text>(value);
    if (!is_text && !after_text) out.append(" ");
    Formatter(out).write(value, 'v');
    after_text = is_text;
  }
}

void println(Buffer& out, std::span<const Value> values) {
  for (const Value& value : values) {
    if (&value != values.data()) out.append(" ");
    Formatter(out).write(value, 'v');
  }
  out.append("\n");
}

}  // namespace containerpilot::agent::tmpl
