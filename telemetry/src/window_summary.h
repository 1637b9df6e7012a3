#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/summary.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

/// Quantiles of the last ten minutes, sum and count of all time. prometheus-cpp's estimate is one
/// rank too low, which among three values is much: while there are few they are counted out.
class WindowSummary {
 public:
  using Clock = std::chrono::steady_clock;
  explicit WindowSummary(const std::vector<Quantile>& quantiles);

  void observe(double value, Clock::time_point now = Clock::now());
  /// NaN for each quantile when the window is empty.
  [[nodiscard]] prometheus::ClientMetric::Summary collect(Clock::time_point now = Clock::now());

 private:
  void forget_first();
  void forget_old(Clock::time_point now);

  const std::vector<Quantile> quantiles_;
  prometheus::Summary all_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::deque<std::pair<Clock::time_point, double>> recent_;
  std::vector<double> sorted_;            // the values of recent_
  Clock::time_point incomplete_until_{};  // values of the window that are not in recent_
};

}  // namespace containerpilot::telemetry
