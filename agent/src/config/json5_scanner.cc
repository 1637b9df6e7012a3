#include "config/json5_scanner.h"

#include <re2/re2.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "config/problems.h"
#include "template/utf8.h"

namespace containerpilot::agent {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_line_end(char32_t c) { return c == '\n' || c == '\r' || c == 0x2028 || c == 0x2029; }

bool is_space(char32_t c) {
  return (c >= '\t' && c <= '\r') || c == 0x2028 || c == 0x2029 || c == 0xFEFF ||
         tmpl::is_space_separator(c);
}

/// ECMAScript 5.1 IdentifierName, which JSON5 takes bare keys from.
bool is_identifier(std::string_view name) {
  static const RE2 pattern(
      R"([\p{L}\p{Nl}$_][\p{L}\p{Nl}$_\p{Mn}\p{Mc}\p{Nd}\p{Pc}\x{200C}\x{200D}]*)");
  return RE2::FullMatch(re2::StringPiece(name.data(), name.size()), pattern);
}

bool is_ascii_identifier_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '$';
}

// What people of other languages and editors write, and what would be right.
std::string slip(char32_t c) {
  switch (c) {
    case '#':
      return " (comments are '// …' or '/* … */')";
    case 0x2018:
    case 0x2019:
    case 0x201C:
    case 0x201D:
    case 0x201E:
      return " (a typographic quote; strings are in \" or ')";
    default:
      return "";
  }
}
std::string slip(std::string_view word) {
  for (const auto& [wrong, right] :
       {std::pair("True", "true"), std::pair("TRUE", "true"), std::pair("False", "false"),
        std::pair("FALSE", "false"), std::pair("None", "null"), std::pair("nil", "null"),
        std::pair("undefined", "null")}) {
    if (word == wrong) return std::string(", did you mean '") + right + "'?";
  }
  return "";
}

}  // namespace

Json5Scanner::Json5Scanner(Tree& tree, std::uint16_t source, LineSeparator separator)
    : tree_(tree), source_(tree.source(source)), text_(source_.text), separator_(separator) {}

bool Json5Scanner::skip_space() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '/') {
      if (!comment()) return false;
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x80) {
      if (!is_space(static_cast<char32_t>(c))) return true;
      ++at_;
      continue;
    }
    const tmpl::Rune next = tmpl::decode_rune(std::string_view(text_).substr(at_));
    if (!next.valid || !is_space(next.value)) return true;
    source_.beyond_json = true;
    at_ += next.size;
  }
  return true;
}

bool Json5Scanner::comment() {
  source_.beyond_json = true;
  const std::size_t start = at_;
  const char kind = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  if (kind == '*') {
    const std::size_t end = text_.find("*/", at_ + 2);
    if (end == std::string::npos) return refuse("the comment that begins here has no '*/'");
    at_ = end + 2;
    return true;
  }
  if (kind != '/') return refuse("a lone '/': comments are '// …' or '/* … */'");
  at_ = start + 2;
  while (at_ < text_.size()) {
    const tmpl::Rune next = tmpl::decode_rune(std::string_view(text_).substr(at_));
    if (next.value == 0x2028 || next.value == 0x2029) {
      separator_in_comment_ = true;
      if (separator_ == LineSeparator::kLineEnd) break;
    } else if (is_line_end(next.value)) {
      break;
    }
    at_ += next.size;
  }
  return true;
}

std::optional<std::string_view> Json5Scanner::key() {
  const char c = peek();
  if (c == '"' || c == '\'') return string();
  source_.beyond_json = true;
  const std::uint32_t start = here();
  std::string decoded;
  bool plain = true;
  while (at_ < text_.size()) {
    const char k = text_[at_];
    if (is_ascii_identifier_char(k)) {
      decoded += k;
      ++at_;
    } else if (k == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == 'u') {
      plain = false;
      at_ += 2;
      const std::optional<char32_t> unit = hex4();
      if (!unit) return std::nullopt;
      tmpl::append_rune(decoded, *unit);
    } else if (static_cast<unsigned char>(k) >= 0x80) {
      const tmpl::Rune next = tmpl::decode_rune(std::string_view(text_).substr(at_));
      if (is_space(next.value)) break;
      if (!next.valid) {
        refuse("a bare key holds bytes that are not UTF-8");
        return std::nullopt;
      }
      plain = false;
      decoded.append(text_, at_, next.size);
      at_ += next.size;
    } else {
      break;
    }
  }
  if (decoded.empty()) {
    refuse("expected a key or '}', found " + found_here());
    return std::nullopt;
  }
  const bool good = plain ? !is_digit(decoded.front()) : is_identifier(decoded);
  if (!good) {
    at_ = start;
    refuse("'" + decoded + "' cannot be a key without quotes");
    return std::nullopt;
  }
  if (plain) return std::string_view(text_).substr(start, at_ - start);
  return tree_.keep(std::move(decoded));
}

std::optional<std::string_view> Json5Scanner::string() {
  const char quote = text_[at_];
  if (quote == '\'') source_.beyond_json = true;
  const std::size_t open = at_++;
  // Most strings are a piece of the source; the copy begins at the first escape or broken byte.
  std::string decoded;
  std::size_t plain_from = at_;
  bool copied = false;
  const auto flush = [&] {
    decoded.append(text_, plain_from, at_ - plain_from);
    copied = true;
  };
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == quote) {
      if (!copied) return std::string_view(text_).substr(plain_from, at_++ - plain_from);
      flush();
      ++at_;
      return tree_.keep(std::move(decoded));
    }
    if (c == '\n' || c == '\r') break;
    if (c == '\\') {
      flush();
      if (!escape(decoded)) return std::nullopt;
      plain_from = at_;
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      const tmpl::Rune next = tmpl::decode_rune(std::string_view(text_).substr(at_));
      if (!next.valid) {
        flush();
        tmpl::append_rune(decoded, tmpl::kReplacementRune);
        plain_from = at_ + next.size;
      }
      at_ += next.size;
    } else {
      if (static_cast<unsigned char>(c) < 0x20) source_.beyond_json = true;
      ++at_;
    }
  }
  at_ = open;
  refuse(std::string("the string that begins here has no closing ") + quote + " on its line");
  return std::nullopt;
}

/// `at_` is on the backslash; leaves it behind the escape.
bool Json5Scanner::escape(std::string& out) {
  const std::size_t start = at_++;
  if (at_ >= text_.size()) return refuse("the text ends inside a string");
  const char c = text_[at_];
  if (c == 'u') {
    ++at_;
    return unicode_escape(out);
  }
  if (c == 'x') {
    const int high = at_ + 1 < text_.size() ? hex_digit(text_[at_ + 1]) : -1;
    const int low = at_ + 2 < text_.size() ? hex_digit(text_[at_ + 2]) : -1;
    if (high < 0 || low < 0) return refuse("\\x wants two hexadecimal digits");
    tmpl::append_rune(out, static_cast<char32_t>(high * 16 + low));
    at_ += 3;
    source_.beyond_json = true;
    return true;
  }
  if (is_digit(c)) {
    const bool null = c == '0' && (at_ + 1 >= text_.size() || !is_digit(text_[at_ + 1]));
    at_ = null ? at_ + 1 : start;
    if (!null) return refuse("an escape cannot be a digit (only \\0)");
    out += '\0';
    source_.beyond_json = true;
    return true;
  }
  const tmpl::Rune next = tmpl::decode_rune(std::string_view(text_).substr(at_));
  at_ += next.size;
  if (is_line_end(next.value)) {  // a continued line
    source_.beyond_json = true;
    if (c == '\r' && peek() == '\n') ++at_;
    return true;
  }
  switch (c) {
    case 'b':
      out += '\b';
      break;
    case 'f':
      out += '\f';
      break;
    case 'n':
      out += '\n';
      break;
    case 'r':
      out += '\r';
      break;
    case 't':
      out += '\t';
      break;
    case 'v':
      out += '\v';
      break;
    default:
      tmpl::append_rune(out, next.valid ? next.value : tmpl::kReplacementRune);
  }
  if (std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) source_.beyond_json = true;
  return true;
}

/// Behind "\u"; joins surrogate pairs, and replaces lone halves.
bool Json5Scanner::unicode_escape(std::string& out) {
  const std::optional<char32_t> unit = hex4();
  if (!unit) return false;
  char32_t code = *unit;
  if (code >= 0xD800 && code <= 0xDFFF) {
    const std::size_t before_second = at_;
    code = tmpl::kReplacementRune;
    if (*unit < 0xDC00 && text_.compare(at_, 2, "\\u") == 0) {
      at_ += 2;
      const std::optional<char32_t> second = hex4();
      if (!second) return false;
      if (*second >= 0xDC00 && *second <= 0xDFFF) {
        code = 0x10000 + ((*unit - 0xD800) << 10U) + (*second - 0xDC00);
      } else {
        at_ = before_second;
      }
    }
  }
  tmpl::append_rune(out, code);
  return true;
}

std::optional<char32_t> Json5Scanner::hex4() {
  char32_t code = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const int digit = at_ + i < text_.size() ? hex_digit(text_[at_ + i]) : -1;
    if (digit < 0) {
      refuse("\\u wants four hexadecimal digits");
      return std::nullopt;
    }
    code = code * 16 + static_cast<char32_t>(digit);
  }
  at_ += 4;
  return code;
}

bool Json5Scanner::literal(Node& node) {
  if (source_.has_unset && is_at(kUnset)) {
    while (is_at(kUnset)) at_ += kUnset.size();
    node.unset = true;
    return true;
  }
  const std::size_t start = at_;
  std::size_t end = at_;
  while (end < text_.size() && is_ascii_identifier_char(text_[end])) ++end;
  const std::string_view word = std::string_view(text_).substr(start, end - start);
  if (word == "null") {
    node.kind = Node::Kind::kNull;
  } else if (word == "true" || word == "false") {
    node.kind = Node::Kind::kBool;
    node.boolean = word == "true";
  } else {
    return false;
  }
  at_ = end;
  return true;
}

bool Json5Scanner::number(Node& node) {
  const std::size_t start = at_;
  bool negative = false;
  if (peek() == '+' || peek() == '-') {
    negative = peek() == '-';
    if (!negative) source_.beyond_json = true;
    ++at_;
  }
  std::optional<double> magnitude = special_number();
  if (!magnitude) magnitude = hex_number();
  if (!magnitude && !error_) magnitude = decimal_number();
  if (!magnitude) {
    if (!error_) at_ = start;
    return false;
  }
  if (at_ < text_.size() && (is_ascii_identifier_char(text_[at_]) || text_[at_] == '.')) {
    at_ = start;
    return refuse("'" + word_at(start) + "' is not a number");
  }
  node.kind = Node::Kind::kNumber;
  node.number = negative ? -*magnitude : *magnitude;
  node.text = std::string_view(text_).substr(start, at_ - start);
  return true;
}

std::optional<double> Json5Scanner::special_number() {
  const std::string_view rest = std::string_view(text_).substr(at_);
  for (const auto& [name, number] : {std::pair<std::string_view, double>("Infinity", HUGE_VAL),
                                     std::pair<std::string_view, double>("NaN", NAN)}) {
    if (rest.substr(0, name.size()) != name) continue;
    at_ += name.size();
    source_.beyond_json = true;
    return number;
  }
  return std::nullopt;
}

std::optional<double> Json5Scanner::hex_number() {
  if (peek() != '0' || at_ + 1 >= text_.size() || (text_[at_ + 1] | 0x20) != 'x')
    return std::nullopt;
  const std::size_t start = at_;
  at_ += 2;
  source_.beyond_json = true;
  const char* from = text_.data() + at_;
  while (at_ < text_.size() && hex_digit(text_[at_]) >= 0) ++at_;
  double number = 0;
  const auto [end, code] =
      std::from_chars(from, text_.data() + at_, number, std::chars_format::hex);
  if (code == std::errc::result_out_of_range) return HUGE_VAL;
  if (code != std::errc() || end != text_.data() + at_) {
    at_ = start;
    refuse("'" + word_at(start) + "' is not a hexadecimal number");
    return std::nullopt;
  }
  return number;
}

std::optional<double> Json5Scanner::decimal_number() {
  const std::size_t start = at_;
  const std::size_t whole = digits();
  std::size_t fraction = 0;
  if (whole > 1 && text_[start] == '0') {
    at_ = start;
    refuse("a number cannot begin with a zero: '" + word_at(start) + "'");
    return std::nullopt;
  }
  if (peek() == '.') {
    ++at_;
    fraction = digits();
    if (whole == 0 || fraction == 0) source_.beyond_json = true;
  }
  if (whole + fraction == 0) return std::nullopt;
  long exponent = 0;
  if ((peek() | 0x20) == 'e') {
    ++at_;
    const bool minus = peek() == '-';
    if (minus || peek() == '+') ++at_;
    const std::size_t from = at_;
    if (digits() == 0) {
      at_ = start;
      refuse("'" + word_at(start) + "' has an empty exponent");
      return std::nullopt;
    }
    const char* end = text_.data() + at_;
    if (std::from_chars(text_.data() + from, end, exponent).ec != std::errc()) {
      exponent = std::numeric_limits<int>::max();
    }
    if (minus) exponent = -exponent;
  }
  double number = 0;
  const auto result = std::from_chars(text_.data() + start, text_.data() + at_, number);
  if (result.ec != std::errc::result_out_of_range) return number;
  // Too large or too small: told apart by the power of ten of the first digit that is not zero.
  long power = exponent + static_cast<long>(whole);
  for (std::size_t i = start; i < at_ && (text_[i] == '0' || text_[i] == '.'); ++i) {
    if (text_[i] == '0') --power;
  }
  return power > 0 ? HUGE_VAL : 0.0;
}

std::size_t Json5Scanner::digits() {
  const std::size_t start = at_;
  while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  return at_ - start;
}

std::string Json5Scanner::word_at(std::size_t start) const {
  std::size_t end = start;
  while (end < text_.size() && end - start < 30 &&
         std::string_view(" \t\r\n,:]}").find(text_[end]) == std::string_view::npos) {
    ++end;
  }
  return printable(std::string_view(text_).substr(start, end - start));
}

std::string Json5Scanner::found_here() const {
  if (at_ >= text_.size()) return "the end of the text";
  const char c = text_[at_];
  if (is_ascii_identifier_char(c)) return "'" + word_at(at_) + "'" + slip(word_at(at_));
  const tmpl::Rune next = tmpl::decode_rune(std::string_view(text_).substr(at_));
  return "'" + printable(std::string_view(text_).substr(at_, next.size)) + "'" + slip(next.value);
}

bool Json5Scanner::refuse(std::string message) {
  if (!error_) error_ = SyntaxError{here(), std::move(message)};
  return false;
}

}  // namespace containerpilot::agent
