#include "window_summary.h"

#include <algorithm>
#include <cmath>

namespace containerpilot::telemetry {
namespace {

// Source: ContainerPilot 3.8.0 (the defaults of its Prometheus client).
constexpr std::chrono::minutes kWindow{10};
constexpr int kAgeBuckets = 5;
constexpr std::size_t kCountedOut = 1000;  // more than a scrape each second makes

prometheus::Summary::Quantiles library_quantiles(const std::vector<Quantile>& quantiles) {
  prometheus::Summary::Quantiles out;
  for (const Quantile& q : quantiles) out.emplace_back(q.quantile, q.error);
  return out;
}

}  // namespace

WindowSummary::WindowSummary(const std::vector<Quantile>& quantiles)
    : quantiles_(quantiles), all_(library_quantiles(quantiles), kWindow, kAgeBuckets) {}

void WindowSummary::forget_first() {
  sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), recent_.front().second));
  recent_.pop_front();
}

void WindowSummary::forget_old(Clock::time_point now) {
  while (!recent_.empty() && recent_.front().first + kWindow <= now) forget_first();
}

void WindowSummary::observe(double value, Clock::time_point now) {
  all_.Observe(value);
  ++count_;
  sum_ += value;
  forget_old(now);
  if (recent_.size() == kCountedOut) {
    incomplete_until_ = recent_.front().first + kWindow;
    forget_first();
  }
  recent_.emplace_back(now, value);
  sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), value), value);
}

prometheus::ClientMetric::Summary WindowSummary::collect(Clock::time_point now) {
  forget_old(now);
  if (recent_.empty() || now < incomplete_until_) return all_.Collect().summary;
  prometheus::ClientMetric::Summary summary;
  summary.sample_count = count_;
  summary.sample_sum = sum_;
  for (const Quantile& q : quantiles_) {
    // The smallest value that has at least this part of all at or below it.
    const double rank = std::ceil(q.quantile * static_cast<double>(sorted_.size()));
    summary.quantile.push_back(
        {q.quantile, sorted_[static_cast<std::size_t>(std::max(rank, 1.0)) - 1]});
  }
  return summary;
}

}  // namespace containerpilot::telemetry
