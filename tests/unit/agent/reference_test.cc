// The reference in the READMEs and the editors' schema are made from the tables that read
// configurations. CONTAINERPILOT_UPDATE_GOLDEN=1 writes them anew.

#include "containerpilot/agent/reference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace containerpilot::agent {
namespace {

constexpr const char* kSchema = "agent/config/containerpilot.schema.json";
constexpr const char* kBegin = "<!-- keys of ";

bool updating() { return std::getenv("CONTAINERPILOT_UPDATE_GOLDEN") != nullptr; }

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// `text` with every "<!-- keys of NAME -->…<!-- end -->" filled in; the names go to `seen`.
std::string filled(const std::string& text, std::set<std::string>& seen) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const std::size_t begin = text.find(kBegin, at);
    if (begin == std::string::npos) return out + text.substr(at);
    const std::size_t name_at = begin + std::string(kBegin).size();
    const std::size_t name_end = text.find(" -->", name_at);
    const std::size_t end = text.find("<!-- end -->", name_end);
    if (end == std::string::npos) return "no end of " + text.substr(begin, 40);
    const std::string name = text.substr(name_at, name_end - name_at);
    seen.insert(name);
    out += text.substr(at, name_end + 4 - at) + "\n" + reference_table(name);
    at = end;
  }
}

TEST(Reference, ReadmesHoldEveryBlockAsItIs) {
  std::set<std::string> seen;
  for (const char* module : {"agent", "supervisor", "discovery", "telemetry"}) {
    const std::string path = std::string(module) + "/README.md";
    const std::string actual = read(path);
    const std::string expected = filled(actual, seen);
    if (updating()) {
      std::ofstream(path, std::ios::binary) << expected;
    } else {
      EXPECT_EQ(actual, expected) << path << " has drifted";
    }
  }
  for (const std::string& block : reference_blocks()) {
    EXPECT_EQ(seen.count(block), 1U) << "no README has '<!-- keys of " << block << " -->'";
  }
}

TEST(Reference, SchemaFileIsTheTables) {
  if (updating()) std::ofstream(kSchema, std::ios::binary) << json_schema();
  EXPECT_EQ(read(kSchema), json_schema()) << kSchema << " has drifted";
}

TEST(Reference, SchemaHasNoLooseEnds) {
  const auto schema = nlohmann::json::parse(json_schema());
  std::set<std::string> defined;
  for (const auto& [name, block] : schema["$defs"].items()) defined.insert(name);
  const std::string text = json_schema();
  const std::string ref = "\"#/$defs/";
  for (std::size_t at = 0; (at = text.find(ref, at)) != std::string::npos;) {
    at += ref.size();
    EXPECT_EQ(defined.count(text.substr(at, text.find('"', at) - at)), 1U) << text.substr(at, 30);
  }
  EXPECT_EQ(defined.size() + 1, reference_blocks().size());
  EXPECT_TRUE(schema["properties"]["jobs"]["items"].contains("$ref"));
}

}  // namespace
}  // namespace containerpilot::agent
