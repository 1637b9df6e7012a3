// What a person sees for each kind of mistake: tests/data/errors/messages.txt holds broken
// configurations, each followed by its messages. CONTAINERPILOT_UPDATE_GOLDEN=1 rewrites the
// messages, to be read before they are committed.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "containerpilot/agent/config.h"

namespace containerpilot::agent {
namespace {

constexpr const char* kGolden = "tests/data/errors/messages.txt";
constexpr const char* kTitle = "=== ";
constexpr const char* kSays = "--- says";

struct Case {
  std::string title, config, messages;
};

std::vector<Case> read_cases() {
  std::vector<Case> out;
  std::ifstream file(kGolden);
  bool in_messages = false;
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, 4, kTitle) == 0) {
      out.push_back({line.substr(4), "", ""});
      in_messages = false;
    } else if (line == kSays) {
      in_messages = true;
    } else if (!out.empty()) {
      (in_messages ? out.back().messages : out.back().config) += line + "\n";
    }
  }
  return out;
}

/// As the agent prints them: warnings first.
std::string messages_of(const std::string& title, const std::string& config) {
  LoadOptions options;
  options.addresses = {{"eth0", "192.0.2.2"}, {"lo", "127.0.0.1"}};
  options.hostname = "host";
  const LoadResult result = load_config({"", config, false}, options);
  EXPECT_FALSE(result.errors.empty()) << "accepted: " << title;
  std::string out;
  for (const auto* list : {&result.warnings, &result.errors}) {
    for (const Problem& problem : *list) out += with_excerpt(problem) + "\n";
  }
  return out;
}

TEST(ErrorMessages, AreTheOnesOnRecord) {
  std::vector<Case> cases = read_cases();
  ASSERT_GE(cases.size(), 80U) << "run from the top of the sources";
  const bool update = std::getenv("CONTAINERPILOT_UPDATE_GOLDEN") != nullptr;
  for (Case& one : cases) {
    const std::string actual = messages_of(one.title, one.config);
    if (update) {
      one.messages = actual;
    } else {
      EXPECT_EQ(actual, one.messages) << one.title;
    }
  }
  if (!update) return;
  std::ofstream file(kGolden);
  for (const Case& one : cases) {
    file << kTitle << one.title << "\n" << one.config << kSays << "\n" << one.messages;
  }
}

}  // namespace
}  // namespace containerpilot::agent
