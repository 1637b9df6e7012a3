#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/supervisor.h"
#include "support/fake_http.h"
#include "support/fake_launcher.h"
#include "support/log_capture.h"
#include "support/sim_reactor.h"

namespace containerpilot {

inline JobSpec job(std::string name) {
  JobSpec spec;
  spec.name = std::move(name);
  spec.exec = ProcessSpec{.argv = {"/bin/" + spec.name}};
  return spec;
}

inline JobSpec job_when(std::string name, Trigger::Kind kind, EventCode code, std::string source) {
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
  test::SimReactor loop_;
  test::FakeLauncher launcher_{loop_};
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

}  // namespace containerpilot
