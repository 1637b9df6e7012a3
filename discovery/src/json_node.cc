#include "json_node.h"

#include <algorithm>
#include <charconv>

namespace containerpilot::discovery {

namespace {
const nlohmann::json kNull;

std::string_view kind_of(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null:
      return "missing";
    case nlohmann::json::value_t::object:
      return "an object";
    case nlohmann::json::value_t::array:
      return "an array";
    case nlohmann::json::value_t::string:
      return "a string";
    case nlohmann::json::value_t::boolean:
      return "a boolean";
    case nlohmann::json::value_t::number_integer:
    case nlohmann::json::value_t::number_unsigned:
      return "an integer";
    case nlohmann::json::value_t::number_float:
      return "a fraction";
    case nlohmann::json::value_t::binary:
    case nlohmann::json::value_t::discarded:
      return "not JSON";
  }
  return {};
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}
}  // namespace

JsonDocument::JsonDocument(std::string_view text, KeyCase key_case)
    : root_(nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false)), key_case_(key_case) {
  if (!root_.is_discarded()) return;
  root_ = nullptr;
  set_problem(text.empty() ? "it is empty, expected JSON" : "it is not JSON");
}

void JsonDocument::set_problem(std::string text) {
  if (!problem_) problem_.emplace(Errc::kInvalid, std::move(text));
}

std::string JsonNode::path() const {
  if (parent_ == nullptr) return {};
  constexpr std::size_t kShown = 64;  // a key may be as long as the document
  return parent_->path() + "/" +
         (key_.empty() ? std::to_string(index_) : std::string(key_.substr(0, kShown)));
}

void JsonNode::fail(std::string_view expected) const {
  const std::string where = path();
  document_.set_problem("'" + (where.empty() ? "/" : where) + "' is " +
                        std::string(kind_of(value_)) + ", expected " + std::string(expected));
}

bool JsonNode::expect_object() const {
  if (value_.is_object()) return true;
  fail("an object");
  return false;
}

bool JsonNode::expect_array() const {
  if (value_.is_array()) return true;
  if (!value_.is_null()) fail("an array");
  return false;
}

bool JsonNode::has(std::string_view key) const { return !member(key).value_.is_null(); }

JsonNode JsonNode::member(std::string_view key) const {
  if (!value_.is_object()) return {*this, kNull, key, 0};
  auto it = value_.find(key);
  if (it == value_.end() && document_.key_case() == JsonDocument::KeyCase::kIgnored) {
    it = value_.begin();
    while (it != value_.end() && !equal_ignoring_case(it.key(), key)) ++it;
  }
  return {*this, it == value_.end() ? kNull : *it, key, 0};
}

std::string JsonNode::text(std::string_view key) const {
  const JsonNode node = member(key);
  if (const auto* text = node.value_.get_ptr<const std::string*>()) return *text;
  if (!node.value_.is_null()) node.fail("a string");
  return {};
}

bool JsonNode::flag(std::string_view key) const {
  const JsonNode node = member(key);
  if (const auto* flag = node.value_.get_ptr<const bool*>()) return *flag;
  if (!node.value_.is_null()) node.fail("a boolean");
  return false;
}

std::uint64_t JsonNode::number(std::string_view key, std::uint64_t max) const {
  const JsonNode node = member(key);
  if (node.value_.is_null()) return 0;
  if (const auto* number = node.value_.get_ptr<const std::uint64_t*>();
      number != nullptr && *number <= max) {
    return *number;
  }
  node.fail("a number from 0 to " + std::to_string(max));
  return 0;
}

std::int64_t JsonNode::integer(std::string_view key) const {
  const JsonNode node = member(key);
  if (node.value_.is_null()) return 0;
  // One that is not negative reads as either kind, a large one as a negative.
  const auto* const natural = node.value_.get_ptr<const std::uint64_t*>();
  const auto* const number = node.value_.get_ptr<const std::int64_t*>();
  if (number != nullptr && (natural == nullptr || *natural <= INT64_MAX)) return *number;
  node.fail("a whole number");
  return 0;
}

std::uint64_t JsonNode::quoted_number(std::string_view key) const {
  const JsonNode node = member(key);
  if (const auto* text = node.value_.get_ptr<const std::string*>()) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error == std::errc() && end == text->data() + text->size()) return number;
    node.fail("a number in quotes");
    return 0;
  }
  return number(key, UINT64_MAX);
}

std::vector<std::string> JsonNode::texts(std::string_view key) const {
  std::vector<std::string> result;
  const JsonNode list = member(key);
  list.each_element([&](const JsonNode& element) {
    if (const auto* text = element.value_.get_ptr<const std::string*>()) {
      result.push_back(*text);
    } else {
      element.fail("a string");
    }
  });
  return result;
}

std::map<std::string, std::string> JsonNode::text_map(std::string_view key) const {
  std::map<std::string, std::string> result;
  const JsonNode map = member(key);
  map.each_member([&](const std::string& name, const JsonNode& value) {
    if (const auto* text = value.value_.get_ptr<const std::string*>()) {
      result.emplace(name, *text);
    } else {
      value.fail("a string");
    }
  });
  return result;
}

std::string to_json_line(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace containerpilot::discovery
