#include "old_words.h"

#include <string_view>
#include <utility>

namespace containerpilot::agent {

namespace {

/// "jobs" of "jobs[0].health.interval".
std::string_view block_of(std::string_view path) {
  return path.substr(0, path.find_first_of(".["));
}

bool is_unknown_key(const Problem& problem) {
  return block_of(problem.path) == problem.path && problem.message.starts_with("unknown key");
}

std::string unknown_keys(const std::vector<Problem>& errors) {
  std::string keys;
  for (const Problem& problem : errors) {
    if (is_unknown_key(problem)) keys += (keys.empty() ? "" : " ") + problem.path;
  }
  return "unknown config keys: [" + keys + "]";
}

}  // namespace

std::string in_old_words(const std::vector<Problem>& errors, bool rendered) {
  if (errors.empty()) return "cannot load the configuration";
  const Problem& first = errors.front();
  std::string problem = one_line(first);
  if (first.message.starts_with("cannot read config file")) {
    return "could not read config file: " + problem;
  }
  if (!rendered) return "could not apply template to config: " + problem;
  if (is_unknown_key(first)) return unknown_keys(errors) + ": " + problem;
  if (first.message.starts_with("no catalog is chosen")) {
    return "no discovery backend defined: " + problem;
  }
  constexpr std::pair<std::string_view, std::string_view> kBlocks[] = {
      {"jobs", "unable to parse jobs: "},
      {"watches", "unable to parse watches: "},
      {"control", "unable to parse control: "},
      {"telemetry", "telemetry configuration error: "}};
  for (const auto& [block, words] : kBlocks) {
    if (block_of(first.path) == block) return std::string(words) + problem;
  }
  if (!first.path.empty() || first.line == 0) return problem;
  return "parse error at line:col [" + std::to_string(first.line) + ":" +
         std::to_string(first.column) + "]: " + problem;
}

}  // namespace containerpilot::agent
