#include "config/coerce.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "template/utf8.h"

namespace containerpilot::agent {

namespace {

using Kind = Node::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Shortest digits that read back the same, without point, and the decimal exponent of the first
/// one.
struct Decimal {
  std::string digits;
  int exponent = 0;
};

Decimal shortest_decimal(double magnitude) {
  std::array<char, 32> buffer{};
  const auto [end, code] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), magnitude,
                                         std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t e = text.find('e');
  Decimal out;
  for (const char c : text.substr(0, e)) {
    if (is_digit(c)) out.digits += c;
  }
  const char* exponent = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(exponent, text.data() + text.size(), out.exponent);
  return out;
}

std::optional<std::string> special_number(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "+Inf" : "-Inf";
  return std::nullopt;
}

/// As Go's %v prints a float: an exponent below 1e-4 and from 1e6 on. Whole numbers stay plain, a
/// deliberate difference ("sleep 1e+06" helps nobody).
std::string go_number(double number) {
  if (auto special = special_number(number)) return *special;
  if (number == std::trunc(number)) return plain_number(number);
  const Decimal decimal = shortest_decimal(std::fabs(number));
  if (decimal.exponent >= -4 && decimal.exponent < 6) return plain_number(number);
  std::string out = std::signbit(number) ? "-" : "";
  out += decimal.digits.front();
  if (decimal.digits.size() > 1) out += "." + decimal.digits.substr(1);
  const std::string exponent = std::to_string(std::abs(decimal.exponent));
  return out + (decimal.exponent < 0 ? "e-" : "e+") + (exponent.size() < 2 ? "0" : "") + exponent;
}

constexpr int kMostPrintedDepth = 50;

/// As Go's %v prints a decoded value: "[a b]", "map[a:1 b:x]", "<nil>".
std::string printed(const Node& node, int depth = 0) {
  if (depth > kMostPrintedDepth) return "…";
  switch (node.kind) {
    case Kind::kNull:
      return "<nil>";
    case Kind::kBool:
      return node.boolean ? "true" : "false";
    case Kind::kNumber:
      return go_number(node.number);
    case Kind::kString:
      return std::string(node.text);
    case Kind::kArray:
    case Kind::kObject:
      break;
  }
  const bool object = node.is(Kind::kObject);
  std::vector<const Node*> children;
  for (const Node& child : node) children.push_back(&child);
  if (object) {
    std::sort(children.begin(), children.end(),
              [](const Node* a, const Node* b) { return a->key < b->key; });
  }
  std::string out = object ? "map[" : "[";
  for (std::size_t i = 0; i < children.size(); ++i) {
    if (i > 0) out += ' ';
    if (object) out += std::string(children[i]->key) + ":";
    out += printed(*children[i], depth + 1);
  }
  return out + "]";
}

/// Go's rule for digit separators: only with base prefixes or between digits, never doubled.
bool underscores_ok(std::string_view text) {
  char previous = '^';
  bool base_prefix = false;
  std::size_t i = 0;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) i = 1;
  if (text.size() >= i + 2 && text[i] == '0') {
    const char letter = static_cast<char>(text[i + 1] | 0x20);
    if (letter == 'b' || letter == 'o' || letter == 'x') {
      previous = '0';
      base_prefix = letter == 'x';
      i += 2;
    }
  }
  for (; i < text.size(); ++i) {
    const char c = text[i];
    const char lower = static_cast<char>(c | 0x20);
    if (is_digit(c) || (base_prefix && lower >= 'a' && lower <= 'f')) {
      previous = '0';
    } else if (c == '_') {
      if (previous != '0') return false;
      previous = '_';
    } else {
      if (previous == '_') return false;
      previous = '!';
    }
  }
  return previous != '_';
}

/// Go's strconv.ParseInt(text, 0, 64).
std::optional<std::int64_t> parse_go_integer(std::string_view text) {
  if (!underscores_ok(text)) return std::nullopt;
  std::string digits;
  for (const char c : text) {
    if (c != '_') digits += c;
  }
  std::string_view rest = digits;
  const bool negative = !rest.empty() && rest.front() == '-';
  if (negative || (!rest.empty() && rest.front() == '+')) rest.remove_prefix(1);
  int base = 10;
  if (rest.size() > 1 && rest.front() == '0') {
    const char letter = static_cast<char>(rest[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
    rest.remove_prefix(letter == 'x' || letter == 'b' || letter == 'o' ? 2 : 1);
  }
  if (rest.empty() || rest.front() == '-' || rest.front() == '+') return std::nullopt;
  std::uint64_t magnitude = 0;
  const char* end = rest.data() + rest.size();
  const auto [stop, code] = std::from_chars(rest.data(), end, magnitude, base);
  if (stop != end || code != std::errc()) return std::nullopt;
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 63U;
  if (magnitude > kLimit || (magnitude == kLimit && !negative)) return std::nullopt;
  return static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
}

}  // namespace

std::optional<std::int64_t> to_integer(const Node& node) {
  switch (node.kind) {
    case Kind::kNumber: {
      const double whole = std::trunc(node.number);
      constexpr double kLimit = 9223372036854775808.0;
      if (!(whole >= -kLimit && whole < kLimit)) return std::nullopt;
      return static_cast<std::int64_t>(whole);
    }
    case Kind::kBool:
      return node.boolean ? 1 : 0;
    case Kind::kString:
      return parse_go_integer(node.text);
    case Kind::kNull:
    case Kind::kArray:
    case Kind::kObject:
      break;
  }
  return std::nullopt;
}

std::optional<bool> to_boolean(const Node& node) {
  switch (node.kind) {
    case Kind::kBool:
      return node.boolean;
    case Kind::kNumber:
      return node.number != 0;
    case Kind::kString:
      for (const std::string_view word : {"1", "t", "T", "TRUE", "true", "True"}) {
        if (node.text == word) return true;
      }
      for (const std::string_view word : {"0", "f", "F", "FALSE", "false", "False", ""}) {
        if (node.text == word) return false;
      }
      break;
    case Kind::kNull:
    case Kind::kArray:
    case Kind::kObject:
      break;
  }
  return std::nullopt;
}

std::optional<std::string> to_text(const Node& node) {
  switch (node.kind) {
    case Kind::kString:
      return std::string(node.text);
    case Kind::kNumber:
      return plain_number(node.number);
    case Kind::kBool:
      return node.boolean ? "1" : "0";
    case Kind::kNull:
    case Kind::kArray:
    case Kind::kObject:
      break;
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> to_texts(const Node& node) {
  const bool list = node.is(Kind::kArray) || (node.is(Kind::kObject) && node.count == 0);
  if (!list) return std::nullopt;
  std::vector<std::string> out;
  for (const Node& child : node) {
    std::optional<std::string> text = child.is(Kind::kNull) ? std::string() : to_text(child);
    if (!text) return std::nullopt;
    out.push_back(std::move(*text));
  }
  return out;
}

std::optional<std::vector<std::string>> to_printed_texts(const Node& node) {
  std::vector<std::string> out;
  if (node.is(Kind::kString)) {
    out.emplace_back(node.text);
    return out;
  }
  if (!node.is(Kind::kArray)) return std::nullopt;
  for (const Node& child : node) out.push_back(printed(child));
  return out;
}

std::optional<std::vector<std::string>> to_argv(const Node& node) {
  if (!node.is(Kind::kString)) {
    auto out = node.is(Kind::kArray) ? to_printed_texts(node) : std::nullopt;
    return out && !out->empty() ? out : std::nullopt;
  }
  if (node.text.empty()) return std::nullopt;
  // Trimmed of all white space, as the original did, but split at the plain space only.
  std::string_view rest = tmpl::trim_space(node.text);
  std::vector<std::string> out;
  while (true) {
    const std::size_t space = rest.find(' ');
    out.emplace_back(rest.substr(0, space));
    if (space == std::string_view::npos) return out;
    rest.remove_prefix(space + 1);
  }
}

bool is_octal_looking(const Node& node) {
  if (!node.is(Kind::kString)) return false;
  std::string_view text = node.text;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && (is_digit(text[1]) || text[1] == '_');
}

std::string plain_number(double number) {
  if (auto special = special_number(number)) return *special;
  const std::string sign = std::signbit(number) ? "-" : "";
  if (number == 0) return sign + "0";
  const Decimal decimal = shortest_decimal(std::fabs(number));
  const std::string& digits = decimal.digits;
  if (decimal.exponent < 0) {
    return sign + "0." + std::string(static_cast<std::size_t>(-decimal.exponent - 1), '0') + digits;
  }
  const auto whole = static_cast<std::size_t>(decimal.exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0');
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace containerpilot::agent
