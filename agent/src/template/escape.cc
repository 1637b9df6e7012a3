#include "template/escape.h"

#include <string>

#include "template/number_format.h"
#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

/// What stands for `c` in HTML; empty for itself.
std::string_view html_entity(char c) {
  switch (c) {
    case '\0':
      return "\xEF\xBF\xBD";  // U+FFFD
    case '"':
      return "&#34;";
    case '\'':
      return "&#39;";
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    default:
      return {};
  }
}

std::string js_escape(char32_t rune) {
  if (rune == '\\' || rune == '\'' || rune == '"') return {'\\', static_cast<char>(rune)};
  std::string hex = format_unsigned(rune, 16, true);
  if (hex.size() < 4) hex.insert(0, 4 - hex.size(), '0');
  return "\\u" + hex;
}

bool is_js_special(char32_t rune) {
  constexpr std::u32string_view kSpecial = U"\\'\"<>&=";
  if (rune < 0x80) return rune < ' ' || kSpecial.find(rune) != std::u32string_view::npos;
  return !is_printable(rune);
}

bool is_url_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

}  // namespace

void escape_html(Buffer& out, std::string_view text) {
  for (const char& c : text) {
    const std::string_view entity = html_entity(c);
    out.append(entity.empty() ? std::string_view(&c, 1) : entity);
  }
}

void escape_js(Buffer& out, std::string_view text) {
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (is_js_special(rune.value)) {
      out.append(js_escape(rune.value));
    } else {
      out.append(text.substr(0, rune.size));  // invalid bytes as they are
    }
    text.remove_prefix(rune.size);
  }
}

void escape_url_query(Buffer& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_url_unreserved(c)) {
      out.append({&c, 1});
    } else if (c == ' ') {
      out.append("+");
    } else {
      const char escaped[] = {'%', kHex[byte >> 4], kHex[byte & 0xF]};
      out.append({escaped, sizeof escaped});
    }
  }
}

}  // namespace containerpilot::agent::tmpl
