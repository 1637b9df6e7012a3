#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/result.h"
#include "user_db.h"

namespace containerpilot::detail {

/// What a child finds in its environment: `inherited` (only PATH of it with clear_env), then HOME,
/// USER and LOGNAME of `identity`, then env_files in order, then spec.env; later ones win. Errors:
/// kInvalid with file and line; kNotFound, kDenied, kIo for a file that cannot be read.
Result<std::vector<std::string>> child_environment(const ProcessSpec& spec,
                                                   std::vector<std::string> inherited,
                                                   const Identity& identity);

/// Appends the KEY=VALUE lines of an env file. Blank lines and lines that begin with '#' are
/// skipped, a leading "export " too; a value in matching quotes loses them; nothing is expanded. At
/// most 1 MiB.
Status read_env_file(const std::string& path,
                     std::vector<std::pair<std::string, std::string>>& out);

/// Replaces the entry of that key or appends one.
void set_variable(std::vector<std::string>& environment, std::string_view key,
                  std::string_view value);
/// Null when `environment` ("KEY=value") has no such key.
const char* find_variable(const std::vector<std::string>& environment, std::string_view key);

}  // namespace containerpilot::detail
