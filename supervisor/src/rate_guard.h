#pragma once

#include <cstdint>
#include <utility>

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot {

/// Lets `per_second` lines through in each second and counts the others. Pure: time comes in.
class RateGuard {
 public:
  explicit RateGuard(unsigned per_second) : per_second_(per_second) {}

  /// False: leave this line out.
  bool admit(TimePoint now) {
    if (per_second_ == 0) return true;
    if (now - window_ >= std::chrono::seconds(1)) {
      window_ = now;
      admitted_ = 0;
    }
    if (admitted_ < per_second_) {
      ++admitted_;
      return true;
    }
    ++suppressed_;
    ++untold_;
    return false;
  }
  /// How many were left out since the last call.
  std::uint64_t take_untold() { return std::exchange(untold_, 0); }
  [[nodiscard]] std::uint64_t suppressed() const { return suppressed_; }

 private:
  unsigned per_second_;
  unsigned admitted_ = 0;
  TimePoint window_{};
  std::uint64_t suppressed_ = 0;
  std::uint64_t untold_ = 0;
};

}  // namespace containerpilot
