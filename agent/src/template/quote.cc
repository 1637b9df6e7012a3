#include "template/quote.h"

#include "template/number_format.h"
#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

void append_hex(std::string& out, std::string_view prefix, std::size_t digits, char32_t value) {
  const std::string hex = format_unsigned(value, 16, false);
  out += prefix;
  out.append(digits - hex.size(), '0');
  out += hex;
}

void append_escaped(std::string& out, char32_t rune, char32_t quote, QuoteStyle style) {
  constexpr std::string_view kControls = "\a\b\f\n\r\t\v";
  constexpr std::string_view kLetters = "abfnrtv";
  if (!is_valid_rune(rune)) rune = kReplacementRune;
  if (rune == quote || rune == '\\') {
    out += '\\';
    out += static_cast<char>(rune);
    return;
  }
  if (is_printable(rune) && (rune < 0x80 || style == QuoteStyle::kUnicode)) {
    return append_rune(out, rune);
  }
  if (rune < 0x80) {
    const std::size_t control = kControls.find(static_cast<char>(rune));
    if (control == std::string_view::npos) return append_hex(out, "\\x", 2, rune);
    out += '\\';
    out += kLetters[control];
  } else if (rune < 0x10000) {
    append_hex(out, "\\u", 4, rune);
  } else {
    append_hex(out, "\\U", 8, rune);
  }
}

}  // namespace

std::string quote(std::string_view text, QuoteStyle style) {
  std::string out = "\"";
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (rune.valid) {
      append_escaped(out, rune.value, '"', style);
    } else {
      append_hex(out, "\\x", 2, static_cast<unsigned char>(text[0]));
    }
    text.remove_prefix(rune.size);
  }
  return out + '"';
}

std::string quote_rune(char32_t rune, QuoteStyle style) {
  std::string out = "'";
  append_escaped(out, rune, '\'', style);
  return out + '\'';
}

bool can_backquote(std::string_view text) {
  constexpr char32_t kByteOrderMark = 0xFEFF;
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    const bool control = (rune.value < ' ' && rune.value != '\t') || rune.value == 0x7F;
    if (!rune.valid || control || rune.value == '`' || rune.value == kByteOrderMark) return false;
    text.remove_prefix(rune.size);
  }
  return true;
}

}  // namespace containerpilot::agent::tmpl
