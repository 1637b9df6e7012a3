#pragma once

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace containerpilot::agent {

inline constexpr const char* kNoVectors =
    "SKIPPED: no vectors; set CONTAINERPILOT_VECTORS to their folder (default ../shared/vectors)";

/// A file of the conformance vectors; nullopt when the folder is not there.
inline std::optional<nlohmann::json> load_vectors(const std::string& name) {
  const char* folder = std::getenv("CONTAINERPILOT_VECTORS");
  std::ifstream file(std::string(folder != nullptr ? folder : "../shared/vectors") + "/" + name);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

inline std::string decode_base64(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) break;  // padding
    bits = bits << 6U | static_cast<unsigned>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> static_cast<unsigned>(count) & 0xFFU);
  }
  return out;
}

/// `in`, or `in_b64` decoded.
inline std::string vector_input(const nlohmann::json& vector) {
  if (vector.contains("in")) return vector["in"].get<std::string>();
  return decode_base64(vector["in_b64"].get<std::string>());
}

}  // namespace containerpilot::agent
