// The log at level info: one line for each change of state, and nothing in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "supervisor_test.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using test::FakeLauncher;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class JobLogTest : public SupervisorTest {
 protected:
  /// What was logged at info or above since the last call.
  std::vector<std::string> said() {
    std::vector<std::string> texts;
    for (const test::LogCapture::Entry& entry : log_.entries()) {
      if (entry.level >= LogLevel::kInfo) texts.push_back(entry.message);
    }
    texts.erase(texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(told_));
    told_ += texts.size();
    return texts;
  }

 private:
  std::size_t told_ = 0;
};

TEST_F(JobLogTest, ALifeOfFailures) {
  JobSpec spec = job("app");
  spec.restarts.limit.count = 2;
  run({spec, job("stay")});
  EXPECT_THAT(said(), ElementsAre("job 'app' started: pid 1000, because of startup",
                                  "job 'stay' started: pid 1001, because of startup"));
  loop_.advance(3s);
  launcher_.finish("app", {.code = 7});
  loop_.advance(0s);
  EXPECT_THAT(said(), ElementsAre("app exited with error: exit status 7 after 3s, restarting",
                                  "job 'app' started: pid 1002, because of exitFailed of 'app'"));
  launcher_.fail_next("app", Error(Errc::kNotFound, "cannot start job 'app': no such file"));
  launcher_.finish("app", {.signal = SIGKILL});
  const auto backoff = said();
  ASSERT_EQ(backoff.size(), 1U);
  EXPECT_EQ(backoff[0].rfind("app exited with error: signal: killed after 0ms, restarting in 1", 0),
            0U)
      << backoff[0];
  loop_.advance(1s);
  EXPECT_THAT(said(), ElementsAre("cannot start job 'app': no such file; not restarted"));
  EXPECT_EQ(log_.entries().back().level, LogLevel::kError);
}

TEST_F(JobLogTest, RunsByTheClockAndByEventsTellWhatIsNext) {
  JobSpec tick = job("tick");
  tick.when.kind = Trigger::Kind::kInterval;
  tick.when.interval = 10s;
  tick.restarts.limit.count = Limit::kUnlimited;
  run({tick, job_when("on-hup", Trigger::Kind::kEach, EventCode::kSignal, "SIGHUP")});
  loop_.advance(3s);
  launcher_.finish("tick");
  bus_.publish({EventCode::kSignal, "SIGHUP"}, 0);
  loop_.settle();
  launcher_.finish("on-hup");
  EXPECT_THAT(said(),
              ElementsAre("job 'tick' started: pid 1000, because of startup",
                          "tick exited without error after 3s, next in 7s",
                          "job 'on-hup' started: pid 1001, because of SIGHUP",
                          "on-hup exited without error after 0ms, waiting for the next event"));
}

TEST_F(JobLogTest, AStopByHandAndAShutdown) {
  run({job("a"), job("b")});
  said();
  ASSERT_TRUE(supervisor_->stop_job("a"));
  loop_.settle();
  EXPECT_THAT(said(), ElementsAre("job 'a' is stopping, because of a stop by hand",
                                  "a exited with error: signal: terminated after 0ms, stopped"));
  shutdown();
  EXPECT_THAT(said(), ElementsAre("shutting down: test; waiting for: b",
                                  "b exited with error: signal: terminated after 0ms, stopped"));
}

TEST_F(JobLogTest, EveryFailedCheckBelowTheThresholdAndEachChange) {
  JobSpec spec = job("web");
  spec.health = HealthSpec{};
  spec.health->probe = ProcessSpec{.argv = {"/bin/check"}};
  spec.health->failure_threshold = 3;
  int code = 0;
  launcher_.on_start([&](FakeLauncher::Run& r) {
    if (r.name == "check.web") launcher_.finish_after(r, 1ms, {.code = code});
  });
  run({spec});
  loop_.advance(1s);
  said();
  loop_.advance(20s);
  EXPECT_THAT(said(), IsEmpty());
  code = 7;
  loop_.advance(10s);
  EXPECT_THAT(said(), ElementsAre("check of job 'web' failed (1 of 3): exited with code 7"));
  loop_.advance(10s);
  EXPECT_THAT(said(), ElementsAre("check of job 'web' failed (2 of 3): exited with code 7"));
  code = 0;
  loop_.advance(10s);
  EXPECT_THAT(said(), ElementsAre("check of job 'web' passes again"));
  code = 7;
  loop_.advance(20s);
  said();
  loop_.advance(30s);
  EXPECT_THAT(said(), ElementsAre("job 'web' is unhealthy: exited with code 7"));
  code = 0;
  loop_.advance(30s);
  EXPECT_THAT(said(), ElementsAre("job 'web' is healthy"));
}

TEST_F(JobLogTest, UnhealthyComesWithTheLastLineOfOutput) {
  JobSpec spec = job("web");
  spec.health = HealthSpec{};
  spec.health->probe = ProcessSpec{.argv = {"/bin/check"}};
  launcher_.use_pipes();
  run({spec});
  launcher_.print("check.web", "connecting\nrefused\n");
  launcher_.finish("check.web", {.code = 1});
  loop_.advance(1s);
  launcher_.finish("check.web");
  loop_.advance(10s);
  launcher_.print("check.web", "connecting\nrefused\n");
  launcher_.finish("check.web", {.code = 1});
  EXPECT_TRUE(log_.contains("job 'web' is unhealthy: exited with code 1: refused"));
}

TEST_F(JobLogTest, AWatchdogSaysWhatItMissed) {
  JobSpec spec = job("app");
  spec.notify = true;
  spec.health = HealthSpec{};
  spec.health->watchdog = 5s;
  run({spec});
  launcher_.last("app").on_notify({.ready = true});
  loop_.advance(5s);
  EXPECT_TRUE(log_.contains("job 'app' is unhealthy: no WATCHDOG=1 for 5s"));
}

TEST_F(JobLogTest, LinesLeftOutAreToldAlthoughNoneFollows) {
  launcher_.use_pipes();
  JobSpec spec = job("app");
  spec.output.max_rate = 1;
  run({spec});
  launcher_.print("app", "one\ntwo\nthree\n");
  loop_.advance(1s);
  EXPECT_TRUE(log_.contains("2 were left out"));
  loop_.advance(1s);
  launcher_.print("app", "four\nfive\n");
  launcher_.finish("app");
  EXPECT_TRUE(log_.contains("1 were left out"));
}

}  // namespace
}  // namespace containerpilot
