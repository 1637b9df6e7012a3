// Health by checks and by notification, and maintenance.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <optional>
#include <string>
#include <vector>

#include "supervisor_test.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using test::FakeLauncher;
using test::SimReactor;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

TEST_F(SupervisorHealthTest, EachFailureWithinTheTtlIsAnEventButNoNewsForTheCatalog) {
  // What 3.8.0 did: unhealthy with the first failure, critical when the TTL has run out.
  spec_.health->failure_threshold = 3;
  spec_.health->failing_at_once = true;
  spec_.health->on_failure = UnhealthyAction::kRestart;
  run({spec_});
  loop_.advance(1s);
  check_code_ = 7;
  reports_.clear();
  loop_.advance(10s);
  EXPECT_EQ(health("web"), JobHealth::kUnhealthy);
  EXPECT_GE(index_of("unhealthy web"), 0);
  loop_.advance(10s);
  EXPECT_THAT(reports_, IsEmpty());
  EXPECT_EQ(launcher_.starts("web"), 1);
  check_code_ = 0;
  loop_.advance(10s);
  EXPECT_EQ(health("web"), JobHealth::kHealthy);
  EXPECT_THAT(reports_, ElementsAre("web passing ok"));
  check_code_ = 7;
  loop_.advance(20s);
  EXPECT_EQ(launcher_.starts("web"), 1);
  loop_.advance(10s);
  EXPECT_EQ(reports_[1].rfind("web critical ", 0), 0U) << reports_[1];
  EXPECT_EQ(launcher_.starts("web"), 2);
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

TEST_F(SupervisorHealthTest, RestartsOfAJobThatNeverGetsHealthyBackOff) {
  spec_.health->on_failure = UnhealthyAction::kRestart;
  check_code_ = 1;
  std::vector<TimePoint> starts;
  launcher_.on_start([&](test::FakeLauncher::Run& run) {
    if (run.name == "job 'web'") {
      starts.push_back(run.started_at);
    } else {
      launcher_.finish_after(run, 1ms, {.code = check_code_});
    }
  });
  run({spec_});
  loop_.advance(120s);
  ASSERT_GE(starts.size(), 6U);
  // Each life is as long as the first; what is longer between two starts is the delay.
  const Duration life = starts[1] - starts[0];
  Duration delay = spec_.restarts.delay;
  for (std::size_t i = 2; i < starts.size(); ++i, delay *= 2) {
    EXPECT_GE(starts[i] - starts[i - 1], life + delay) << i;
    EXPECT_LE(starts[i] - starts[i - 1], life + delay * 11 / 10 + 1ms) << i;
  }
  check_code_ = 0;
  loop_.advance(60s);
  check_code_ = 1;
  ASSERT_EQ(health("web"), JobHealth::kHealthy);
  const std::size_t before = starts.size();
  loop_.advance(10s + 100ms);
  EXPECT_EQ(starts.size(), before + 1) << "who was healthy is restarted at once";
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

TEST_F(SupervisorHealthTest, EachRequestForMaintenanceIsAnEvent) {
  run({spec_, job_when("page", Trigger::Kind::kEach, EventCode::kEnterMaintenance, "global")});
  loop_.advance(1s);
  for (int asked = 1; asked <= 2; ++asked) {
    supervisor_->set_maintenance(true);
    loop_.settle();
    EXPECT_EQ(launcher_.starts("page"), asked);
    launcher_.finish("job 'page'", {});
    loop_.settle();
  }
  EXPECT_THAT(withdrawn_, ElementsAre("web"));
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

}  // namespace
}  // namespace containerpilot
