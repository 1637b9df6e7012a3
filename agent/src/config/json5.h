#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "config/tree.h"

namespace containerpilot::agent {

/// Where and why a text is not JSON5.
struct SyntaxError {
  std::uint32_t offset = 0;
  std::string message;  ///< "expected ',' or '}' after the value, found 'b'"
};

/// Bounds far above real use; beyond them is an error, not a crash.
struct Json5Limits {
  std::size_t max_depth = 10'000;
  std::size_t max_values = 2'000'000;
};

/// Parses source `source` of `tree` and adds its values there. Accepts what the JSON5 specification
/// accepts and what ContainerPilot 3.8.0 accepted beyond it: lone surrogates and invalid UTF-8 in
/// strings become U+FFFD; of duplicate keys the last one counts (the others are left out).
std::variant<Node*, SyntaxError> parse_json5(Tree& tree, std::uint16_t source,
                                             const Json5Limits& limits = {});

}  // namespace containerpilot::agent
