#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace containerpilot::agent {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

struct Utf8Char {
  char32_t code = kReplacementCharacter;
  std::size_t size = 1;  ///< bytes; 1 for a byte that is not part of a valid sequence
  bool valid = false;
};

/// The character at `at` (which must be inside `text`). Overlong forms, surrogates and values
/// beyond U+10FFFF are not valid.
Utf8Char decode_utf8(std::string_view text, std::size_t at);
void append_utf8(std::string& out, char32_t code);
/// True for Go's unicode.IsSpace.
bool is_unicode_space(char32_t code);
/// Without white space at both ends.
std::string_view trim_unicode_space(std::string_view text);
/// For messages: control characters become escapes, bytes that are not UTF-8 U+FFFD.
std::string printable(std::string_view text);

}  // namespace containerpilot::agent
