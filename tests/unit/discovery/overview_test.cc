#include "overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "containerpilot/discovery/watcher.h"
#include "fake_catalog.h"
#include "support/fake_http.h"
#include "support/log_capture.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

constexpr int kWatches = 20;
constexpr std::size_t kPlaces = 4;
/// The bound, and the grid on which turns come.
constexpr Duration kBound = Watcher::kPollInterval + 500ms;

std::string name_of(int i) { return "s" + std::to_string(i); }

class OverviewTest : public testing::Test {
 protected:
  OverviewTest() {
    catalog.has_tables = true;
    catalog.places = kPlaces;
  }
  void watch(int count, const std::string& dc = "") {
    std::vector<WatchSpec> watches;
    for (int i = 0; i < count; ++i) {
      WatchSpec spec;
      spec.name = name_of(i);
      spec.source = "watch." + spec.name;
      spec.dc = dc;
      watches.push_back(spec);
    }
    watcher.set(watches);
  }
  void change(int i) {
    catalog.set_instances(name_of(i), {{std::to_string(++made), "web", "192.0.2.1", 80, {}, {}}});
  }
  /// Questions during `length` about services that have no place.
  std::size_t asked_in_turn(Duration length) {
    catalog.forget_log();
    loop.advance(length);
    return static_cast<std::size_t>(
        std::count_if(catalog.asked.begin(), catalog.asked.end(),
                      [](const FakeCatalog::Asked& asked) { return asked.index == 0; }));
  }

  test::LogCapture log;
  test::SimReactor loop;
  FakeCatalog catalog{loop};
  test::FakeResolver resolver{loop};
  std::map<std::string, TimePoint> told;
  Watcher watcher{loop, &catalog, resolver,
                  [this](const Change& change) { told[change.watch.name] = loop.now(); }};
  int made = 0;
};

TEST_F(OverviewTest, NobodyIsAskedInTurnWhileNothingChanges) {
  watch(kWatches);
  loop.advance(20s);
  EXPECT_EQ(asked_in_turn(5min), 0u);
  EXPECT_THAT(catalog.asked, SizeIs(testing::Le(5 * kPlaces + kPlaces)));
  EXPECT_THAT(catalog.asked_tables, SizeIs(testing::Le(5 * kTables.size() + kTables.size())));
  // Known to be true, though not asked again.
  for (const WatchState& state : watcher.states())
    EXPECT_LE(loop.now() - state.last_answer.value(), state.staleness == 0s ? 61s : kBound);
}

TEST_F(OverviewTest, AChangeOfAnythingIsSeenInTime) {
  watch(kWatches);
  loop.advance(20s);
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): the same changes each time
  for (int round = 0; round < 100; ++round) {
    const int which = static_cast<int>(random() % kWatches);
    const TimePoint at = loop.now();
    change(which);
    loop.advance(kBound);
    ASSERT_TRUE(told.contains(name_of(which)));
    ASSERT_GE(told[name_of(which)], at) << "in round " << round;
    loop.advance(std::chrono::milliseconds(random() % 30'000));
  }
}

TEST_F(OverviewTest, ACatalogWhereSomethingAlwaysChangesIsAskedInTurn) {
  watch(kWatches);
  loop.advance(20s);
  for (int i = 0; i < 600; ++i) {
    catalog.make_noise("other");
    loop.advance(500ms);
  }
  catalog.forget_log();
  for (int i = 0; i < 600; ++i) {
    catalog.make_noise("other");
    loop.advance(500ms);
  }
  EXPECT_THAT(catalog.asked_tables, SizeIs(testing::Le(4 * kTables.size())));
  EXPECT_GE(catalog.asked.size(), (kWatches - kPlaces) * 30);
  change(kWatches - 1);
  loop.advance(kBound);
  EXPECT_TRUE(told.contains(name_of(kWatches - 1)));
}

TEST_F(OverviewTest, ACatalogThatCannotTellIsAskedInTurn) {
  catalog.has_tables = false;
  watch(kWatches);
  loop.advance(10min);
  EXPECT_GE(asked_in_turn(60s), (kWatches - kPlaces) * 6);
  EXPECT_THAT(catalog.asked_tables, SizeIs(testing::Le(kTables.size())));
}

TEST_F(OverviewTest, TellsNothingOfAnotherDatacenter) {
  watch(kWatches, "elsewhere");
  loop.advance(20s);
  EXPECT_GE(asked_in_turn(60s), (kWatches - kPlaces) * 6);
}

TEST_F(OverviewTest, EndsWhenEveryQueryCanWait) {
  watch(kWatches);
  loop.advance(20s);
  EXPECT_EQ(catalog.waiting_for_tables(), kTables.size());
  watch(kPlaces);
  loop.advance(3min);
  EXPECT_EQ(catalog.waiting_for_tables(), 0u);
  EXPECT_THAT(catalog.asked_tables, testing::Not(IsEmpty()));
  watch(kWatches);
  loop.advance(20s);
  EXPECT_EQ(catalog.waiting_for_tables(), kTables.size());
}

TEST_F(OverviewTest, ARefusalIsNoAnswerThatCouldStillBeTrue) {
  watch(kWatches);
  loop.advance(20s);
  change(kWatches - 1);
  catalog.query_trouble = Error(Errc::kDenied, "not now");
  loop.advance(kBound);
  EXPECT_FALSE(told.contains(name_of(kWatches - 1)));
  catalog.query_trouble.reset();
  loop.advance(kBound + 10s);
  EXPECT_TRUE(told.contains(name_of(kWatches - 1)));
}

TEST_F(OverviewTest, StartsOverWithACatalogThatWasAway) {
  watch(kWatches);
  loop.advance(20s);
  catalog.lose_waiting();
  change(0);  // wakes nobody
  catalog.trouble = Error(Errc::kUnavailable, "gone");
  auto call = catalog.availability().begin();
  call->finished(&*catalog.trouble);  // a beat, say
  loop.advance(30s);
  catalog.trouble.reset();
  loop.advance(30s);
  EXPECT_EQ(catalog.waiting_for_tables(), kTables.size());
  EXPECT_EQ(asked_in_turn(60s), 0u);
  change(kWatches - 1);
  loop.advance(kBound);
  EXPECT_TRUE(told.contains(name_of(kWatches - 1)));
}

}  // namespace
}  // namespace containerpilot::discovery
