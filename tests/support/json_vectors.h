#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "support/vectors.h"

namespace containerpilot::test {

/// That file of the recorded behaviour; nullopt if it is not there.
inline std::optional<nlohmann::json> json_vectors(const std::string& name) {
  const std::string text = read_bytes(vectors_folder() / name);
  return text.empty() ? std::nullopt : std::optional(nlohmann::json::parse(text));
}

/// A vector's input: `in`, or `in_b64` where it is no text.
inline std::string vector_input(const nlohmann::json& vector) {
  if (vector.contains("in")) return vector["in"].get<std::string>();
  return base64_decode(vector["in_b64"].get<std::string>());
}

}  // namespace containerpilot::test
