#include <gtest/gtest.h>

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"
#include "harness.h"

int main(int argc, char** argv) {
  // First of all, so that a child shows what it was given and not what block_signals() did.
  containerpilot::test::play_child_if_asked(argc, argv);
  containerpilot::block_signals();
  containerpilot::run_shim_if_asked(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
