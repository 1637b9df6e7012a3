#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/job_spec.h"
#include "containerpilot/supervisor/probe.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot {

/// Asks one job's probe again and again and applies the thresholds.
///
/// The first check runs right after start() and is repeated quickly (100 ms, doubling up to the
/// interval) until the first success. Until then, and within the start period (at least one
/// interval: 3.x made its first check then), a failing check is not a failure yet. From there on
/// checks keep their pace whatever they take.
class HealthMonitor {
 public:
  /// kFailing: fails, but not yet as often as HealthSpec::failing_at_once forgives.
  enum class Verdict : std::uint8_t { kHealthy, kFailing, kUnhealthy };
  enum class Weight : std::uint8_t {
    kTooEarly,  ///< a failure before it can have started
    kForgiven,  ///< a failure below the threshold
    kCounts,
  };
  struct Hooks {
    std::function<std::vector<std::string>()> environment;
    /// Every check, also those that do not count yet.
    std::function<void(const ProbeResult&, Weight)> checked;
    /// After the thresholds; at every check that confirms it, too. `why` is empty when healthy.
    std::function<void(Verdict, const std::string& why)> verdict;
    /// What the catalog should hear: state and output of the check.
    std::function<void(bool passing, const std::string& output)> beat;
  };

  HealthMonitor(Reactor& reactor, ProbeRunner& probes, std::string job, const HealthSpec& spec,
                Hooks hooks)
      : reactor_(reactor),
        probes_(probes),
        job_(std::move(job)),
        spec_(spec),
        hooks_(std::move(hooks)) {}

  void start();
  /// Kills a running check. Nothing is called any more until start().
  void stop();
  [[nodiscard]] unsigned failures_in_a_row() const { return failures_; }

 private:
  void check();
  void on_result(const ProbeResult& result);
  void on_success();
  void on_failure(const ProbeResult& result);
  void tell(Verdict verdict, const std::string& why);
  void schedule_next();
  [[nodiscard]] bool in_grace() const;

  Reactor& reactor_;
  ProbeRunner& probes_;
  const std::string job_;
  const HealthSpec spec_;
  const Hooks hooks_;
  std::optional<Verdict> verdict_;  // none yet after start()
  bool succeeded_ = false;          // since start()
  unsigned failures_ = 0;
  unsigned successes_ = 0;
  TimePoint started_{};
  TimePoint due_{};
  Duration quick_{0};
  Watch timer_;
  Watch running_;
};

/// The reason and the last line of its output, for the log.
std::string brief(const ProbeResult& result);

}  // namespace containerpilot
