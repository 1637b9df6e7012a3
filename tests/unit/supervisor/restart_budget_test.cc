#include "restart_budget.h"

#include <gtest/gtest.h>

namespace containerpilot {
namespace {

using namespace std::chrono_literals;

RestartPolicy policy(std::uint64_t limit) {
  RestartPolicy result;
  result.limit.count = limit;
  return result;
}

TEST(RestartBudget, FirstFailureRestartsAtOnceThenDoublesUpToTheMaximum) {
  RestartBudget budget(policy(Limit::kUnlimited));
  std::vector<Duration> delays;
  for (int i = 0; i < 12; ++i) {
    budget.ended(false, 1ms, false);
    delays.push_back(budget.take());
  }
  const std::vector<Duration> expected = {0ms,    100ms,  200ms,   400ms,   800ms,   1600ms,
                                          3200ms, 6400ms, 12800ms, 25600ms, 30000ms, 30000ms};
  EXPECT_EQ(delays, expected);
}

TEST(RestartBudget, ALongOrHealthyRunForgetsEarlierFailures) {
  RestartBudget budget(policy(Limit::kUnlimited));
  for (int i = 0; i < 5; ++i) budget.ended(false, 1ms, false);
  budget.ended(false, 10s, false);
  EXPECT_EQ(budget.take(), 0ms);
  for (int i = 0; i < 5; ++i) budget.ended(false, 1ms, false);
  budget.ended(false, 1ms, true);
  EXPECT_EQ(budget.take(), 0ms);
}

TEST(RestartBudget, AnUnlimitedLoopOfGoodRunsIsPacedToTenASecond) {
  RestartBudget budget(policy(Limit::kUnlimited));
  budget.ended(true, 30ms, false);
  EXPECT_EQ(budget.take(), 70ms);
  budget.ended(true, 5s, false);
  EXPECT_EQ(budget.take(), 0ms);
}

TEST(RestartBudget, CountsDown) {
  RestartBudget budget(policy(2));
  budget.ended(true, 1ms, false);
  EXPECT_EQ(budget.take(), 0ms);
  EXPECT_FALSE(budget.empty());
  EXPECT_TRUE(budget.take_tick());
  EXPECT_TRUE(budget.empty());
  EXPECT_FALSE(budget.take_tick());
}

}  // namespace
}  // namespace containerpilot
