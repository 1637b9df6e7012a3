#include "containerpilot/discovery/backoff.h"

#include <algorithm>
#include <random>

#include "containerpilot/supervisor/random_seed.h"

namespace containerpilot::discovery {

Duration random_below(Duration bound) {
  if (bound <= Duration{0}) return Duration{0};
  static thread_local std::minstd_rand generator(random_seed());
  return Duration(std::uniform_int_distribution<Duration::rep>(0, bound.count() - 1)(generator));
}

Duration Backoff::next() {
  constexpr unsigned kMaxShift = 20;  // far beyond any cap in use, far below an overflow
  const Duration full = std::min(first_ * (Duration::rep{1} << std::min(step_, kMaxShift)), cap_);
  ++step_;
  return full - random_below(full / 2);
}

}  // namespace containerpilot::discovery
