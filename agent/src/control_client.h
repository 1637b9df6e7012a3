#pragma once

#include "command_line.h"
#include "containerpilot/agent/config.h"

namespace containerpilot::agent {

/// Runs a command that talks to a running agent and returns the exit code: 0; 1 it refused or is
/// not reachable; for -status 0 all healthy, 1 not, 2 no agent answers. The socket is -socket,
/// $CONTAINERPILOT_SOCKET, or the one the configuration names.
int run_client(const CommandLine& line, const LoadOptions& options);

}  // namespace containerpilot::agent
