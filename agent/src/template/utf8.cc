#include "template/utf8.h"

#include <re2/re2.h>

namespace containerpilot::agent::tmpl {
namespace {

// RE2 carries the Unicode tables; a table of our own would be a thousand lines to keep up to date.
bool matches(const RE2& category, char32_t rune) {
  std::string text;
  append_rune(text, rune);
  return RE2::FullMatch(text, category);
}

bool is_space(char32_t rune) {
  return (rune >= '\t' && rune <= '\r') || rune == 0x85 || rune == 0x2028 || rune == 0x2029 ||
         is_space_separator(rune);
}

}  // namespace

Rune decode_rune(std::string_view text) {
  const std::size_t size = utf8_length(text);
  if (size == 0) return {};
  const auto lead = static_cast<unsigned char>(text[0]);
  char32_t value = size == 1 ? lead : lead & (0x7FU >> size);
  for (const char c : text.substr(1, size - 1)) {
    value = (value << 6) | (static_cast<unsigned char>(c) & 0x3FU);
  }
  return {value, size, true};
}

std::size_t count_runes(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(decode_rune(text).size);
  return count;
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(decode_rune(text).size)) {
    append_rune(out, decode_rune(text).value);
  }
  return out;
}

bool is_valid_rune(char32_t rune) {
  return rune <= kMaxRune && !(rune >= 0xD800 && rune <= 0xDFFF);
}

void append_rune(std::string& out, char32_t rune) {
  if (!is_valid_rune(rune)) rune = kReplacementRune;
  if (rune < 0x80) {
    out += static_cast<char>(rune);
  } else if (rune < 0x800) {
    out += static_cast<char>(0xC0 | (rune >> 6));
    out += static_cast<char>(0x80 | (rune & 0x3F));
  } else if (rune < 0x10000) {
    out += static_cast<char>(0xE0 | (rune >> 12));
    out += static_cast<char>(0x80 | ((rune >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (rune & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (rune >> 18));
    out += static_cast<char>(0x80 | ((rune >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((rune >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (rune & 0x3F));
  }
}

bool is_letter(char32_t rune) {
  if (rune < 0x80) return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
  static const RE2 kLetter("\\pL");
  return matches(kLetter, rune);
}

bool is_digit(char32_t rune) {
  if (rune < 0x80) return rune >= '0' && rune <= '9';
  static const RE2 kDigit("\\p{Nd}");
  return matches(kDigit, rune);
}

bool is_printable(char32_t rune) {
  if (rune < 0x80) return rune >= ' ' && rune < 0x7F;
  if (!is_valid_rune(rune)) return false;
  static const RE2 kPrintable("[\\pL\\pM\\pN\\pP\\pS]");
  return matches(kPrintable, rune);
}

bool is_space_separator(char32_t rune) {
  return rune == ' ' || rune == 0xA0 || rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200A) ||
         rune == 0x202F || rune == 0x205F || rune == 0x3000;
}

std::string_view trim_space(std::string_view text) {
  while (!text.empty()) {
    const Rune first = decode_rune(text);
    if (!is_space(first.value)) break;
    text.remove_prefix(first.size);
  }
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && is_continuation(text[start])) --start;
    const Rune last = decode_rune(text.substr(start));
    if (start + last.size != text.size() || !is_space(last.value)) break;
    text.remove_suffix(last.size);
  }
  return text;
}

}  // namespace containerpilot::agent::tmpl
