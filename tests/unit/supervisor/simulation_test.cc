#include <gtest/gtest.h>

#include "support/job_world.h"

namespace containerpilot {
namespace {

// Ten thousand more: tests/integration/simulation.
TEST(Simulation, ManyLivesKeepEveryPromise) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const std::string violation = test::live_one_life(seed);
    ASSERT_EQ(violation, "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace containerpilot
