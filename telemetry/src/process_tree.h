#pragma once

#include <sys/types.h>

#include <optional>

#include "sensor_parse.h"

namespace containerpilot::telemetry {

/// containerpilot_process_*{name} of the process and of what its main threads started: at most a
/// thousand processes. nullopt when the process is gone. CPU time includes children that were
/// waited for; that of others is lost with them, and then the total stays where it was.
/// @param cpu  the total so far; 0 for a process not seen before
std::optional<Parsed> read_process_tree(pid_t pid, const std::string& job, double& cpu);

}  // namespace containerpilot::telemetry
