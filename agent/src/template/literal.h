#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "template/value.h"

namespace containerpilot::agent::tmpl {

/// The value of a quoted or raw string token, quotes included; none for a bad escape.
/// Raw strings lose carriage returns; invalid UTF-8 becomes U+FFFD in quoted ones.
std::optional<Text> parse_string(std::string_view token);
/// The code point of 'x'; none when it is malformed.
std::optional<std::int64_t> parse_rune(std::string_view token);

/// Why a number has no value.
enum class NumberError { kSyntax, kTooLarge, kTooLargeForInt };

/// A number token: an int, a float64 or (1i, 1+2i) a complex128, decided by how it is written.
/// kTooLargeForInt: fits 64 bits unsigned only; the original accepts that until it is executed.
/// Source: Go's strconv with base 0, and text/template's ideal constants.
std::variant<Value, NumberError> parse_number(std::string_view token);
std::variant<Value, NumberError> parse_complex(std::string_view token);

}  // namespace containerpilot::agent::tmpl
