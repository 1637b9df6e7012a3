#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/agent/plan.h"
#include "containerpilot/agent/problem.h"
#include "containerpilot/discovery/interfaces.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::agent {

/// Where a configuration comes from.
struct ConfigSource {
  std::string path;  ///< a file; empty: `text` is the configuration itself
  std::string text;
  /// Given as "file://PATH" or as inline text, the only forms generations 1 and 2 knew; it helps to
  /// tell the generations apart.
  bool old_form = false;
};

/// What `-config VALUE` or $CONTAINERPILOT means: "file://PATH", inline text (anything with a '{'
/// in it), or a path. Pure.
ConfigSource config_source(std::string_view value);
std::vector<ConfigSource> config_sources(const std::vector<std::string>& values);

struct LoadOptions {
  std::map<std::string, std::string, std::less<>> environment;
  /// Addresses of this host, as discovery::list_addresses() gives them.
  std::vector<discovery::InterfaceAddress> addresses;
  std::string hostname;
  std::optional<Generation> generation;  ///< forced; else told from the document
  /// Positional command: the main application of generations 1 and 2.
  std::vector<std::string> command;
  int agent_pid = 0;  ///< what templates in `command` find as CONTAINERPILOT_PID
  bool containerbuddy =
      false;  ///< called as "containerbuddy", or config from $CONTAINERBUDDY: 1.x names
  /// Only looking (-check): what depends on this host (addresses, files) is a warning.
  bool check = false;
};

struct LoadResult {
  std::optional<Plan> plan;  ///< set if and only if `errors` is empty
  std::vector<Problem> errors;
  std::vector<Problem> warnings;
  /// Where ours differs on purpose from the program this file was written for; `accepted` says how
  /// to keep the old behaviour. Filled for -check only.
  std::vector<Problem> differences;
};

/// What -check prints: every error and warning with its line and a caret, then "differs from the
/// original for this file" with the differences.
std::string check_report(const LoadResult& result);

/// Reads, renders, parses and validates; finds all problems, not only the first. Several sources
/// are merged in order, later ones winning (rules in agent/README.md); a folder stands for its
/// *.json5 and
/// *.json files by name. Reads files, nothing else; never throws. Any thread.
LoadResult load_config(const std::vector<ConfigSource>& sources, const LoadOptions& options);
LoadResult load_config(const ConfigSource& source, const LoadOptions& options);

/// The configuration as text, its template rendered, nothing more (-template); of several sources
/// one after the other. Errors: kIo, kInvalid with the file's name in front.
Result<std::string> render_config(const std::vector<ConfigSource>& sources,
                                  const LoadOptions& options);

/// The control socket the configuration names. Light: validates nothing else, so that commands
/// reach a running agent while its configuration is broken.
struct ControlSocket {
  std::string path;     ///< the default path when the configuration cannot be read
  std::string problem;  ///< why the default was taken; empty when it was not
};
ControlSocket find_control_socket(const std::vector<ConfigSource>& sources,
                                  const LoadOptions& options);

}  // namespace containerpilot::agent
