#include "config/commands.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "config/coerce.h"
#include "config/key_walk.h"

namespace containerpilot::agent {

namespace {

constexpr std::array<std::string_view, 3> kNewCommands = {"jobs[].exec", "jobs[].health.exec",
                                                          "sensors[].exec"};
constexpr std::array<std::string_view, 9> kOldCommands = {"prestart",
                                                          "onstart",
                                                          "prestop",
                                                          "poststop",
                                                          "tasks[].command",
                                                          "coprocesses[].command",
                                                          "services[].health",
                                                          "backends[].onchange",
                                                          "telemetry.sensors[].check"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool is_executable(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

bool is_on_path(const std::string& program, std::string_view path) {
  while (!path.empty()) {
    const std::size_t colon = std::min(path.find(':'), path.size());
    if (is_executable(std::string(path.substr(0, colon)) + "/" + program)) return true;
    path.remove_prefix(std::min(colon + 1, path.size()));
  }
  return false;
}

}  // namespace

void check_commands(Problems& problems, const Node& top, Generation generation,
                    const std::map<std::string, std::string, std::less<>>& environment) {
  const auto found = environment.find("PATH");
  const std::string_view path =
      found == environment.end() ? "/usr/local/bin:/usr/bin:/bin" : std::string_view(found->second);
  for_each_key(top, [&](const std::string& pattern, const Node& node) {
    const bool command = generation == Generation::kV3 ? contains(kNewCommands, pattern)
                                                       : contains(kOldCommands, pattern);
    if (!command || node.parent->find("cwd") != nullptr || node.parent->find("env") != nullptr)
      return;
    const auto argv = to_argv(node);
    if (!argv || argv->front().empty() || argv->front().find(kUnset) != std::string::npos) return;
    const std::string& program = argv->front();
    if (program.find('/') != std::string::npos) {
      if (!is_executable(program))
        problems.warning(node, "there is no program '" + printable(program) + "' here");
    } else if (!is_on_path(program, path)) {
      problems.warning(node, "there is no program '" + printable(program) + "' on PATH here");
    }
  });
}

}  // namespace containerpilot::agent
