#include "containerpilot/agent/main.h"

#include <malloc.h>

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"

int main(int argc, char** argv) {
  // One thread does the work: the others allocate too little to be worth 64 MB of addresses each.
  ::mallopt(M_ARENA_MAX, 1);  // NOLINT(concurrency-mt-unsafe): there is no other yet
  // Before any thread exists, and before anything is set up that a child could inherit.
  containerpilot::block_signals();
  containerpilot::run_shim_if_asked(argc, argv);
  return containerpilot::agent::agent_main(argc, argv);
}
