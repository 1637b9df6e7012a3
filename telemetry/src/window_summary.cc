#include "window_summary.h"

#include <algorithm>
#include <cmath>

namespace containerpilot::telemetry {
namespace {

// Source: ContainerPilot 3.8.0 (the defaults of its Prometheus client).
constexpr std::chrono::minutes kWindow{10};
constexpr int kAgeBuckets = 5;
constexpr std::size_t kCountedOut = 500;

prometheus::Summary::Quantiles library_quantiles(const std::vector<Quantile>& quantiles) {
  prometheus::Summary::Quantiles out;
  for (const Quantile& q : quantiles) out.emplace_back(q.quantile, q.error);
  return out;
}

}  // namespace

WindowSummary::WindowSummary(const std::vector<Quantile>& quantiles)
    : quantiles_(quantiles), all_(library_quantiles(quantiles), kWindow, kAgeBuckets) {}

void WindowSummary::forget_old(Clock::time_point now) {
  while (!recent_.empty() && recent_.front().first + kWindow <= now) recent_.pop_front();
}

void WindowSummary::observe(double value, Clock::time_point now) {
  all_.Observe(value);
  forget_old(now);
  if (recent_.size() == kCountedOut) {
    incomplete_until_ = recent_.front().first + kWindow;
    recent_.pop_front();
  }
  recent_.emplace_back(now, value);
}

prometheus::ClientMetric::Summary WindowSummary::collect(Clock::time_point now) {
  auto summary = all_.Collect().summary;
  forget_old(now);
  if (recent_.empty() || now < incomplete_until_) return summary;
  std::vector<double> values;
  for (const auto& [at, value] : recent_) values.push_back(value);
  std::sort(values.begin(), values.end());
  for (auto& quantile : summary.quantile) {
    // The smallest value that has at least this part of all at or below it.
    const double rank = std::ceil(quantile.quantile * static_cast<double>(values.size()));
    quantile.value = values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
  }
  return summary;
}

}  // namespace containerpilot::telemetry
