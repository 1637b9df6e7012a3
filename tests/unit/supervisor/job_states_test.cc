// Every state of a job times everything that can happen to it.

#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <functional>
#include <string>

#include "containerpilot/supervisor/supervisor.h"
#include "support/fake_http.h"
#include "support/fake_launcher.h"
#include "support/log_capture.h"
#include "support/sim_reactor.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using enum JobState;

/// One job that starts at each SIGHUP, ignores its stop signal, may be restarted five times and
/// has a stop timeout of five seconds; brought into a state.
class World {
 public:
  explicit World(JobState state) : supervisor_(loop_, launcher_, probes_, bus_, environment_, {}) {
    SupervisorConfig config;
    config.runs_without_jobs = true;
    JobSpec& spec = spec_;
    spec.name = "app";
    spec.exec = ProcessSpec{.argv = {"/bin/app"}};
    spec.when.kind = Trigger::Kind::kEach;
    spec.when.events = {{EventCode::kSignal, "SIGHUP"}};
    spec.restarts.limit.count = 5;
    spec.health = HealthSpec{};
    spec.health->probe = ProcessSpec{.argv = {"/bin/check"}};
    spec.health->interval = spec.health->timeout = 1s;
    spec.health->on_failure = UnhealthyAction::kRestart;
    spec.notify = true;
    config.jobs = {spec};
    supervisor_.start(std::move(config));
    loop_.settle();
    if (state != kWaiting && state != kComplete) hangup();
    if (state == kBackoff) {
      end(1);  // the first restart is at once
      end(1);
    }
    if (state == kStopping || state == kComplete) stop();
    EXPECT_EQ(this->state(), state) << "the way there";
  }

  [[nodiscard]] JobState state() const { return supervisor_.job("app")->state; }

  void hangup() {
    bus_.publish({EventCode::kSignal, "SIGHUP"}, 0);
    loop_.settle();
  }
  void end(int code) {
    if (launcher_.running("app") > 0) launcher_.finish("app", ExitStatus{.code = code});
    loop_.settle();
  }
  void cannot_start() {
    launcher_.fail_next("app", Error(Errc::kNotFound, "cannot start"));
    hangup();
  }
  void start() { act(supervisor_.start_job("app")); }
  void stop() { act(supervisor_.stop_job("app")); }
  void restart() { act(supervisor_.restart_job("app")); }
  void signal() { act(supervisor_.signal_job("app", SIGUSR1)); }
  void shutdown(int times) {
    while (times-- > 0) supervisor_.shutdown("test");
    loop_.settle();
  }
  void maintenance(bool on) {
    supervisor_.set_maintenance(on);
    loop_.settle();
  }
  void check_fails() {
    if (launcher_.running("check.app") == 0) loop_.advance(1s);
    if (launcher_.running("check.app") > 0) launcher_.finish("check.app", {.code = 1});
    loop_.settle();
  }
  void say(const Notification& said) {
    if (launcher_.running("app") > 0) launcher_.last("app").on_notify(said);
    loop_.settle();
  }
  void reload(bool changed) {
    SupervisorConfig config;
    config.runs_without_jobs = true;
    config.jobs = {spec_};
    if (changed) config.jobs[0].exec->argv.emplace_back("-x");
    supervisor_.apply(std::move(config));
    loop_.settle();
  }
  void pass(Duration time) { loop_.advance(time); }

 private:
  void act(const Status&) { loop_.settle(); }

  JobSpec spec_;
  test::LogCapture log_;
  test::SimReactor loop_;
  test::FakeLauncher launcher_{loop_};
  test::FakeHttpClient http_{loop_};
  test::FakeResolver resolver_{loop_};
  ProbeRunner probes_{loop_, launcher_, http_, resolver_};
  EventBus bus_{loop_};
  Environment environment_;
  Supervisor supervisor_;
};

struct Row {
  const char* what;
  std::function<void(World&)> happens;
  std::array<JobState, 5> then;  // from waiting, running, backoff, stopping, complete
};

TEST(JobStates, TimesEvents) {
  constexpr std::array kStates = {kWaiting, kRunning, kBackoff, kStopping, kComplete};
  const std::array kRows = {
      Row{"its start event",
          [](World& w) { w.hangup(); },
          {kRunning, kRunning, kBackoff, kStopping, kComplete}},
      Row{"its start event, but it cannot start",
          [](World& w) { w.cannot_start(); },
          // The failed start is followed by the first restart, which is at once and good.
          {kRunning, kRunning, kBackoff, kStopping, kComplete}},
      Row{"it ends with 0",
          [](World& w) { w.end(0); },
          {kWaiting, kRunning, kBackoff, kComplete, kComplete}},
      Row{"it ends with 1",
          [](World& w) { w.end(1); },
          {kWaiting, kRunning, kBackoff, kComplete, kComplete}},
      Row{"start by hand",
          [](World& w) { w.start(); },
          {kRunning, kRunning, kRunning, kStopping, kRunning}},
      Row{"stop by hand",
          [](World& w) { w.stop(); },
          {kComplete, kStopping, kComplete, kStopping, kComplete}},
      Row{"restart by hand",
          [](World& w) { w.restart(); },
          {kRunning, kRunning, kRunning, kStopping, kRunning}},
      Row{"a signal by hand",
          [](World& w) { w.signal(); },
          {kWaiting, kRunning, kBackoff, kStopping, kComplete}},
      Row{"shutdown",
          [](World& w) { w.shutdown(1); },
          {kComplete, kStopping, kComplete, kStopping, kComplete}},
      Row{"shutdown, hurried",
          [](World& w) { w.shutdown(2); },
          {kComplete, kStopping, kComplete, kStopping, kComplete}},
      Row{"shutdown, killed",
          [](World& w) { w.shutdown(3); },
          {kComplete, kComplete, kComplete, kComplete, kComplete}},
      Row{"maintenance begins",
          [](World& w) { w.maintenance(true); },
          {kWaiting, kRunning, kBackoff, kStopping, kComplete}},
      Row{"maintenance comes and goes",
          [](World& w) {
            w.maintenance(true);
            w.maintenance(false);
          },
          {kWaiting, kRunning, kBackoff, kStopping, kComplete}},
      Row{"its check fails, and it is to be restarted",
          [](World& w) { w.check_fails(); },
          {kWaiting, kRunning, kRunning, kStopping, kComplete}},
      Row{"it says that it is ready",
          [](World& w) { w.say({.ready = true}); },
          {kWaiting, kRunning, kBackoff, kStopping, kComplete}},
      Row{"it says that it stops",
          [](World& w) { w.say({.stopping = true}); },
          {kWaiting, kRunning, kBackoff, kStopping, kComplete}},
      Row{"a reload that does not change it",
          [](World& w) { w.reload(false); },
          {kWaiting, kRunning, kBackoff, kStopping, kComplete}},
      Row{"a reload that changes it, and the time its stop takes",
          [](World& w) {
            w.reload(true);
            w.pass(5s);
          },
          {kWaiting, kWaiting, kWaiting, kWaiting, kWaiting}},
      Row{"99 ms pass",
          [](World& w) { w.pass(99ms); },
          {kWaiting, kRunning, kBackoff, kStopping, kComplete}},
      Row{"111 ms pass: the delay and its jitter",
          [](World& w) { w.pass(111ms); },
          {kWaiting, kRunning, kRunning, kStopping, kComplete}},
      Row{"the stop timeout passes",
          [](World& w) { w.pass(5s); },
          {kWaiting, kRunning, kRunning, kComplete, kComplete}},
  };
  for (const Row& row : kRows) {
    for (std::size_t i = 0; i < kStates.size(); ++i) {
      World world(kStates[i]);
      row.happens(world);
      EXPECT_EQ(job_state_name(world.state()), job_state_name(row.then[i]))
          << row.what << ", while " << job_state_name(kStates[i]);
    }
  }
}

}  // namespace
}  // namespace containerpilot
