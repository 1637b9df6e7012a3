// The recorded behaviour of ContainerPilot 3.8.0: every vector, and every configuration in the
// corpus.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "containerpilot/agent/template.h"
#include "support/vectors.h"

namespace containerpilot::agent {
namespace {

using nlohmann::json;
using test::base64_decode;
using test::sha256_hex;
using Variables = std::map<std::string, std::string, std::less<>>;

std::string bytes(const json& vector, const std::string& key) {
  if (vector.contains(key + "_b64")) return base64_decode(vector[key + "_b64"].get<std::string>());
  return vector.value(key, "");
}

Variables variables(const json& vector) {
  auto out = vector.value("env", Variables{});
  for (const auto& [name, value] : vector.value("env_b64", Variables{})) {
    out[name] = base64_decode(value);
  }
  return out;
}

/// Why `result` is not what `vector` asks for; empty if it is.
std::string mismatch(const json& vector, const Result<std::string>& result) {
  if (vector.value("error", false)) {
    if (result) return "accepted: " + result.value().substr(0, 200);
    const auto line = std::to_string(vector["line"].get<int>()) + ":";
    return result.error().text().starts_with(line) ? ""
                                                   : "line not " + line + result.error().text();
  }
  if (!result) return "refused: " + result.error().text();
  if (vector.contains("out_sha256")) {
    return sha256_hex(result.value()) == vector["out_sha256"] ? "" : "wrong digest";
  }
  const std::string want =
      vector.value("fixed", false) ? bytes(vector, "fixed_out") : bytes(vector, "out");
  return result.value() == want ? "" : "want " + want + "\ngot  " + result.value();
}

TEST(TemplateVectors, AllRenderAsRecorded) {
  const auto file = test::vectors_folder() / "template.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "SKIPPED: no " << file;
  const json vectors = json::parse(test::read_bytes(file));
  ASSERT_GT(vectors.size(), 100U);
  for (const json& vector : vectors) {
    const std::string text = bytes(vector, "in");
    const auto result = render_template(text, variables(vector));
    if (vector.value("extension", false) || vector.value("optional", false)) continue;
    EXPECT_EQ(mismatch(vector, result), "") << vector["id"] << "\n"
                                            << text.substr(0, 300) << "\n"
                                            << vector.value("note", "");
  }
}

void expect_digest(const json& entry, const std::string& text, Variables environment) {
  environment.try_emplace("PATH", "/nonexistent");
  environment.try_emplace("HOME", "/");
  const auto result = render_template(text, environment);
  if (entry["rendered_sha256"].is_null()) {
    EXPECT_FALSE(result);
  } else {
    EXPECT_EQ(result ? sha256_hex(result.value()) : result.error().text(),
              entry["rendered_sha256"]);
  }
}

TEST(TemplateCorpus, EveryFileRendersToTheRecordedDigest) {
  const auto folder = test::corpus_folder();
  if (!std::filesystem::exists(folder / "manifest.json")) {
    GTEST_SKIP() << "SKIPPED: no " << folder / "manifest.json";
  }
  const json manifest = json::parse(test::read_bytes(folder / "manifest.json"));
  ASSERT_GT(manifest.size(), 100U);
  for (const json& entry : manifest) {
    SCOPED_TRACE(entry["file"]);
    const std::string text = test::read_bytes(folder / entry["file"].get<std::string>());
    ASSERT_EQ(sha256_hex(text), entry["sha256"]);
    const auto environment = entry["env"].get<Variables>();
    expect_digest(entry, text, environment);
    for (const json& other : entry["cases"]) {
      if (!other.contains("rendered_sha256")) continue;
      SCOPED_TRACE(other["case"]);
      expect_digest(other, text,
                    other["env"].is_object() ? other["env"].get<Variables>() : Variables{});
    }
  }
}

}  // namespace
}  // namespace containerpilot::agent
