#include "config/json5.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "support/json_vectors.h"

namespace containerpilot::agent {
namespace {

using nlohmann::json;
using test::json_vectors;
using test::vector_input;

json to_json(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return nullptr;
    case Node::Kind::kBool:
      return node.boolean;
    case Node::Kind::kString:
      return std::string(node.text);
    case Node::Kind::kNumber:
      if (std::isnan(node.number)) return {{"$num", "NaN"}};
      if (std::isinf(node.number)) return {{"$num", node.number > 0 ? "Infinity" : "-Infinity"}};
      if (node.number == 0 && std::signbit(node.number)) return {{"$num", "-0"}};
      return node.number;
    case Node::Kind::kArray: {
      json out = json::array();
      for (const Node& child : node) out.push_back(to_json(child));
      return out;
    }
    case Node::Kind::kObject: {
      json out = json::object();
      for (const Node& child : node) out[std::string(child.key)] = to_json(child);
      return out;
    }
  }
  return nullptr;
}

bool holds_lone_surrogates(const json& expected) {
  return expected.is_object() && expected.contains("$utf16");
}

std::optional<std::string> parse_error(const std::string& text) {
  Tree tree;
  const auto parsed = parse_json5(tree, tree.add_source("t", text));
  const auto* error = std::get_if<SyntaxError>(&parsed);
  if (error == nullptr) return std::nullopt;
  const Position at = tree.position(0, error->offset);
  return std::to_string(at.line) + ":" + std::to_string(at.column) + " " + error->message;
}

TEST(Json5, AgreesWithEveryVector) {
  const std::optional<json> vectors = json_vectors("json5.json");
  if (!vectors) GTEST_SKIP() << "SKIPPED: no vectors in " << test::vectors_folder();
  for (const json& vector : *vectors) {
    SCOPED_TRACE(vector["id"].get<std::string>());
    Tree tree;
    const auto parsed = parse_json5(tree, tree.add_source("vector", vector_input(vector)));
    const bool by_spec = vector.contains("spec_out") && !holds_lone_surrogates(vector["spec_out"]);
    const bool refused = vector.contains("spec_error") || (vector.contains("error") && !by_spec);
    const auto* top = std::get_if<Node*>(&parsed);
    ASSERT_EQ(top == nullptr, refused)
        << (top == nullptr ? std::get<SyntaxError>(parsed).message : "accepted");
    if (refused) continue;
    json expected = by_spec ? vector["spec_out"] : vector.value("out", json());
    if (vector.contains("out_text")) expected = json::parse(vector["out_text"].get<std::string>());
    EXPECT_EQ(to_json(**top), expected);
  }
}

TEST(Json5, SaysWhereAndWhat) {
  EXPECT_EQ(parse_error("{\n  a: 1\n  b: 2\n}"),
            "3:3 expected ',' or '}' after the value, found 'b'");
  EXPECT_EQ(parse_error("{ a: [1, 2 }"), "1:12 expected ',' or ']' after the value, found '}'");
  EXPECT_EQ(parse_error("{ a: 'x }\n"),
            "1:6 the string that begins here has no closing ' on its line");
  EXPECT_EQ(parse_error("{ a: 1,"),
            "1:8 expected a key or '}', found the end of the text ('{' of line 1 is still open)");
  EXPECT_EQ(parse_error("{ a: , }"), "1:6 expected a value, found ','");
  EXPECT_EQ(parse_error("{ a b: 1 }"), "1:5 expected ':' after the key 'a', found 'b'");
  EXPECT_EQ(parse_error("{ a: 1 } }"), "1:10 nothing may follow the value, found '}'");
  EXPECT_EQ(parse_error("{ é: “x” }"),
            "1:6 expected a value, found '“' (a typographic quote; strings are in \" or ')");
  EXPECT_EQ(parse_error("{ a: 08 }"), "1:6 a number cannot begin with a zero: '08'");
  EXPECT_EQ(parse_error("/* c"), "1:1 the comment that begins here has no '*/'");
}

TEST(Json5, KnowsWhatJsonWouldRefuse) {
  const auto beyond_json = [](const std::string& text) {
    Tree tree;
    const auto parsed = parse_json5(tree, tree.add_source("t", text));
    EXPECT_TRUE(std::holds_alternative<Node*>(parsed)) << text;
    return tree.source(0).beyond_json;
  };
  EXPECT_FALSE(beyond_json("{\"a\": [1, -2.5e3, true, null, \"x\\u0041\\n\"], \"b\": {}}\r\n"));
  for (const char* text : {"{a: 1}", "{'a': 1}", "{\"a\": 1,}", "[1,]", "// c\n1", "/* c */ 1",
                           "+1", ".5", "5.", "0x10", "Infinity", "'x'", "\"\\x41\"", "\"\\\n\""}) {
    EXPECT_TRUE(beyond_json(text)) << text;
  }
}

TEST(Json5, KeepsALineSeparatorInACommentAsTheOriginalDid) {
  const auto members = [](const std::string& text) {
    Tree tree;
    const auto parsed = parse_json5(tree, tree.add_source("t", text));
    return std::holds_alternative<Node*>(parsed) ? int(std::get<Node*>(parsed)->count) : -1;
  };
  EXPECT_EQ(members("{ // pasted\u2028 b: 2\n a: 1 }"), 1);
  EXPECT_EQ(members("{ // pasted\u2028text\u2029and more\n a: 1 }"), 1);
  EXPECT_EQ(members("// c\u2028{ a: 1 }"), 1);  // JSON5's reading, where the original has none
  EXPECT_EQ(parse_error("{ // c\u2028 a: @ \n a: @ }"), "2:5 expected a value, found '@'");
}

TEST(Json5, RefusesDepthBeyondItsBound) {
  const std::string deep(10'001, '[');
  EXPECT_EQ(parse_error(deep), "1:10001 nested more than 10000 deep");
  EXPECT_EQ(parse_error(std::string(10'000, '[') + std::string(10'000, ']')), std::nullopt);
}

TEST(Json5, ExcerptPutsACaretUnderTheCharacter) {
  Tree tree;
  const std::string text = "{\n  ключ: \"ё\", b: @\n}";
  tree.add_source("t", text);
  EXPECT_EQ(tree.excerpt(0, static_cast<std::uint32_t>(text.find('@'))),
            "    2 |   ключ: \"ё\", b: @\n"
            "      |                 ^");
}

TEST(Json5, ExcerptHidesSecrets) {
  Tree tree;
  const std::string text = R"({ consul: { token: "8c1f", addres: "x" } })";
  tree.add_source("t", text);
  const std::string excerpt = tree.excerpt(0, static_cast<std::uint32_t>(text.find("addres")));
  EXPECT_EQ(excerpt.find("8c1f"), std::string::npos) << excerpt;
}

}  // namespace
}  // namespace containerpilot::agent
