// How jobs and the agent end, and in which order.
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

/// Entries with an initial status go to the catalog in that turn.
TEST_F(SupervisorTest, NoProcessIsMadeInTheFirstTurn) {
  SupervisorConfig config;
  config.jobs = {job("a")};
  supervisor_->start(std::move(config));
  int in_first_turn = -1;
  loop_.post([&] { in_first_turn = launcher_.starts("a"); });
  loop_.settle();
  EXPECT_EQ(in_first_turn, 0);
  EXPECT_EQ(launcher_.starts("a"), 1);
}

TEST_F(SupervisorTest, ShutdownBeforeTheStartupEventStartsNothing) {
  SupervisorConfig config;
  config.jobs = {job("a"), job_when("b", Trigger::Kind::kOnce, EventCode::kStartup, "global")};
  supervisor_->start(std::move(config));
  shutdown();
  EXPECT_EQ(launcher_.starts("a"), 0);
  EXPECT_EQ(launcher_.starts("b"), 0);
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(SupervisorTest, AReloadBeforeTheStartupEventStartsEachJobOnce) {
  SupervisorConfig config;
  config.jobs = {job("a")};
  supervisor_->start(std::move(config));
  reload({job("a"), job("b")});
  EXPECT_EQ(launcher_.starts("a"), 1);
  EXPECT_EQ(launcher_.starts("b"), 1);
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

TEST_F(SupervisorTest, ServicesLeaveTheCatalogBeforePostStopRuns) {
  hold_withdrawals_ = true;
  JobSpec main = job("main");
  main.ends_agent = true;
  JobSpec web;
  web.name = "web";
  web.advertised = true;
  JobSpec admin = web;
  admin.name = "admin";
  run({main, web, admin, job_when("postStop", Trigger::Kind::kOnce, EventCode::kStopped, "main")});
  launcher_.finish("main", {.code = 4});
  EXPECT_EQ(launcher_.starts("postStop"), 0);
  for (const auto& done : held_) done();  // in one turn
  loop_.settle();
  EXPECT_EQ(launcher_.starts("postStop"), 1);
  launcher_.finish("postStop");
  EXPECT_EQ(exit_code_, 4);
}

TEST_F(SupervisorTest, CoprocessesAreThereForPostStop) {
  JobSpec main = job("main");
  main.ends_agent = true;
  JobSpec coprocess = job("coprocess");
  coprocess.outlives_main = true;
  run({main, coprocess, job_when("postStop", Trigger::Kind::kOnce, EventCode::kStopped, "main")});
  shutdown();
  EXPECT_EQ(launcher_.running("main"), 0);
  loop_.advance(1min);
  EXPECT_THAT(launcher_.last("coprocess").group_signals, IsEmpty());
  launcher_.finish("postStop");
  EXPECT_THAT(launcher_.last("coprocess").group_signals, ElementsAre(SIGTERM));
  EXPECT_EQ(exit_code_, 143);
}

TEST_F(SupervisorTest, CoprocessesDoNotKeepAPostStopWithoutEnd) {
  JobSpec main = job("main");
  main.ends_agent = true;
  JobSpec coprocess = job("coprocess");
  coprocess.outlives_main = true;
  run({main, coprocess, job_when("postStop", Trigger::Kind::kOnce, EventCode::kStopped, "main")});
  launcher_.finish("main");
  EXPECT_EQ(launcher_.running("postStop"), 1);
  loop_.advance(Supervisor::kHookLimit + 1s);
  EXPECT_TRUE(exit_code_);
  EXPECT_EQ(launcher_.running("coprocess"), 0);
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

}  // namespace
}  // namespace containerpilot
