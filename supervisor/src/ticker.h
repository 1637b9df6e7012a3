#pragma once

#include <functional>
#include <memory>
#include <random>

#include "containerpilot/supervisor/job_spec.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot {

/// Calls back on every tick of an interval or a schedule.
///
/// Interval: the next deadline is computed from the previous one, not from now, and what was missed
/// (a long turn, a suspend) is skipped.
/// Schedule: by the wall clock. Times missed while the machine slept or because the clock was set
/// forward make one tick, at the latest kClockCheck after; a clock set back repeats nothing, unless
/// it was set back by kNewReckoning or more.
class Ticker {
 public:
  static constexpr Duration kClockCheck = std::chrono::seconds(30);
  static constexpr Duration kNewReckoning = std::chrono::hours(3);

  virtual ~Ticker() = default;
  Ticker() = default;
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;
  /// Wall time of the next tick; the far future when there will be none.
  [[nodiscard]] virtual WallTime next() const = 0;
};

/// For Trigger::Kind::kInterval and kSchedule. `jitter` is drawn anew for each tick; ticks of an
/// interval come `phase` later than whole intervals from now. `random` outlives the ticker.
std::unique_ptr<Ticker> make_ticker(Reactor& reactor, std::minstd_rand& random,
                                    const Trigger& trigger, Duration phase,
                                    std::function<void()> on_tick);

}  // namespace containerpilot
