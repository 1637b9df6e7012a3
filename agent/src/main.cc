#include "containerpilot/agent/main.h"

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"

int main(int argc, char** argv) {
  // Before any thread exists, and before anything is set up that a child could inherit.
  containerpilot::block_signals();
  containerpilot::run_shim_if_asked(argc, argv);
  return containerpilot::agent::agent_main(argc, argv);
}
