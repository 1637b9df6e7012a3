#pragma once

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// Delays between attempts: doubling from `first` up to `cap`, each cut by a random part of up to
/// half, so that a fleet which lost its catalog at one moment does not come back at one moment.
class Backoff {
 public:
  Backoff(Duration first, Duration cap) : first_(first), cap_(cap) {}
  /// The delay before the next attempt; longer with each call until reset().
  Duration next();
  void reset() { step_ = 0; }
  void set_cap(Duration cap) { cap_ = cap; }
  /// How many delays were given since the last reset().
  [[nodiscard]] unsigned steps() const { return step_; }

 private:
  Duration first_;
  Duration cap_;
  unsigned step_ = 0;
};

/// A random duration in [0, bound).
Duration random_below(Duration bound);

}  // namespace containerpilot::discovery
