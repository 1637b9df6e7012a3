#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "containerpilot/supervisor/job_spec.h"

namespace containerpilot {

/// How often and how soon a job may run again. Pure: time comes in, no clock inside.
class RestartBudget {
 public:
  /// Runs that end well are used as loops by existing configurations: at once, but not faster than
  /// this.
  static constexpr Duration kLoopPace = std::chrono::milliseconds(100);

  explicit RestartBudget(const RestartPolicy& policy)
      : policy_(policy), left_(policy.limit.count) {}

  [[nodiscard]] bool empty() const { return left_ == 0; }
  [[nodiscard]] unsigned failures_in_a_row() const { return failures_; }
  void close() { left_ = 0; }
  /// A run ended: how long did it take, was it good?
  void ended(bool success, Duration ran, bool was_healthy) {
    if (success) {
      failures_ = 0;
    } else {
      failures_ = (ran >= policy_.reset_after || was_healthy) ? 1 : failures_ + 1;
    }
    last_run_ = ran;
  }
  /// Takes one restart; how long to wait before it, without jitter. Not to be called when empty().
  Duration take() {
    if (left_ != Limit::kUnlimited) --left_;
    return delay();
  }
  /// The same without taking it: for a restart that does not count.
  [[nodiscard]] Duration delay() const {
    if (failures_ == 0)
      return left_ == Limit::kUnlimited ? std::max(Duration(0), kLoopPace - last_run_)
                                        : Duration(0);
    if (failures_ == 1) return Duration(0);
    Duration delay = policy_.delay;
    for (unsigned i = 2; i < failures_ && delay < policy_.max_delay; ++i) delay *= 2;
    return std::min(delay, policy_.max_delay);
  }
  /// Counts a tick of an interval job; false when none is left.
  bool take_tick() {
    if (left_ == 0) return false;
    if (left_ != Limit::kUnlimited) --left_;
    return true;
  }

 private:
  RestartPolicy policy_;
  std::uint64_t left_;
  unsigned failures_ = 0;
  Duration last_run_{0};
};

}  // namespace containerpilot
