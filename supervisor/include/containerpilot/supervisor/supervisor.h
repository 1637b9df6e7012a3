#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/environment.h"
#include "containerpilot/supervisor/event_bus.h"
#include "containerpilot/supervisor/job_spec.h"
#include "containerpilot/supervisor/probe.h"
#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot {

/// Where a job is in its life.
enum class JobState : std::uint8_t {
  kWaiting,   ///< for its start event, the next tick or the next event
  kRunning,   ///< its process runs; without exec: it was started
  kBackoff,   ///< ended, and will be started again when the delay is over
  kStopping,  ///< hooks, drain, stop signal, waiting for the end
  kComplete,  ///< will not run again
};
std::string_view job_state_name(JobState state);  ///< "waiting", "running", …

/// What its checks say. Maintenance covers the others while it lasts.
enum class JobHealth : std::uint8_t { kUnknown, kHealthy, kUnhealthy, kMaintenance };
/// The words of generation 3's /status: "unknown", "healthy", "unhealthy", "maintenance".
std::string_view job_health_name(JobHealth health);

struct CheckStatus {
  bool ok = false;
  std::string reason;      ///< "exited with code 1"; empty when ok
  std::string last_lines;  ///< of its output
  WallTime at{};
  Duration duration{0};
  unsigned failures_in_a_row = 0;
};

/// A copy of all there is to know about a job, for status pages and metrics.
struct JobStatus {
  std::string name;
  JobState state = JobState::kWaiting;
  JobHealth health = JobHealth::kUnknown;
  bool has_exec = false;
  bool has_check = false;
  bool advertised = false;
  bool ready = false;
  pid_t pid = 0;     ///< 0 when no process runs
  WallTime since{};  ///< of `state`
  std::uint64_t starts = 0;
  std::uint64_t restarts = 0;
  std::uint64_t life = 0;  ///< another one when a reload replaced the job: it counts anew
  std::optional<ExitStatus> last_exit;
  std::string last_start_error;  ///< why the last start failed; empty when it did not
  Duration last_run{0};
  unsigned failures_in_a_row = 0;
  bool crash_loop = false;  ///< kCrashLoop or more failed runs in a row
  std::optional<WallTime> next_start;
  std::string note;                    ///< what it said last by STATUS=
  std::uint64_t suppressed_lines = 0;  ///< of its output, by JobOutput::max_rate
  EventId cause = 0;                   ///< event that caused the last start (or attempt)
  /// That event and its causes, newest first, as the bus knew them then (EventBus::chain).
  std::shared_ptr<const std::vector<Event>> why;
  std::optional<CheckStatus> check;
};

/// What the supervisor tells its surroundings. Any member may be empty. Called on the loop, never
/// from inside a call into the supervisor made by the same hook.
struct SupervisorHooks {
  /// A check result, a heartbeat or the end of the process of an advertised job.
  std::function<void(const std::string& job, bool passing, const std::string& output)> report;
  /// Take the job out of the catalog; call `done` once, later, when that happened or was given up.
  std::function<void(const std::string& job, std::function<void()> done)> withdraw;
  /// Adds "KEY=value" entries for a run that begins because of `why`, newest first. `since` is the
  /// first event of the burst it answers.
  std::function<void(const std::vector<Event>& why, EventId since,
                     std::vector<std::string>& environment)>
      run_environment;
  std::function<void(const JobStatus&)> started;
  /// One run ended (or could not start: then `exit` has code 127).
  std::function<void(const JobStatus&, ExitStatus exit, Duration ran)> exited;
  std::function<void(const std::string& job, const ProbeResult&)> checked;
  /// The shutdown begins; no job was touched yet.
  std::function<void()> shutdown_begins;
  /// Everything is stopped. The agent may end with this code.
  std::function<void(int exit_code, const std::string& why)> finished;
};

struct SupervisorConfig {
  std::vector<JobSpec> jobs;
  Duration stop_timeout =
      std::chrono::seconds(5);  ///< for jobs without one of their own; negative: SIGKILL at once
  bool runs_without_jobs =
      false;               ///< stays when every job is complete (until a job with ends_agent ends)
  std::uint64_t seed = 0;  ///< of every jitter, for tests that repeat a run; 0: a random one
};

/// What a reload did, by job name.
struct ReloadReport {
  std::vector<std::string> added, removed, changed, unchanged;
};

/// "added: a; changed: b c; 3 unchanged".
std::string describe(const ReloadReport& report);

/// Runs the jobs of a plan: starts them when their event comes, restarts, checks, stops and in the
/// end says with which code the agent should exit. Loop thread only. Publishes and reads `bus`.
///
/// Shutdown is bounded: hooks (`stopping`, `stopped`) get their own timeout or kHookLimit, the rest
/// their stop timeout, then SIGKILL. A second shutdown() skips hooks and drains, a third kills.
class Supervisor {
 public:
  static constexpr unsigned kCrashLoop = 5;
  static constexpr Duration kHookLimit = std::chrono::minutes(5);

  Supervisor(Reactor& reactor, Launcher& launcher, ProbeRunner& probes, EventBus& bus,
             Environment& environment, SupervisorHooks hooks);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Takes the jobs; {startup, global} comes after the signals and the I/O of the next turn. Once.
  void start(SupervisorConfig config);
  /// Compares by name; stops what is gone or changed, starts what is new or changed, leaves the
  /// rest alone. A job whose start event already happened starts at once.
  ReloadReport apply(const SupervisorConfig& config);
  /// `why` is for people: "received SIGTERM". Call again to hurry, a third time to kill.
  void shutdown(const std::string& why);
  [[nodiscard]] bool shutting_down() const;

  void set_maintenance(bool on);
  [[nodiscard]] bool maintenance() const;

  // By hand, from the control socket. Errors: kNotFound (the jobs there are), kUnavailable
  // (shutting down).
  Status start_job(const std::string& name);
  /// The agent does not end because of it, until the job is started again or gone.
  Status stop_job(const std::string& name);
  Status restart_job(const std::string& name);
  Status signal_job(const std::string& name, int signo);
  /// Calls `fn` with every line the job prints from now on, over runs and reloads, as long as the
  /// watch lives. Raw output is not seen. Errors: kNotFound.
  Result<Watch> follow_output(const std::string& name, std::function<void(std::string_view)> fn);

  [[nodiscard]] std::vector<JobStatus> jobs() const;
  [[nodiscard]] std::optional<JobStatus> job(const std::string& name) const;
  /// Also for sensors: is that job running or healthy, that watch healthy, that lock held?
  [[nodiscard]] bool holds(const HeldCondition& condition) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace containerpilot
