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

bool is_unicode_space(char32_t rune) {
  switch (rune) {
    case '\t':
    case '\n':
    case '\v':
    case '\f':
    case '\r':
    case ' ':
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
      return true;
    default:
      return rune >= 0x2000 && rune <= 0x200A;
  }
}

}  // namespace

Rune decode_rune(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, true};
  std::size_t size = 0;
  char32_t value = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
    value = lead & 0x1FU;
  } else if ((lead & 0xF0) == 0xE0) {
    size = 3;
    value = lead & 0x0FU;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    value = lead & 0x07U;
  }
  if (size == 0 || text.size() < size) return {};
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_continuation(text[i])) return {};
    value = (value << 6) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  const bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
  if (overlong || !is_valid_rune(value)) return {};
  return {value, size, true};
}

std::size_t count_runes(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(decode_rune(text).size);
  return count;
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (!rune.valid) return false;
    text.remove_prefix(rune.size);
  }
  return true;
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

std::string_view trim_space(std::string_view text) {
  while (!text.empty()) {
    const Rune first = decode_rune(text);
    if (!is_unicode_space(first.value)) break;
    text.remove_prefix(first.size);
  }
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && is_continuation(text[start])) --start;
    const Rune last = decode_rune(text.substr(start));
    if (start + last.size != text.size() || !is_unicode_space(last.value)) break;
    text.remove_suffix(last.size);
  }
  return text;
}

}  // namespace containerpilot::agent::tmpl
