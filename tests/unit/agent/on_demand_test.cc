#include "on_demand.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>

namespace containerpilot::agent {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class OnDemandTest : public testing::Test {
 protected:
  OnDemandTest() : loop(std::move(EpollReactor::create()).value()) {}
  ~OnDemandTest() override { stop(); }
  void turn() {
    turning = std::thread([this] { loop->run(); });
  }
  void stop() {
    if (!turning.joinable()) return;
    loop->stop();
    turning.join();
  }

  std::unique_ptr<EpollReactor> loop;
  std::thread turning;
  std::atomic<int> runs = 0;
  Clock::duration cost{0};
  OnDemand work{*loop, [this] {
                  ++runs;
                  for (const auto end = Clock::now() + cost; Clock::now() < end;) {
                  }
                }};
};

TEST_F(OnDemandTest, IsDoneWhenSomebodyLooksAndSomethingHasChanged) {
  turn();
  work.refresh();
  EXPECT_EQ(runs, 1);
  work.refresh();
  EXPECT_EQ(runs, 1);
  work.changed();
  EXPECT_EQ(runs, 1);
  for (const auto deadline = Clock::now() + 30s; runs == 1 && Clock::now() < deadline;)
    work.refresh();
  EXPECT_EQ(runs, 2);
}

TEST_F(OnDemandTest, TakesAHundredthOfTheTimeAtMost) {
  cost = 10ms;
  turn();
  work.refresh();
  work.changed();
  work.refresh();  // within a second
  EXPECT_EQ(runs, 1);
}

TEST_F(OnDemandTest, AStuckLoopIsNotWaitedFor) {
  const auto start = Clock::now();
  work.refresh();
  EXPECT_GE(Clock::now() - start, 90ms);
  EXPECT_EQ(runs, 0);
}

TEST_F(OnDemandTest, NobodyIsHeldWhenItCloses) {
  std::thread looking([this] { work.refresh(); });
  work.close();
  looking.join();
  work.refresh();
  turn();
  stop();
  EXPECT_LE(runs, 1);  // what was asked for before
  work.refresh();
  EXPECT_LE(runs, 1);
}

}  // namespace
}  // namespace containerpilot::agent
