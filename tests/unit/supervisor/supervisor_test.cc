// What starts a job and starts it again, reload, and what is done by hand.
#include "supervisor_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <optional>
#include <string>
#include <vector>

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using test::FakeLauncher;
using test::SimReactor;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(SupervisorTest, RunsAJobOnceAndEndsWhenAllAreComplete) {
  run({job("one"), job("two")});
  EXPECT_EQ(launcher_.starts("one"), 1);
  launcher_.finish("one", {.code = 3});
  EXPECT_EQ(state("one"), JobState::kComplete);
  EXPECT_FALSE(exit_code_);
  launcher_.finish("two");
  EXPECT_EQ(exit_code_, 0);  // a generation 3 agent whose jobs all completed
  EXPECT_THAT(events_,
              ElementsAre("startup global", "exitFailed one", "error one", "stopping one",
                          "stopped one", "exitSuccess two", "stopping two", "stopped two"));
}

TEST_F(SupervisorTest, LimitedRestartsMeanThatManyRunsMore) {
  JobSpec spec = job("app");
  spec.restarts.limit.count = 3;
  run({spec});
  for (int i = 0; i < 4; ++i) {
    launcher_.finish("app", {.code = 1});
    loop_.advance(2s);
  }
  EXPECT_EQ(launcher_.starts("app"), 4);
  EXPECT_EQ(state("app"), JobState::kComplete);
}

TEST_F(SupervisorTest, FailuresInARowBackOff) {
  JobSpec spec = job("app");
  spec.restarts.limit.count = Limit::kUnlimited;
  launcher_.on_start([this](FakeLauncher::Run& r) { launcher_.finish_after(r, 1ms, {.code = 1}); });
  run({spec});
  loop_.advance(60s);
  EXPECT_LE(launcher_.starts("app"), 13);
  EXPECT_GE(launcher_.starts("app"), 10);
  EXPECT_TRUE(supervisor_->job("app")->crash_loop);
}

TEST_F(SupervisorTest, AHookForEachStoppingHoldsItUpForOneRunOnly) {
  run({job("app"), job_when("hook", Trigger::Kind::kEach, EventCode::kStopping, "app"), job("b")});
  launcher_.finish("app");
  ASSERT_EQ(launcher_.starts("hook"), 1);
  EXPECT_EQ(state("app"), JobState::kStopping);
  launcher_.finish("hook");
  EXPECT_EQ(state("app"), JobState::kComplete);
  shutdown();
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, ALoopOfGoodRunsIsPaced) {
  JobSpec spec = job("loop");
  spec.restarts.limit.count = Limit::kUnlimited;
  launcher_.on_start([this](FakeLauncher::Run& r) { launcher_.finish_after(r, 1ms); });
  run({spec});
  loop_.advance(10s);
  EXPECT_NEAR(launcher_.starts("loop"), 100, 5);
}

TEST_F(SupervisorTest, AStartThatFailsCountsAsAFailedRun) {
  launcher_.fail_next("app", Error(Errc::kNotFound, "cannot start job 'app': no such file"));
  run({job("app"), job_when("after", Trigger::Kind::kOnce, EventCode::kExitFailed, "app")});
  EXPECT_EQ(launcher_.starts("after"), 1);
  EXPECT_EQ(supervisor_->job("app")->last_exit->code, 127);
  EXPECT_EQ(state("app"), JobState::kComplete);
}

TEST_F(SupervisorTest, StartsAJobWhenAnotherSucceeds) {
  run({job("first"), job_when("second", Trigger::Kind::kOnce, EventCode::kExitSuccess, "first")});
  EXPECT_EQ(launcher_.starts("second"), 0);
  launcher_.finish("first");
  EXPECT_EQ(launcher_.starts("second"), 1);
  const auto chain = *supervisor_->job("second")->why;
  ASSERT_EQ(chain.size(), 2U);
  EXPECT_EQ(chain[0].key, (EventKey{EventCode::kExitSuccess, "first"}));
  EXPECT_EQ(chain[1].key, (EventKey{EventCode::kStartup, "global"}));
}

TEST_F(SupervisorTest, KnowsWhyAJobRunsLongAfterTheBusForgot) {
  JobSpec spec = job("app");
  spec.restarts.limit.count = Limit::kUnlimited;
  run({job("first"), spec});
  const auto forget = [this] {
    for (std::size_t i = 0; i <= EventBus::kHistory; ++i)
      bus_.publish({EventCode::kSignal, "SIGUSR2"}, 0);
    loop_.settle();
  };
  const auto why = [this] {
    std::vector<std::string> texts;
    for (const Event& event : *supervisor_->job("app")->why)
      texts.push_back(std::string(event_code_name(event.key.code)) + " " + event.key.source);
    return texts;
  };
  forget();
  EXPECT_THAT(why(), ElementsAre("startup global"));
  launcher_.finish("app", {.code = 1});
  forget();
  EXPECT_THAT(why(), ElementsAre("exitFailed app", "startup global"));
  for (int i = 0; i < 40; ++i) {
    launcher_.finish("app", {.code = 1});
    loop_.advance(1min);
  }
  EXPECT_EQ(why().size(), EventBus::kMaxChain);
  EXPECT_EQ(why().front(), "exitFailed app");
  EXPECT_EQ(why().back(), "startup global");
}

TEST_F(SupervisorTest, EachAnswersEveryEventOneRunAfterTheOther) {
  run({job("app"), job_when("on-hup", Trigger::Kind::kEach, EventCode::kSignal, "SIGHUP")});
  for (int i = 0; i < 3; ++i) bus_.publish({EventCode::kSignal, "SIGHUP"}, 0);
  loop_.settle();
  EXPECT_EQ(launcher_.starts("on-hup"), 1);
  launcher_.finish("on-hup");
  EXPECT_EQ(launcher_.starts("on-hup"), 2);
  launcher_.finish("on-hup");
  launcher_.finish("on-hup");
  EXPECT_EQ(launcher_.starts("on-hup"), 3);
  EXPECT_EQ(state("on-hup"), JobState::kWaiting);
}

TEST_F(SupervisorTest, AllWaitsForEveryEvent) {
  JobSpec spec = job("last");
  spec.when.kind = Trigger::Kind::kAll;
  spec.when.events = {{EventCode::kExitSuccess, "a"}, {EventCode::kExitSuccess, "b"}};
  run({job("a"), job("b"), spec});
  launcher_.finish("b");
  EXPECT_EQ(launcher_.starts("last"), 0);
  launcher_.finish("a");
  EXPECT_EQ(launcher_.starts("last"), 1);
}

TEST_F(SupervisorTest, IntervalRunsAtStartAndThenOnEveryTick) {
  JobSpec spec = job("tick");
  spec.when.kind = Trigger::Kind::kInterval;
  spec.when.interval = 10s;
  spec.restarts.limit.count = Limit::kUnlimited;
  launcher_.on_start([this](FakeLauncher::Run& r) { launcher_.finish_after(r, 1s); });
  run({spec});
  EXPECT_EQ(launcher_.starts("tick"), 1);
  loop_.advance(35s);
  EXPECT_EQ(launcher_.starts("tick"), 4);
  EXPECT_EQ(launcher_.runs()[3]->started_at - launcher_.runs()[0]->started_at, 30s);
}

TEST_F(SupervisorTest, IntervalWithALimitCompletesAfterThatManyMore) {
  JobSpec spec = job("tick");
  spec.when.kind = Trigger::Kind::kInterval;
  spec.when.interval = 1s;
  spec.restarts.limit.count = 2;
  launcher_.on_start([this](FakeLauncher::Run& r) { launcher_.finish_after(r, 10ms); });
  run({spec});
  loop_.advance(10s);
  EXPECT_EQ(launcher_.starts("tick"), 3);
  EXPECT_EQ(state("tick"), JobState::kComplete);
}

TEST_F(SupervisorTest, AnIntervalRunThatIsStillGoingIsFollowedByOneMoreNotByAll) {
  JobSpec spec = job("tick");
  spec.when.kind = Trigger::Kind::kInterval;
  spec.when.interval = 1s;
  spec.restarts.limit.count = Limit::kUnlimited;
  run({spec});
  loop_.advance(5s + 1ms);
  EXPECT_EQ(launcher_.starts("tick"), 1);
  launcher_.finish("tick");
  EXPECT_EQ(launcher_.starts("tick"), 2);
  launcher_.finish("tick");
  EXPECT_EQ(launcher_.running("tick"), 0);
}

JobSpec scheduled(std::string text, Overlap overlap) {
  JobSpec spec = job("cron");
  spec.when.kind = Trigger::Kind::kSchedule;
  spec.when.schedule = parse_schedule(text, "UTC").value();
  spec.when.overlap = overlap;
  spec.restarts.limit.count = Limit::kUnlimited;
  return spec;
}

TEST_F(SupervisorTest, AScheduleRunsAtItsTimesAndNotBefore) {
  launcher_.on_start([this](FakeLauncher::Run& r) { launcher_.finish_after(r, 1s); });
  run({scheduled("0 4-6 * * *", Overlap::kQueue)});  // it is 03:04:05
  loop_.advance(55min);
  EXPECT_EQ(launcher_.starts("cron"), 0);
  EXPECT_TRUE(supervisor_->job("cron")->next_start);
  loop_.advance(23h);
  EXPECT_EQ(launcher_.starts("cron"), 3);
  EXPECT_TRUE(log_.contains("by its schedule"));
}

TEST_F(SupervisorTest, WhatARunLongerThanItsScheduleDoesIsItsOverlap) {
  run({scheduled("*/30 * * * *", Overlap::kQueue)});
  loop_.advance(2h);  // 03:30, 04:00, 04:30 and 05:00 came
  ASSERT_EQ(launcher_.starts("cron"), 1);
  launcher_.finish("cron");
  EXPECT_EQ(launcher_.starts("cron"), 2);  // one more for all that was missed
  launcher_.finish("cron");
  EXPECT_EQ(launcher_.starts("cron"), 2);
  reload({});
  EXPECT_EQ(launcher_.running(), 0U);

  reload({scheduled("*/30 * * * *", Overlap::kSkip)});
  loop_.advance(2h);
  EXPECT_EQ(launcher_.starts("cron"), 3);
  launcher_.finish("cron");
  EXPECT_EQ(launcher_.starts("cron"), 3);
  reload({});

  reload({scheduled("*/30 * * * *", Overlap::kReplace)});
  loop_.advance(2h);
  EXPECT_EQ(launcher_.starts("cron"), 7);
  EXPECT_EQ(launcher_.running("cron"), 1);
}

TEST_F(SupervisorTest, AScheduleCanBeBoundToAStateAndStartedByHand) {
  JobSpec spec = scheduled("*/30 * * * *", Overlap::kQueue);
  spec.when.condition = HeldCondition{"watch.db", HeldState::kHealthy};
  run({spec});
  loop_.advance(1h);
  EXPECT_EQ(launcher_.starts("cron"), 0);
  ASSERT_TRUE(supervisor_->start_job("cron"));
  EXPECT_EQ(launcher_.starts("cron"), 1);
  launcher_.finish("cron");
  bus_.publish({EventCode::kHealthy, "watch.db"}, 0);
  loop_.advance(30min);
  EXPECT_EQ(launcher_.starts("cron"), 2);
}

TEST_F(SupervisorTest, EndsAreLoggedInTheWordsOfTheOldProgram) {
  run({job("good"), job("bad"), job("hit")});
  launcher_.finish("job 'good'", {});
  launcher_.finish("job 'bad'", {.code = 3});
  launcher_.finish("job 'hit'", {.signal = SIGKILL});
  loop_.settle();
  EXPECT_TRUE(log_.contains("good exited without error"));
  EXPECT_TRUE(log_.contains("bad exited with error: exit status 3"));
  EXPECT_TRUE(log_.contains("hit exited with error: signal: killed"));
  const auto entries = log_.entries();
  EXPECT_EQ(std::count_if(entries.begin(), entries.end(),
                          [](const auto& entry) { return entry.level == LogLevel::kError; }),
            2);
}

TEST_F(SupervisorTest, ExecTimeoutKillsTheWholeTreeAndCountsAsFailed) {
  JobSpec spec = job("slow");
  spec.exec_timeout = 5s;
  run({spec});
  loop_.advance(5s);
  EXPECT_TRUE(launcher_.last("slow").tree_killed);
  EXPECT_GE(index_of("exitFailed slow"), 0);
  EXPECT_TRUE(log_.contains("slow timeout after 5s"));
}

TEST_F(SupervisorTest, WaitingEndsAtItsTimeout) {
  JobSpec spec = job_when("late", Trigger::Kind::kOnce, EventCode::kHealthy, "nobody");
  spec.when.timeout = 3s;
  run({job("app"), spec});
  loop_.advance(3s);
  EXPECT_GE(index_of("timerExpired late"), 0);
  EXPECT_EQ(state("late"), JobState::kComplete);
  EXPECT_EQ(launcher_.starts("late"), 0);
}

TEST_F(SupervisorTest, WhileRunsAsLongAsTheStateHolds) {
  JobSpec side = job("side");
  side.when.kind = Trigger::Kind::kWhile;
  side.when.events.clear();
  side.when.condition = HeldCondition{"app", HeldState::kRunning};
  JobSpec app = job("app");
  app.restarts.limit.count = 1;
  app.restarts.delay = 10s;
  run({side, app});
  loop_.advance(1ms);
  EXPECT_EQ(launcher_.running("side"), 1);
  launcher_.finish("app", {.code = 1});
  launcher_.finish("app", {.code = 1});
  loop_.advance(1s);
  EXPECT_EQ(launcher_.running("side"), 0);
}

// ---- reload ----

TEST_F(SupervisorTest, ReloadRunsACoprocessThatHasEndedAgain) {
  JobSpec once = job("once");
  JobSpec coprocess = job("coprocess");
  coprocess.runs_again_at_reload = true;
  JobSpec lasting = job("lasting");
  lasting.runs_again_at_reload = true;
  run({job("stay"), once, coprocess, lasting});
  launcher_.finish("once");
  launcher_.finish("coprocess");
  reload({job("stay"), once, coprocess, lasting});
  EXPECT_EQ(launcher_.starts("once"), 1);
  EXPECT_EQ(launcher_.starts("coprocess"), 2);
  EXPECT_EQ(launcher_.starts("lasting"), 1);
}

TEST_F(SupervisorTest, AJobMayTellNobodyItsPid) {
  JobSpec task = job("app");
  task.tells_pid = false;
  run({task});
  EXPECT_EQ(environment_.get("CONTAINERPILOT_APP_PID"), nullptr);
}

TEST_F(SupervisorTest, ReloadKeepsUnchangedJobsRunning) {
  run({job("a"), job("b"), job("c")});
  const pid_t pid = supervisor_->job("a")->pid;
  JobSpec changed = job("b");
  changed.exec->argv.push_back("-x");
  const ReloadReport report = reload({job("a"), changed, job("d")});
  EXPECT_THAT(report.unchanged, ElementsAre("a"));
  EXPECT_THAT(report.changed, ElementsAre("b"));
  EXPECT_THAT(report.removed, ElementsAre("c"));
  EXPECT_THAT(report.added, ElementsAre("d"));
  EXPECT_EQ(supervisor_->job("a")->pid, pid);
  EXPECT_EQ(launcher_.starts("b"), 2);
  EXPECT_EQ(launcher_.last("b").spec.argv.size(), 2U);
  EXPECT_EQ(launcher_.running("c"), 0);
  EXPECT_EQ(launcher_.running("d"), 1);
  EXPECT_FALSE(exit_code_);
}

TEST_F(SupervisorTest, AReplacedJobStartsOnlyWhenTheOldOneIsGone) {
  launcher_.obey_signals(3s);
  run({job("a")});
  JobSpec changed = job("a");
  changed.exec->argv.push_back("-x");
  reload({changed});
  EXPECT_EQ(launcher_.starts("a"), 1);
  loop_.advance(3s);
  EXPECT_EQ(launcher_.starts("a"), 2);
  EXPECT_EQ(launcher_.running("a"), 1);
}

TEST_F(SupervisorTest, ANewJobWhoseEventHasAlreadyHappenedStartsAtOnce) {
  run({job("setup"), job("app")});
  launcher_.finish("setup");
  reload({job("setup"), job("app"),
          job_when("extra", Trigger::Kind::kOnce, EventCode::kExitSuccess, "setup")});
  EXPECT_EQ(launcher_.running("extra"), 1);
}

// ---- by hand ----

TEST_F(SupervisorTest, StopStartAndRestartByHand) {
  run({job("a"), job("b")});
  EXPECT_TRUE(supervisor_->stop_job("a"));
  loop_.settle();
  EXPECT_EQ(state("a"), JobState::kComplete);
  EXPECT_TRUE(supervisor_->start_job("a"));
  loop_.settle();
  EXPECT_EQ(launcher_.running("a"), 1);
  EXPECT_TRUE(supervisor_->restart_job("b"));
  loop_.settle();
  EXPECT_EQ(launcher_.starts("b"), 2);
  const Status unknown = supervisor_->stop_job("c");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().text(), "cannot find a job named 'c'; there are: a, b");
}

TEST_F(SupervisorTest, PidOfARunningJobIsInTheEnvironmentOfOthers) {
  run({job("my.app-1"), job_when("hook", Trigger::Kind::kEach, EventCode::kSignal, "SIGHUP")});
  bus_.publish({EventCode::kSignal, "SIGHUP"}, 0);
  loop_.settle();
  EXPECT_EQ(launcher_.last("hook").env("CONTAINERPILOT_MY_PID"),
            std::to_string(launcher_.last("my.app-1").pid));
  EXPECT_FALSE(launcher_.last("my.app-1").env("CONTAINERPILOT_MY_PID"));
}

TEST_F(SupervisorTest, PidVariablesMayStayAndHaveASecondName) {
  JobSpec first = job("first");
  first.keeps_pid_variable = true;
  first.pid_alias = "THE[FIRST]_PID";
  run({first, job("second"), job_when("hook", Trigger::Kind::kEach, EventCode::kSignal, "SIGHUP")});
  const std::string pid = std::to_string(launcher_.last("first").pid);
  launcher_.finish("first", ExitStatus{.code = 0});
  launcher_.finish("second", ExitStatus{.code = 0});
  bus_.publish({EventCode::kSignal, "SIGHUP"}, 0);
  loop_.settle();
  EXPECT_EQ(launcher_.last("hook").env("CONTAINERPILOT_FIRST_PID"), pid);
  EXPECT_EQ(launcher_.last("hook").env("THE[FIRST]_PID"), pid);
  EXPECT_FALSE(launcher_.last("hook").env("CONTAINERPILOT_SECOND_PID"));
}

TEST_F(SupervisorTest, OutputCanBeFollowedOverRunsAndIsLimitedInTheLogOnly) {
  launcher_.use_pipes();
  JobSpec spec = job("app");
  spec.restarts.limit.count = 1;
  spec.output.max_rate = 1;
  run({spec});
  EXPECT_FALSE(supervisor_->follow_output("nobody", nullptr));
  std::vector<std::string> lines;
  auto watch = supervisor_->follow_output(
      "app", [&lines](std::string_view line) { lines.emplace_back(line); });
  ASSERT_TRUE(watch);
  launcher_.print("app", "one\ntwo\nthree\n");
  EXPECT_EQ(supervisor_->job("app")->suppressed_lines, 2U);
  launcher_.finish("app");
  loop_.advance(1s);
  launcher_.print("app", "four\n");
  EXPECT_THAT(lines, ElementsAre("one", "two", "three", "four"));
  EXPECT_TRUE(log_.contains("2 were left out"));
  watch.value() = Watch();
  launcher_.print("app", "five\n");
  EXPECT_EQ(lines.size(), 4U);
}

TEST(EnvName, FollowsTheOldRule) {
  EXPECT_EQ(env_name("app"), "APP");
  EXPECT_EQ(env_name("/usr/bin/my-app.sh"), "MY_APP");
  EXPECT_EQ(env_name("a--b c"), "A_B_C");
}

}  // namespace
}  // namespace containerpilot
