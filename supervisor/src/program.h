#pragma once

#include <string>
#include <vector>

#include "containerpilot/supervisor/result.h"

namespace containerpilot::detail {

/// The file to execute for argv[0]: itself when it holds a '/', else the first executable of that
/// name in PATH of the child's `environment`. Errors: kNotFound, kDenied (found, but not
/// executable).
Result<std::string> find_program(const std::string& argv0,
                                 const std::vector<std::string>& environment);

/// Says why `path` could not be executed, looking into the file where the errno alone is ambiguous:
/// a missing interpreter of a script or of an ELF file, no "#!" line, another architecture.
Error explain_exec_failure(const std::string& path, int error);

}  // namespace containerpilot::detail
