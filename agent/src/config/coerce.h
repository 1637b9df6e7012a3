#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/tree.h"

namespace containerpilot::agent {

// The weak conversions of ContainerPilot 3.8.0 (mapstructure's), from any value to the wanted type;
// nullopt where the original refused. null is for the caller to treat as "not set".
// Source: spec v3, section 2.3. All pure.

/// Numbers are cut to integers, booleans are 1 and 0, strings follow Go's base prefixes ("0x50",
/// "010").
std::optional<std::int64_t> to_integer(const Node& node);
/// Booleans, numbers (not 0), Go's boolean words and "" (false).
std::optional<bool> to_boolean(const Node& node);
/// Strings, numbers in plain decimals, booleans as "1" and "0".
std::optional<std::string> to_text(const Node& node);
/// A list of what to_text takes (null is ""), or an empty object.
std::optional<std::vector<std::string>> to_texts(const Node& node);
/// A list of anything in the original's print form, or one string (`interfaces`).
std::optional<std::vector<std::string>> to_printed_texts(const Node& node);
/// argv of an `exec`: a string is trimmed and split at every single space; a list is taken as
/// printed. nullopt for anything else, "" and [].
std::optional<std::vector<std::string>> to_argv(const Node& node);

/// True for a string whose leading zero makes it octal ("010" is 8), which surprises people.
bool is_octal_looking(const Node& node);

/// All digits, never an exponent: 1e6 is "1000000", 0.00000015 is "0.00000015"; "+Inf", "-Inf",
/// "NaN".
std::string plain_number(double number);

}  // namespace containerpilot::agent
