#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "containerpilot/supervisor/utf8.h"

namespace containerpilot::agent::tmpl {

inline constexpr char32_t kReplacementRune = 0xFFFD;
inline constexpr char32_t kMaxRune = 0x10FFFF;

/// One code point as Go reads it: a byte that is no valid UTF-8 is U+FFFD of size 1, `valid` false.
struct Rune {
  char32_t value = kReplacementRune;
  std::size_t size = 1;
  bool valid = false;
};

/// The first code point of `text`, which must not be empty.
Rune decode_rune(std::string_view text);
/// Code points, an invalid byte counting as one.
std::size_t count_runes(std::string_view text);
/// Each invalid byte replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);
/// False for surrogates and values beyond U+10FFFF.
bool is_valid_rune(char32_t rune);
/// Writes U+FFFD in place of what is no valid code point.
void append_rune(std::string& out, char32_t rune);

/// Unicode categories L, Nd, and "printable" (L, M, N, P, S and the plain space).
bool is_letter(char32_t rune);
bool is_digit(char32_t rune);
bool is_printable(char32_t rune);
/// Unicode category Zs.
bool is_space_separator(char32_t rune);
/// Without Unicode white space at both ends.
std::string_view trim_space(std::string_view text);

/// A byte of a code point other than its first.
inline bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// What the template language takes for white space inside actions and trims around them.
inline bool is_action_space(char32_t rune) {
  return rune == ' ' || rune == '\t' || rune == '\r' || rune == '\n';
}
inline constexpr std::string_view kActionSpaces = " \t\r\n";

}  // namespace containerpilot::agent::tmpl
