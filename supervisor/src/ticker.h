#pragma once

#include <functional>

#include "containerpilot/supervisor/job_spec.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot {

/// Calls back on every tick of an interval. The next deadline is computed from the previous one,
/// not from now, and what was missed (a long turn, a suspend) is skipped.
class Ticker {
 public:
  virtual ~Ticker() = default;
  Ticker() = default;
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;
  /// Wall time of the next tick.
  [[nodiscard]] virtual WallTime next() const = 0;
};

/// For Trigger::Kind::kInterval and kSchedule. `jitter` is drawn anew for each tick.
std::unique_ptr<Ticker> make_ticker(Reactor& reactor, const Trigger& trigger,
                                    std::function<void()> on_tick);

}  // namespace containerpilot
