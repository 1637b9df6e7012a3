#pragma once

#include <gtest/gtest.h>

#include <string>

#include "containerpilot/agent/config.h"

namespace containerpilot::test {

/// A machine of its own, the same wherever the test runs.
inline agent::LoadOptions options() {
  agent::LoadOptions out;
  out.addresses = {{"eth0", "192.0.2.2"}, {"lo", "127.0.0.1"}};
  out.hostname = "h";
  return out;
}

inline std::string messages(const agent::LoadResult& result) {
  std::string out;
  for (const agent::Problem& problem : result.errors) out += one_line(problem) + "\n";
  return out;
}

/// The plan of a config that must be accepted.
inline agent::Plan load(const std::string& text, const agent::LoadOptions& with = options()) {
  agent::LoadResult result = load_config({"", text, false}, with);
  EXPECT_TRUE(result.plan) << messages(result);
  return result.plan ? *result.plan : agent::Plan();
}

}  // namespace containerpilot::test
