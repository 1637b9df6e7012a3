#pragma once

#include <string>
#include <string_view>

namespace containerpilot::agent::tmpl {

enum class QuoteStyle : bool { kUnicode, kAsciiOnly };

/// "text" as a Go string literal with escapes; invalid UTF-8 as \xNN.
std::string quote(std::string_view text, QuoteStyle style);
/// 'x' as a Go character literal.
std::string quote_rune(char32_t rune, QuoteStyle style);
/// True when `text` could stand between backquotes unchanged.
bool can_backquote(std::string_view text);

}  // namespace containerpilot::agent::tmpl
