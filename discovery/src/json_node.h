#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// A foreign JSON document, parsed. Nothing throws; the first thing that is not as expected is kept
/// as the document's problem, and reading on gives empty values.
class JsonDocument {
 public:
  /// Go's decoder, and so Consul, takes "name" for "Name"; an exact match goes first.
  enum class KeyCase : std::uint8_t { kExact, kIgnored };
  explicit JsonDocument(std::string_view text, KeyCase key_case = KeyCase::kExact);
  [[nodiscard]] KeyCase key_case() const { return key_case_; }
  [[nodiscard]] const nlohmann::json& root() const { return root_; }
  /// The first problem: "'/0/Service/Port' is a string, expected a number from 0 to 65535".
  [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }
  void set_problem(std::string text);

 private:
  nlohmann::json root_;
  KeyCase key_case_;
  std::optional<Error> problem_;
};

/// One value inside a document, with the path to it. A missing member and null read as empty, as
/// Go's decoder has it. Must not outlive the node it came from.
class JsonNode {
 public:
  explicit JsonNode(JsonDocument& document) : document_(document), value_(document.root()) {}

  /// This value as an object; anything else is a problem.
  [[nodiscard]] bool expect_object() const;
  /// True, without a problem, when the member is there and not null.
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] JsonNode member(std::string_view key) const;
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] bool flag(std::string_view key) const;
  [[nodiscard]] std::uint64_t number(std::string_view key, std::uint64_t max) const;
  [[nodiscard]] std::int64_t integer(std::string_view key) const;
  /// 64-bit numbers as protobuf's JSON mapping writes them: in quotes, or bare.
  [[nodiscard]] std::uint64_t quoted_number(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  [[nodiscard]] std::map<std::string, std::string> text_map(std::string_view key) const;

  /// Calls fn(JsonNode) for each element of this array; null is an empty one.
  template <class Fn>
  void each_element(const Fn& fn) const {
    if (!expect_array()) return;
    for (std::size_t i = 0; i < value_.size(); ++i) fn(JsonNode(*this, value_[i], {}, i));
  }
  /// Calls fn(key, JsonNode) for each member of this object; null is an empty one.
  template <class Fn>
  void each_member(const Fn& fn) const {
    if (value_.is_null() || !expect_object()) return;
    for (const auto& [key, value] : value_.items()) fn(key, JsonNode(*this, value, key, 0));
  }
  void fail(std::string_view expected) const;

 private:
  JsonNode(const JsonNode& parent, const nlohmann::json& value, std::string_view key,
           std::size_t index)
      : document_(parent.document_), value_(value), parent_(&parent), key_(key), index_(index) {}
  [[nodiscard]] bool expect_array() const;
  [[nodiscard]] std::string path() const;

  JsonDocument& document_;
  const nlohmann::json& value_;
  const JsonNode* parent_ = nullptr;
  std::string_view key_;  ///< empty: an array's element
  std::size_t index_ = 0;
};

/// One line of JSON with a newline, as Go's encoder ends it. Bytes that are not UTF-8 become
/// U+FFFD.
std::string to_json_line(const nlohmann::ordered_json& value);

}  // namespace containerpilot::discovery
