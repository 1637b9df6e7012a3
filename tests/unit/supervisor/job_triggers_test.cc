// What starts a job, in the less usual cases: conditions, bursts, reloads, by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "supervisor_test.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using test::FakeLauncher;
using ::testing::ElementsAre;

JobSpec every(Duration interval, HeldCondition condition) {
  JobSpec spec = job("tick");
  spec.when.kind = Trigger::Kind::kInterval;
  spec.when.interval = interval;
  spec.when.condition = std::move(condition);
  spec.restarts.limit.count = Limit::kUnlimited;
  return spec;
}

JobSpec beside(std::string name, std::string source, HeldState state = HeldState::kRunning) {
  JobSpec spec = job(std::move(name));
  spec.when.kind = Trigger::Kind::kWhile;
  spec.when.events.clear();
  spec.when.condition = HeldCondition{std::move(source), state};
  return spec;
}

TEST_F(SupervisorTest, AnIntervalWithAConditionBeginsWhenItHolds) {
  launcher_.on_start([this](FakeLauncher::Run& r) { launcher_.finish_after(r, 1ms); });
  run({every(1h, {"watch.db", HeldState::kHealthy})});
  loop_.advance(10min);
  EXPECT_EQ(launcher_.starts("tick"), 0);
  bus_.publish({EventCode::kHealthy, "watch.db"}, 0);
  loop_.advance(1s);
  EXPECT_EQ(launcher_.starts("tick"), 1);
  loop_.advance(1h);
  EXPECT_EQ(launcher_.starts("tick"), 2);
  bus_.publish({EventCode::kUnhealthy, "watch.db"}, 0);
  loop_.advance(2h);
  EXPECT_EQ(launcher_.starts("tick"), 2);
}

TEST_F(SupervisorTest, ATickThatWaitedIsForgottenWhenItsConditionEnds) {
  run({every(1s, {"watch.db", HeldState::kHealthy})});
  bus_.publish({EventCode::kHealthy, "watch.db"}, 0);
  loop_.advance(5s);
  bus_.publish({EventCode::kUnhealthy, "watch.db"}, 0);
  loop_.settle();
  launcher_.finish("tick");
  EXPECT_EQ(launcher_.starts("tick"), 1);
}

TEST_F(SupervisorTest, WhatRunsWhileAnotherRunsIsNoReasonToStay) {
  run({job("app"), beside("side", "app"), beside("aside", "side")});
  loop_.advance(1ms);
  EXPECT_EQ(launcher_.running("aside"), 1);
  launcher_.finish("app");
  loop_.advance(1ms);
  EXPECT_EQ(launcher_.running(), 0U);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, WhatWaitsForAnEventIsAsIn3X) {
  for (const auto& [code, source] :
       {std::pair(EventCode::kSignal, "SIGHUP"), std::pair(EventCode::kExitFailed, "app")}) {
    run({job("app"), job_when("waits", Trigger::Kind::kOnce, code, source)});
    launcher_.finish("app");
    loop_.advance(1h);
    EXPECT_FALSE(exit_code_);
  }
}

TEST_F(SupervisorTest, ABurstIsOneStartAfterItsLastEvent) {
  JobSpec spec = job_when("once", Trigger::Kind::kOnce, EventCode::kChanged, "watch.db");
  spec.when.debounce = 5s;
  run({spec});
  for (int i = 0; i < 3; ++i) {
    bus_.publish({EventCode::kChanged, "watch.db"}, 0);
    loop_.advance(4s);
    EXPECT_EQ(launcher_.starts("once"), 0);
  }
  loop_.advance(1s);
  EXPECT_EQ(launcher_.starts("once"), 1);
  launcher_.finish("once");
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, OneThatIsAlwaysReplacedIsStillKilledInTime) {
  JobSpec spec = job_when("deaf", Trigger::Kind::kEach, EventCode::kSignal, "SIGHUP");
  spec.when.overlap = Overlap::kReplace;
  spec.stop_timeout = 5s;
  launcher_.obey_signals(1h);
  run({spec});
  for (int i = 0; i < 5; ++i) {
    bus_.publish({EventCode::kSignal, "SIGHUP"}, 0);
    loop_.advance(2s);
  }
  EXPECT_EQ(launcher_.runs()[0]->group_signals, std::vector<int>{SIGTERM}) << "told once";
  EXPECT_TRUE(launcher_.runs()[0]->tree_killed);
  EXPECT_EQ(launcher_.starts("deaf"), 2);
}

TEST_F(SupervisorTest, AReloadStartsWhatHasAllItWaitsForAndStartsItOnce) {
  JobSpec both = job("both");
  both.when.kind = Trigger::Kind::kAll;
  both.when.events = {{EventCode::kExitSuccess, "a"}, {EventCode::kHealthy, "watch.db"}};
  JobSpec one = job_when("one", Trigger::Kind::kOnce, EventCode::kHealthy, "watch.db");
  run({job("a"), job("stay"), both});
  bus_.publish({EventCode::kHealthy, "watch.db"}, 0);
  loop_.settle();
  launcher_.finish("a");
  ASSERT_EQ(launcher_.running("both"), 1);
  both.exec->argv.emplace_back("-x");
  reload({job("a"), job("stay"), both, one});
  EXPECT_EQ(launcher_.last("both").spec.argv.size(), 2U);
  EXPECT_EQ(launcher_.running("both"), 1);
  launcher_.finish("one");
  bus_.publish({EventCode::kHealthy, "watch.db"}, 0);
  loop_.settle();
  EXPECT_EQ(launcher_.starts("one"), 1);
}

TEST_F(SupervisorTest, EveryRunHasACause) {
  const auto why = [this](const std::string& name) {
    const auto& chain = *supervisor_->job(name)->why;
    return chain.empty() ? "nothing" : std::string(event_code_name(chain.front().key.code));
  };
  run({job("app"), beside("side", "app"), job("stay")});
  loop_.advance(1ms);
  EXPECT_EQ(why("side"), "startup");  // what made the app run
  reload({job("app"), beside("side", "app"), job("stay"), job("new")});
  EXPECT_EQ(why("new"), "reloaded");
  ASSERT_TRUE(supervisor_->restart_job("app"));
  loop_.settle();
  EXPECT_EQ(why("app"), "requested");
  EXPECT_TRUE(log_.contains("because of a restart by hand"));
  EXPECT_TRUE(log_.contains("because of a reload"));
  EXPECT_TRUE(log_.contains("while 'app' is running"));
}

TEST_F(SupervisorTest, TheLastJobCanBeStoppedByHandAndStartedAgain) {
  run({job("app"), beside("side", "app")});
  ASSERT_TRUE(supervisor_->stop_job("app"));
  loop_.advance(1h);
  EXPECT_EQ(state("app"), JobState::kComplete);
  EXPECT_FALSE(exit_code_);
  ASSERT_TRUE(supervisor_->start_job("app"));
  loop_.advance(1ms);
  EXPECT_EQ(launcher_.running("side"), 1);
  launcher_.finish("app");
  loop_.advance(1ms);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, JobsOfOneIntervalAreNotAllDueAtOnce) {
  std::vector<JobSpec> jobs;
  for (int i = 0; i < 30; ++i) {
    jobs.push_back(job("tick" + std::to_string(i)));
    jobs.back().when.kind = Trigger::Kind::kInterval;
    jobs.back().when.interval = 100ms;
    jobs.back().when.first_run_at_once = true;
    jobs.back().restarts.limit.count = Limit::kUnlimited;
  }
  std::map<TimePoint, int> starts;
  launcher_.on_start([&](test::FakeLauncher::Run& run) {
    ++starts[run.started_at];
    launcher_.finish_after(run, 1ms);
  });
  run(jobs);
  loop_.advance(50ms);
  ASSERT_EQ(starts.size(), 1U) << "the first runs come with the agent";
  loop_.advance(100ms);
  EXPECT_EQ(starts.size(), 1U + 10U);  // half of the interval, 5 ms apart
  for (auto it = std::next(starts.begin()); it != starts.end(); ++it) EXPECT_EQ(it->second, 3);
}

TEST_F(SupervisorTest, TheNextRunWaitsForWhatTheLastOneLeftBehind) {
  JobSpec spec = job("app");
  spec.stop_timeout = 5s;
  run({spec});
  loop_.advance(1s);
  test::FakeLauncher::Run& first = launcher_.last("app");
  first.leaves_others = true;
  ASSERT_TRUE(supervisor_->restart_job("app"));
  loop_.advance(4900ms);
  EXPECT_THAT(first.told_others, ElementsAre(SIGTERM)) << "who left the group heard nothing yet";
  EXPECT_EQ(launcher_.running("app"), 0);
  EXPECT_EQ(launcher_.starts("app"), 1);
  loop_.advance(200ms);
  EXPECT_THAT(first.told_others, ElementsAre(SIGTERM, SIGKILL));
  EXPECT_EQ(launcher_.starts("app"), 2);

  launcher_.last("app").leaves_others = true;
  ASSERT_TRUE(supervisor_->restart_job("app"));
  loop_.advance(1s);
  ASSERT_TRUE(supervisor_->stop_job("app"));
  loop_.advance(1s);
  EXPECT_EQ(supervisor_->job("app")->state, JobState::kStopping) << "a stop waits for them, too";
  loop_.advance(4s);
  EXPECT_EQ(supervisor_->job("app")->state, JobState::kComplete);
  EXPECT_EQ(launcher_.starts("app"), 2);
}

TEST_F(SupervisorTest, AScheduleStoppedByHandRunsAtOnceWhenStartedByHand) {
  JobSpec spec = job("cron");
  spec.when.kind = Trigger::Kind::kSchedule;
  spec.when.schedule = parse_schedule("0 4 * * *", "UTC").value();
  spec.restarts.limit.count = Limit::kUnlimited;
  run({spec});
  ASSERT_TRUE(supervisor_->stop_job("cron"));
  loop_.settle();
  ASSERT_TRUE(supervisor_->start_job("cron"));
  loop_.settle();
  EXPECT_EQ(launcher_.running("cron"), 1);
  launcher_.finish("cron");
  loop_.advance(1h);
  EXPECT_EQ(launcher_.starts("cron"), 2);
}

TEST_F(SupervisorTest, WhatIsStartedByHandInMaintenanceIsCheckedAfterIt) {
  JobSpec spec = job("web");
  spec.health = HealthSpec{};
  run({spec, job("stay")});
  ASSERT_TRUE(supervisor_->stop_job("web"));
  loop_.settle();
  supervisor_->set_maintenance(true);
  ASSERT_TRUE(supervisor_->start_job("web"));
  loop_.advance(1s);
  EXPECT_EQ(health("web"), JobHealth::kMaintenance);
  supervisor_->set_maintenance(false);
  loop_.advance(1s);
  EXPECT_EQ(health("web"), JobHealth::kHealthy);
}

}  // namespace
}  // namespace containerpilot
