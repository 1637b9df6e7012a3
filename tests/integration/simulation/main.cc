// simulation [FIRST [COUNT]]: lives that many lives (support/job_world.h), by default 10,000 (with
// CONTAINERPILOT_LONG in the environment 100,000) from 1. Prints the seed of each that breaks a
// promise; `simulation SEED 1` repeats and tells it.

#include <cstdio>
#include <cstdlib>

#include "support/job_world.h"

int main(int argc, char** argv) {
  const std::uint64_t first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  const std::uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10)
                              : std::getenv("CONTAINERPILOT_LONG") != nullptr ? 100'000
                                                                              : 10'000;
  constexpr int kEnough = 20;
  std::function<void(std::string_view)> log;
  if (count == 1) {
    log = [](std::string_view line) {
      std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
    };
  }
  int broken = 0;
  for (std::uint64_t seed = first; seed < first + count && broken < kEnough; ++seed) {
    const std::string violation = containerpilot::test::live_one_life(seed, log);
    if (violation.empty()) continue;
    ++broken;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), violation.c_str());
  }
  std::printf("%llu lives from seed %llu, %d broken\n", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(first), broken);
  return broken == 0 ? 0 : 1;
}
