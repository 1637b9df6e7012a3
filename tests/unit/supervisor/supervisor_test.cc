#include "containerpilot/supervisor/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <optional>
#include <string>
#include <vector>

#include "support/fake_http.h"
#include "support/fake_launcher.h"
#include "support/log_capture.h"
#include "support/sim_reactor.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using test::FakeLauncher;
using test::SimReactor;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

JobSpec job(std::string name) {
  JobSpec spec;
  spec.name = std::move(name);
  spec.exec = ProcessSpec{.argv = {"/bin/" + spec.name}};
  return spec;
}

JobSpec job_when(std::string name, Trigger::Kind kind, EventCode code, std::string source) {
  JobSpec spec = job(std::move(name));
  spec.when.kind = kind;
  spec.when.events = {{code, std::move(source)}};
  return spec;
}

/// A supervisor in a world where nothing is real.
class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() {
    SupervisorHooks hooks;
    hooks.report = [this](const std::string& name, bool passing, const std::string& output) {
      reports_.push_back(name + (passing ? " passing " : " critical ") + output);
    };
    hooks.withdraw = [this](const std::string& name, std::function<void()> done) {
      withdrawn_.push_back(name);
      if (hold_withdrawals_) {
        held_.push_back(std::move(done));
      } else {
        loop_.post(std::move(done));
      }
    };
    hooks.finished = [this](int code, const std::string&) { exit_code_ = code; };
    supervisor_.emplace(loop_, launcher_, probes_, bus_, environment_, std::move(hooks));
    record_ = bus_.subscribe([this](const Event& event) {
      if (event.key.source.starts_with("check.")) return;
      events_.push_back(std::string(event_code_name(event.key.code)) + " " + event.key.source);
    });
    launcher_.obey_signals();
  }

  void run(std::vector<JobSpec> jobs) {
    SupervisorConfig config;
    config.jobs = std::move(jobs);
    supervisor_->start(std::move(config));
    loop_.settle();
  }
  ReloadReport reload(std::vector<JobSpec> jobs) {
    SupervisorConfig config;
    config.jobs = std::move(jobs);
    ReloadReport report = supervisor_->apply(std::move(config));
    loop_.settle();
    return report;
  }
  void shutdown() {
    supervisor_->shutdown("test");
    loop_.settle();
  }
  [[nodiscard]] JobState state(const std::string& name) { return supervisor_->job(name)->state; }
  [[nodiscard]] JobHealth health(const std::string& name) { return supervisor_->job(name)->health; }
  [[nodiscard]] int index_of(const std::string& event) const {
    const auto it = std::find(events_.begin(), events_.end(), event);
    return it == events_.end() ? -1 : static_cast<int>(it - events_.begin());
  }

  test::LogCapture log_;
  SimReactor loop_;
  FakeLauncher launcher_{loop_};
  test::FakeHttpClient http_{loop_};
  test::FakeResolver resolver_{loop_};
  ProbeRunner probes_{loop_, launcher_, http_, resolver_};
  EventBus bus_{loop_};
  Environment environment_;
  std::vector<std::string> reports_, withdrawn_, events_;
  std::vector<std::function<void()>> held_;
  bool hold_withdrawals_ = false;
  std::optional<int> exit_code_;
  std::optional<Supervisor> supervisor_;
  Watch record_;
};

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

TEST_F(SupervisorTest, ExecTimeoutKillsTheWholeTreeAndCountsAsFailed) {
  JobSpec spec = job("slow");
  spec.exec_timeout = 5s;
  run({spec});
  loop_.advance(5s);
  EXPECT_TRUE(launcher_.last("slow").tree_killed);
  EXPECT_GE(index_of("exitFailed slow"), 0);
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

// ---- health ----

class SupervisorHealthTest : public SupervisorTest {
 protected:
  SupervisorHealthTest() {
    spec_ = job("web");
    spec_.advertised = true;
    spec_.health = HealthSpec{};
    spec_.health->probe = ProcessSpec{.argv = {"/bin/check"}};
    spec_.health->interval = 10s;
    spec_.health->timeout = 10s;
    launcher_.on_start([this](FakeLauncher::Run& r) {
      if (r.name.find("check") != std::string::npos)
        launcher_.finish_after(r, 1ms, {.code = check_code_});
    });
  }
  JobSpec spec_;
  int check_code_ = 0;
};

TEST_F(SupervisorHealthTest, ChecksRightAfterTheStartAndThenEveryInterval) {
  run({spec_});
  loop_.advance(1ms);
  EXPECT_EQ(health("web"), JobHealth::kHealthy);
  EXPECT_THAT(reports_, ElementsAre("web passing ok"));
  loop_.advance(20s);
  EXPECT_EQ(reports_.size(), 3U);
  EXPECT_GE(index_of("ready web"), 0);
}

TEST_F(SupervisorHealthTest, AFailureBeforeTheFirstSuccessIsNotYetOneAndIsRepeatedQuickly) {
  check_code_ = 1;
  run({spec_});
  loop_.advance(1s);
  EXPECT_EQ(health("web"), JobHealth::kUnknown);
  EXPECT_THAT(reports_, IsEmpty());
  check_code_ = 0;
  loop_.advance(1s);
  EXPECT_EQ(health("web"), JobHealth::kHealthy);
  EXPECT_EQ(index_of("unhealthy web"), -1);
}

TEST_F(SupervisorHealthTest, NeverHealthyIsUnhealthyOnceTheFirstIntervalIsOver) {
  check_code_ = 1;
  spec_.health->failure_threshold = 3;
  run({spec_});
  loop_.advance(25s);
  EXPECT_EQ(health("web"), JobHealth::kUnhealthy);
}

TEST_F(SupervisorHealthTest, AHealthyJobTurnsUnhealthyAtTheThreshold) {
  spec_.health->failure_threshold = 3;
  run({spec_});
  loop_.advance(1s);
  check_code_ = 7;
  loop_.advance(20s);
  EXPECT_EQ(health("web"), JobHealth::kHealthy);
  EXPECT_EQ(reports_.back().rfind("web passing failed 2 of 3 times: ", 0), 0U) << reports_.back();
  loop_.advance(10s);
  EXPECT_EQ(health("web"), JobHealth::kUnhealthy);
  EXPECT_EQ(reports_.back().rfind("web critical ", 0), 0U) << reports_.back();
  EXPECT_GE(index_of("unhealthy web"), 0);
  check_code_ = 0;
  loop_.advance(10s);
  EXPECT_EQ(health("web"), JobHealth::kHealthy);
}

TEST_F(SupervisorHealthTest, TheEndOfTheProcessIsCriticalAtOnce) {
  spec_.restarts.limit.count = Limit::kUnlimited;
  run({spec_});
  loop_.advance(1s);
  reports_.clear();
  launcher_.finish("job 'web'", {.signal = SIGKILL});
  ASSERT_FALSE(reports_.empty());
  EXPECT_EQ(reports_[0].rfind("web critical the process", 0), 0U) << reports_[0];
  loop_.advance(10ms);
  EXPECT_EQ(health("web"), JobHealth::kHealthy);
}

TEST_F(SupervisorHealthTest, AJobWithoutACheckBeatsEveryInterval) {
  spec_.health->probe = std::monostate{};
  run({spec_});
  loop_.advance(25s);
  EXPECT_THAT(reports_, ElementsAre("web passing ok", "web passing ok", "web passing ok"));
}

TEST_F(SupervisorHealthTest, UnhealthyCanRestartOrShutDown) {
  spec_.health->on_failure = UnhealthyAction::kRestart;
  run({spec_});
  loop_.advance(1s);
  check_code_ = 1;
  loop_.advance(10s);
  EXPECT_EQ(launcher_.starts("web"), 2);
}

TEST_F(SupervisorHealthTest, MaintenanceWithdrawsPausesChecksAndComesBack) {
  run({spec_});
  loop_.advance(1s);
  supervisor_->set_maintenance(true);
  loop_.settle();
  EXPECT_THAT(withdrawn_, ElementsAre("web"));
  reports_.clear();
  loop_.advance(60s);
  EXPECT_THAT(reports_, IsEmpty());
  EXPECT_EQ(health("web"), JobHealth::kMaintenance);
  EXPECT_EQ(launcher_.running("job 'web'"), 1);
  supervisor_->set_maintenance(false);
  loop_.advance(1s);
  EXPECT_THAT(reports_, ElementsAre("web passing ok"));
}

TEST_F(SupervisorHealthTest, ARestartDuringMaintenanceDoesNotEndIt) {
  spec_.restarts.limit.count = Limit::kUnlimited;
  run({spec_});
  loop_.advance(1s);
  supervisor_->set_maintenance(true);
  reports_.clear();
  launcher_.finish("job 'web'", {.code = 1});
  loop_.advance(30s);
  EXPECT_EQ(health("web"), JobHealth::kMaintenance);
  EXPECT_THAT(reports_, IsEmpty());
}

// ---- shutdown ----

TEST_F(SupervisorTest, ShutdownStopsEveryJobAndEndsAtOnce) {
  run({job("a"), job("b")});
  const TimePoint start = loop_.now();
  shutdown();
  EXPECT_EQ(exit_code_, 0);
  EXPECT_EQ(loop_.now(), start);
  EXPECT_THAT(launcher_.last("a").group_signals, ::testing::Contains(SIGTERM));
  EXPECT_EQ(launcher_.running(), 0U);
  EXPECT_EQ(loop_.timers(), 0U);
}

TEST_F(SupervisorTest, ShutdownOfNoJobsEnds) {
  run({});
  EXPECT_FALSE(exit_code_);
  shutdown();
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, WhoIgnoresTheStopSignalIsKilledAfterTheStopTimeout) {
  launcher_.on_signal([](FakeLauncher::Run&, int) {});
  JobSpec spec = job("deaf");
  spec.stop_signal = SIGUSR1;  // obey_signals would end it for TERM; nothing listens to this one
  spec.stop_timeout = 2s;
  launcher_.obey_signals(1h);
  run({spec});
  shutdown();
  loop_.advance(1999ms);
  EXPECT_FALSE(exit_code_);
  loop_.advance(1ms);
  EXPECT_TRUE(launcher_.last("deaf").tree_killed);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, PreStopRunsBeforeTheSignalAndPostStopAfterTheEnd) {
  run({job("main"), job_when("pre", Trigger::Kind::kOnce, EventCode::kStopping, "main"),
       job_when("post", Trigger::Kind::kOnce, EventCode::kStopped, "main")});
  shutdown();
  EXPECT_EQ(launcher_.running("pre"), 1);
  EXPECT_THAT(launcher_.last("main").group_signals, IsEmpty());
  loop_.advance(30s);
  EXPECT_EQ(launcher_.running("main"), 1);
  launcher_.finish("pre");
  EXPECT_EQ(launcher_.running("main"), 0);
  EXPECT_EQ(launcher_.running("post"), 1);
  EXPECT_FALSE(exit_code_);
  launcher_.finish("post");
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, AJobWaitingForAStopThatNeverComesDoesNotHoldUpTheEnd) {
  run({job("main"), job_when("ghost", Trigger::Kind::kOnce, EventCode::kStopped, "nobody"),
       job_when("again", Trigger::Kind::kEach, EventCode::kStopping, "nobody-else")});
  shutdown();
  EXPECT_EQ(exit_code_, 0);
  EXPECT_EQ(launcher_.starts("ghost"), 0);
}

TEST_F(SupervisorTest, AHookThatHangsIsGivenUp) {
  JobSpec main = job("main");
  main.stop_timeout = 1s;
  run({main, job_when("pre", Trigger::Kind::kOnce, EventCode::kStopping, "main")});
  shutdown();
  loop_.advance(1s);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, WithoutAnyLimitAHangingHookIsGivenUpAtTheStatedBound) {
  run({job("main"), job_when("pre", Trigger::Kind::kOnce, EventCode::kStopping, "main")});
  shutdown();
  loop_.advance(Supervisor::kHookLimit + 10s);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, ASecondSignalHurriesAThirdKills) {
  launcher_.obey_signals(1h);
  JobSpec main = job("main");
  main.drain = 60s;
  main.stop_timeout = 1h;
  main.advertised = true;
  run({main, job_when("pre", Trigger::Kind::kOnce, EventCode::kStopping, "main")});
  shutdown();
  EXPECT_THAT(launcher_.last("main").group_signals, IsEmpty());
  shutdown();
  EXPECT_THAT(launcher_.last("main").group_signals, ElementsAre(SIGTERM));
  EXPECT_FALSE(exit_code_);
  shutdown();
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, DrainWithdrawsFirstAndWaits) {
  JobSpec main = job("main");
  main.advertised = true;
  main.drain = 5s;
  run({main});
  shutdown();
  EXPECT_THAT(withdrawn_, ElementsAre("main"));
  loop_.advance(4999ms);
  EXPECT_EQ(launcher_.running("main"), 1);
  loop_.advance(1ms);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, TheEndWaitsForTheWithdrawal) {
  hold_withdrawals_ = true;
  JobSpec main = job("main");
  main.advertised = true;
  run({main});
  shutdown();
  EXPECT_FALSE(exit_code_);
  held_.at(0)();
  loop_.settle();
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, ADependentIsStoppedBeforeWhatItDependsOn) {
  launcher_.obey_signals(1s);
  JobSpec db = job("db");
  run({db, job_when("app", Trigger::Kind::kOnce, EventCode::kHealthy, "db")});
  bus_.publish({EventCode::kHealthy, "db"}, 0);
  loop_.settle();
  ASSERT_EQ(launcher_.running("app"), 1);
  shutdown();
  EXPECT_THAT(launcher_.last("db").group_signals, IsEmpty());
  loop_.advance(1s);
  EXPECT_THAT(launcher_.last("db").group_signals, ElementsAre(SIGTERM));
  loop_.advance(1s);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, TheEndOfAJobCanEndTheAgentWithItsCode) {
  JobSpec main = job("main");
  main.on_failure = EndAction::kShutdown;
  run({main, job("side")});
  launcher_.finish("main", {.signal = SIGKILL});
  EXPECT_EQ(exit_code_, 137);
  EXPECT_EQ(launcher_.running("side"), 0);
}

// ---- generations 1 and 2 ----

TEST_F(SupervisorTest, TheMainApplicationEndsTheAgentAndPostStopMayCorrectTheCode) {
  JobSpec main = job("main");
  main.ends_agent = true;
  JobSpec post = job_when("postStop", Trigger::Kind::kOnce, EventCode::kStopped, "main");
  post.on_failure = EndAction::kShutdown;
  run({main, job_when("preStop", Trigger::Kind::kOnce, EventCode::kStopping, "main"), post,
       job("coprocess")});
  launcher_.finish("main", {.code = 4});
  EXPECT_EQ(launcher_.starts("preStop"), 0);
  EXPECT_EQ(launcher_.running("postStop"), 1);
  launcher_.finish("postStop", {.code = 9});
  EXPECT_EQ(exit_code_, 9);
}

TEST_F(SupervisorTest, ServicesLeaveTheCatalogBeforePreStopRuns) {
  hold_withdrawals_ = true;
  JobSpec main = job("main");
  main.ends_agent = true;
  JobSpec service;
  service.name = "web";
  service.advertised = true;
  run({main, service, job_when("preStop", Trigger::Kind::kOnce, EventCode::kStopping, "main")});
  shutdown();
  EXPECT_EQ(launcher_.starts("preStop"), 0);
  held_.at(0)();
  loop_.settle();
  EXPECT_EQ(launcher_.starts("preStop"), 1);
  EXPECT_THAT(launcher_.last("main").signals, IsEmpty());
  launcher_.finish("preStop");
  EXPECT_THAT(launcher_.last("main").signals, ElementsAre(SIGTERM));
  EXPECT_EQ(exit_code_, 143);  // the application's own end decides
}

// ---- reload ----

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

class SupervisorNotifyTest : public SupervisorTest {
 protected:
  SupervisorNotifyTest() {
    spec_.notify = true;
    spec_.advertised = true;
    spec_.health = HealthSpec{};
    spec_.health->watchdog = 5s;
  }
  void say(const Notification& said) {
    launcher_.last("app").on_notify(said);
    loop_.settle();
  }
  JobSpec spec_ = job("app");
};

TEST_F(SupervisorNotifyTest, AJobIsReadyAndHealthyWhenItSaysSo) {
  JobSpec after = job_when("after", Trigger::Kind::kOnce, EventCode::kReady, "app");
  run({spec_, after});
  loop_.advance(1min);
  EXPECT_EQ(launcher_.last("app").env("WATCHDOG_USEC"), "5000000");
  EXPECT_EQ(health("app"), JobHealth::kUnknown);
  EXPECT_THAT(reports_, IsEmpty());
  say({.status = "warming up"});
  EXPECT_EQ(supervisor_->job("app")->note, "warming up");
  say({.ready = true});
  EXPECT_EQ(health("app"), JobHealth::kHealthy);
  EXPECT_EQ(launcher_.starts("after"), 1);
  EXPECT_THAT(reports_, ElementsAre("app passing ok"));
  say({.ready = true});
  EXPECT_EQ(std::count(events_.begin(), events_.end(), "ready app"), 1);
}

TEST_F(SupervisorNotifyTest, SilenceLongerThanItsWatchdogIsUnhealthy) {
  spec_.health->on_failure = UnhealthyAction::kRestart;
  run({spec_});
  say({.ready = true});
  for (int i = 0; i < 5; ++i) {
    loop_.advance(4s);
    say({.alive = true});
  }
  EXPECT_EQ(health("app"), JobHealth::kHealthy);
  reports_.clear();
  loop_.advance(5s);
  EXPECT_THAT(reports_, ::testing::Contains("app critical no WATCHDOG=1 for 5s"));
  EXPECT_EQ(launcher_.starts("app"), 2);
  EXPECT_FALSE(supervisor_->job("app")->ready);
}

TEST_F(SupervisorNotifyTest, AWatchdogThatComesBackIsHealthyAgain) {
  run({spec_});
  say({.ready = true});
  say({.failed = true});
  EXPECT_EQ(health("app"), JobHealth::kUnhealthy);
  say({.alive = true});
  EXPECT_EQ(health("app"), JobHealth::kHealthy);
}

TEST_F(SupervisorNotifyTest, AJobThatSaysItIsStoppingLeavesTheCatalog) {
  run({spec_});
  say({.ready = true});
  say({.stopping = true});
  EXPECT_THAT(withdrawn_, ElementsAre("app"));
  reports_.clear();
  loop_.advance(1h);
  EXPECT_THAT(reports_, IsEmpty());
}

TEST_F(SupervisorNotifyTest, WithAProbeTheProbeSaysHealthyAndTheJobSaysReady) {
  spec_.health->probe = ProcessSpec{.argv = {"/bin/check"}};
  run({spec_});
  launcher_.finish("check.app");
  EXPECT_EQ(health("app"), JobHealth::kHealthy);
  EXPECT_EQ(index_of("ready app"), -1);
  say({.ready = true});
  EXPECT_GE(index_of("ready app"), 0);
}

// ---- the catalog as a job ----

TEST_F(SupervisorTest, WhatServesTheCatalogIsSignalledWhenAllOthersHaveLeftIt) {
  JobSpec consul = job("consul");
  consul.serves_catalog = true;
  JobSpec web = job("web");
  web.advertised = true;
  hold_withdrawals_ = true;
  run({consul, web});
  shutdown();
  EXPECT_THAT(withdrawn_, ElementsAre("web"));
  EXPECT_EQ(launcher_.running("web"), 0);
  EXPECT_EQ(launcher_.running("consul"), 1);
  held_[0]();
  loop_.settle();
  EXPECT_THAT(withdrawn_,
              ElementsAre("web", "consul"));  // what is not a job's: the telemetry entry
  EXPECT_EQ(launcher_.running("consul"), 1);
  held_[1]();
  loop_.settle();
  EXPECT_EQ(launcher_.running("consul"), 0);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, WhatServesTheCatalogDoesNotWaitLongerThanItsStopTimeout) {
  JobSpec consul = job("consul");
  consul.serves_catalog = true;
  JobSpec stubborn = job("stubborn");
  stubborn.stop_timeout = 1min;
  launcher_.obey_signals();
  run({consul, stubborn});
  launcher_.on_signal([](FakeLauncher::Run&, int) {});
  shutdown();
  loop_.advance(2min);
  EXPECT_EQ(exit_code_, 0);
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
