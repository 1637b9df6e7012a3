#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "containerpilot/agent/plan.h"
#include "containerpilot/supervisor/result.h"
#include "export.h"

namespace containerpilot::agent {

/// What argv asks for. Several commands may be given; the order of `Command` decides, as it did.
struct CommandLine {
  enum class Command : std::uint8_t {
    kRun,
    kHelp,
    kVersion,
    kTemplate,
    kReload,
    kMaintenance,
    kPutEnv,
    kPutMetric,
    kPing,
    kStatus,
    kWhy,
    kEvents,
    kFollow,
    kJob,  ///< -start, -stop, -restart, -signal
    kCheck,
    kExplain,
    kCatalog,
    kExport,
  };
  Command command = Command::kRun;
  std::vector<std::string> configs;
  std::string out;
  std::string maintenance;
  std::vector<std::pair<std::string, std::string>> pairs;  ///< of -putenv or -putmetric
  std::string socket;
  bool json = false;
  std::string job;         ///< of -why, -follow, -start, -stop, -restart, -signal
  std::string job_action;  ///< "start", "stop", "restart", "signal/SIGHUP"
  std::string listen;      ///< of -catalog
  ExportFormat export_format = ExportFormat::kGrafana;
  ExportOptions export_options;
  std::optional<Generation> generation;
  std::vector<std::string> positional;
};

/// Flags as Go's `flag` reads them: one or two dashes, "-x v" or "-x=v", booleans only "-x" or
/// "-x=true"; ends at the first argument that is none, or at "--". Errors: kInvalid (exit code 2,
/// with usage). Pure.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

/// Text of -help.
std::string usage();

}  // namespace containerpilot::agent
