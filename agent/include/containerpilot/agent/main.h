#pragma once

namespace containerpilot::agent {

/// The program behind main(): command line, then a command or the agent itself. Signals must be
/// blocked (block_signals) and the launcher's shim asked (run_shim_if_asked) before. Returns the
/// exit code.
int agent_main(int argc, char** argv);

}  // namespace containerpilot::agent
