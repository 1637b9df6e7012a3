// Every real configuration file of the corpus, with the verdict its own program gave. Files that
// ours accepts although the original refused them are counted by reason; the reasons are entries of
// CHANGELOG.md's Compatibility section.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "containerpilot/agent/config.h"
#include "support/vectors.h"

namespace containerpilot::agent {
namespace {

using nlohmann::json;

/// The addresses the verdicts were recorded with.
std::vector<discovery::InterfaceAddress> addresses(const std::string& network) {
  std::vector<discovery::InterfaceAddress> out = {{"lo", "::1"}, {"lo", "127.0.0.1"}};
  if (network == "lo-only") return out;
  return {{"eth0", "192.0.2.2"}, {"eth0", "fd00::2"}, {"eth1", "10.99.0.5"}, out[0], out[1]};
}

LoadOptions options_for(const json& row, const json& run) {
  LoadOptions out;
  out.environment = {{"PATH", "/nonexistent"}, {"HOME", "/"}};
  const json& env = run.contains("env") && run["env"].is_object() ? run["env"] : row["env"];
  if (!run.contains("env") || run["env"] != "none") {
    for (const auto& [name, value] : env.items()) out.environment[name] = value;
  }
  out.addresses = addresses(run.value("network", "two-nics"));
  out.hostname = "host";
  // As the original programs took their files: 1.x and 2.x by file://, 3.x by path.
  return out;
}

std::string explain_refusal(const LoadResult& result) {
  std::string out;
  for (const Problem& problem : result.errors) out += with_excerpt(problem) + "\n";
  return out;
}

/// Why ours may accept what the original refused, by the class of its refusal; see CHANGELOG.md.
const std::set<std::string>& tolerated(const std::string& generation) {
  static const std::set<std::string> v1_v2 = {
      "json-syntax",  // JSON5 is accepted in every generation
      "unknown-key",  // 1.x and 2.1.0 ignored unknown keys, so files that may be theirs only get a
                      // warning
      "other",        // an empty preStart is taken as left out
  };
  static const std::set<std::string> v3 = {
      "unknown-key",       // `meta` is a key now
      "must-be-positive",  // `health.interval` may be left out: 10 s
  };
  return generation == "v3" ? v3 : v1_v2;
}

TEST(Corpus, EveryFileGetsTheVerdictOfItsOwnProgram) {
  const std::string folder = test::corpus_folder().string();
  std::ifstream manifest(folder + "/manifest.json");
  if (!manifest) {
    GTEST_SKIP()
        << "SKIPPED: no corpus; set CONTAINERPILOT_CORPUS to its folder (default ../shared/corpus)";
  }
  int accepted = 0;
  int refused = 0;
  int more_tolerant = 0;
  for (const json& row : json::parse(manifest)) {
    std::vector<json> runs = {row};
    for (const json& run : row.value("cases", json::array())) {
      if (run["case"] != "run-by-3.8.0")
        runs.push_back(run);  // ours runs 1.x and 2.x files instead
    }
    const std::string file = row["file"];
    const std::string generation = row["generation"];
    for (const json& run : runs) {
      SCOPED_TRACE(file + " " + run.value("case", "") + " " + run.value("reason", ""));
      ConfigSource source{folder + "/" + file, "", generation != "v3"};
      const LoadResult result = load_config(source, options_for(row, run));
      if (run["accepts"]) {
        EXPECT_TRUE(result.plan) << explain_refusal(result);
        ++accepted;
      } else if (!result.plan) {
        ++refused;
      } else {
        EXPECT_TRUE(tolerated(generation).count(run["code"]) > 0)
            << "accepted, though: " << run["code"];
        ++more_tolerant;
      }
    }
  }
  RecordProperty("accepted", accepted);
  RecordProperty("refused", refused);
  RecordProperty("more_tolerant", more_tolerant);
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace containerpilot::agent
