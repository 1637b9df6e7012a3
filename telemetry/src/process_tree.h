#pragma once

#include <sys/types.h>

#include <optional>

#include "sensor_parse.h"

namespace containerpilot::telemetry {

/// containerpilot_process_*{name} of the process and of what its main threads started: at most a
/// thousand processes. CPU time includes children that were waited for, so the total does not fall
/// when a worker ends. nullopt when the process is gone.
std::optional<Parsed> read_process_tree(pid_t pid, const std::string& job);

}  // namespace containerpilot::telemetry
