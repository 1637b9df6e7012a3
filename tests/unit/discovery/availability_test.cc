#include "containerpilot/discovery/availability.h"

#include <gtest/gtest.h>

#include "support/log_capture.h"
#include "support/sim_reactor.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;

const Error kDead(Errc::kUnavailable, "cannot connect");

class AvailabilityTest : public testing::Test {
 protected:
  /// Fails probes for `length`; returns the moments of the probes since the beginning.
  std::vector<Duration> outage(Duration length) {
    std::vector<Duration> probes;
    const TimePoint start = loop.now();
    const Watch chance = availability.on_chance([&] {
      auto call = availability.begin();
      if (!call) return;
      probes.push_back(loop.now() - start);
      call->failed(kDead);
    });
    availability.begin()->failed(kDead);
    loop.advance(length);
    return probes;
  }

  test::LogCapture log;
  test::SimReactor loop;
  Availability availability{loop, "consul at x"};
};

TEST_F(AvailabilityTest, LetsEverybodyCallWhileAllIsWell) {
  auto a = availability.begin();
  auto b = availability.begin();
  ASSERT_TRUE(a && b);
  a->answered();
  EXPECT_TRUE(availability.up());
  EXPECT_TRUE(log.entries().empty());
}

TEST_F(AvailabilityTest, LetsOneProbeThroughInAnOutage) {
  availability.begin()->failed(kDead);
  EXPECT_FALSE(availability.begin());
  loop.advance(100ms);
  auto probe = availability.begin();
  ASSERT_TRUE(probe);
  EXPECT_FALSE(availability.begin());
  probe->answered();
  EXPECT_TRUE(availability.begin());
}

TEST_F(AvailabilityTest, ProbesWithGrowingJitteredDelaysUpToTwoSeconds) {
  const auto probes = outage(60s);
  ASSERT_GE(probes.size(), 30u);  // never more than 2 s apart
  Duration previous{0};
  Duration cap = 100ms;
  for (const Duration probe : probes) {
    EXPECT_LE(probe - previous, cap);
    EXPECT_GE(probe - previous, cap / 2);
    previous = probe;
    cap = std::min<Duration>(cap * 2, 2s);
  }
}

TEST_F(AvailabilityTest, WarnsOnceAndSaysOnceWhenItIsOver) {
  outage(60s);
  EXPECT_EQ(log.count("consul at x does not answer"), 1);
  availability.retry_now();
  availability.begin()->answered();
  EXPECT_EQ(log.count("consul at x answers again"), 1);
  EXPECT_EQ(log.entries().size(), 2u);
}

TEST_F(AvailabilityTest, KeepsSilentAboutASingleFailure) {
  availability.begin()->failed(kDead);
  loop.advance(1s);
  availability.begin()->answered();
  EXPECT_TRUE(log.entries().empty());
  EXPECT_EQ(availability.outages(), 1u);
}

TEST_F(AvailabilityTest, CountsCallsThatFailTogetherAsOne) {
  auto a = availability.begin();
  auto b = availability.begin();
  a->failed(kDead);
  b->failed(kDead);
  EXPECT_FALSE(log.contains("does not answer"));
}

TEST_F(AvailabilityTest, IsQuietAndQuickWhileExpectedToBeDown) {
  availability.expect_down();
  const auto probes = outage(10s);
  EXPECT_GE(probes.size(), 40u);  // every 250 ms or sooner
  EXPECT_TRUE(log.entries().empty());
  availability.retry_now();
  availability.begin()->answered();
  EXPECT_TRUE(log.entries().empty());
  outage(10s);  // the next one is news
  EXPECT_EQ(log.count("does not answer"), 1);
}

TEST_F(AvailabilityTest, ExpectationOutlivesAnswersOfACatalogAboutToGo) {
  availability.begin()->answered();
  availability.expect_down();
  availability.begin()->answered();
  outage(10s);
  EXPECT_TRUE(log.entries().empty());
}

TEST_F(AvailabilityTest, ARefusalIsNeitherAnOutageNorTheEndOfOne) {
  availability.begin()->refused(kDead);
  EXPECT_TRUE(availability.up());
  availability.begin()->failed(kDead);
  loop.advance(1s);
  availability.begin()->refused(kDead);
  EXPECT_FALSE(availability.up());
  EXPECT_FALSE(availability.begin()) << "the delay grows on";
  EXPECT_EQ(availability.outages(), 1u);
}

TEST_F(AvailabilityTest, AStartingCatalogThatRefusesIsNotThereYet) {
  availability.expect_down();
  availability.begin()->refused(kDead);
  EXPECT_TRUE(availability.lost());
  loop.advance(1s);
  availability.begin()->answered();
  EXPECT_TRUE(availability.up());
  EXPECT_TRUE(log.entries().empty());
}

TEST_F(AvailabilityTest, ACancelledProbeMakesRoomForTheNext) {
  availability.begin()->failed(kDead);
  loop.advance(100ms);
  bool chance = false;
  const Watch watch = availability.on_chance([&] { chance = true; });
  { const auto probe = availability.begin(); }
  loop.advance(0ms);
  EXPECT_TRUE(chance);
  EXPECT_TRUE(availability.begin());
}

TEST_F(AvailabilityTest, WaitersTakeTurns) {
  std::string order;
  const Watch a = availability.on_chance([&] {
    if (auto call = availability.begin()) {
      order += 'a';
      call->failed(kDead);
    }
  });
  const Watch b = availability.on_chance([&] {
    if (auto call = availability.begin()) {
      order += 'b';
      call->failed(kDead);
    }
  });
  availability.begin()->failed(kDead);
  loop.advance(10s);
  EXPECT_NE(order.find("ab"), std::string::npos);
  EXPECT_EQ(order.find("aaa"), std::string::npos);
  EXPECT_EQ(order.find("bbb"), std::string::npos);
}

}  // namespace
}  // namespace containerpilot::discovery
