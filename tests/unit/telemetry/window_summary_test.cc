#include "window_summary.h"

#include <gtest/gtest.h>

#include <cmath>

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;

double quantile(WindowSummary& summary, std::size_t index, WindowSummary::Clock::time_point now) {
  return summary.collect(now).quantile.at(index).value;
}

TEST(WindowSummary, CountsFewValuesOut) {
  const auto now = WindowSummary::Clock::now();
  WindowSummary summary(default_quantiles());
  EXPECT_TRUE(std::isnan(quantile(summary, 0, now)));
  summary.observe(7, now);
  for (const std::size_t i : {0u, 1u, 2u}) EXPECT_EQ(quantile(summary, i, now), 7);
  for (const double value : {3, 1, 2}) summary.observe(value, now);
  EXPECT_EQ(quantile(summary, 0, now), 2);
  EXPECT_EQ(quantile(summary, 1, now), 7);
  EXPECT_EQ(quantile(summary, 2, now), 7);
  EXPECT_EQ(summary.collect(now).sample_sum, 13);
  EXPECT_EQ(summary.collect(now).sample_count, 4U);
}

TEST(WindowSummary, ForgetsAfterTenMinutes) {
  const auto now = WindowSummary::Clock::now();
  WindowSummary summary(default_quantiles());
  summary.observe(100, now);
  summary.observe(1, now + 5min);
  EXPECT_EQ(quantile(summary, 2, now + 9min), 100);
  EXPECT_EQ(quantile(summary, 2, now + 10min), 1);
  EXPECT_EQ(summary.collect(now + 10min).sample_count, 2U);
}

TEST(WindowSummary, EstimatesWhenThereAreMany) {
  const auto now = WindowSummary::Clock::now();
  WindowSummary summary(default_quantiles());
  for (int i = 1; i <= 10000; ++i) summary.observe((i * 7919) % 10000, now);
  EXPECT_NEAR(quantile(summary, 0, now), 5000, 500);
  EXPECT_NEAR(quantile(summary, 1, now), 9000, 100);
  EXPECT_NEAR(quantile(summary, 2, now), 9900, 10);
}

}  // namespace
}  // namespace containerpilot::telemetry
