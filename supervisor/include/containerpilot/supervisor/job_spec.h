#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/event.h"
#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/probe_spec.h"
#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/schedule.h"

namespace containerpilot {

/// How many times, or without end.
struct Limit {
  static constexpr std::uint64_t kUnlimited = UINT64_MAX;
  std::uint64_t count = 0;
  [[nodiscard]] bool unlimited() const { return count == kUnlimited; }
  friend bool operator==(const Limit&, const Limit&) = default;
};

struct RestartPolicy {
  Limit limit;  ///< restarts after the first run of a start; for `each`, over the job's whole life
  Duration delay =
      std::chrono::milliseconds(100);  ///< second failed run in a row; the first restarts at once
  Duration max_delay = std::chrono::seconds(30);  ///< doubling ends here
  Duration reset_after =
      std::chrono::seconds(10);  ///< a run this long (or a healthy job) forgets earlier failures
  friend bool operator==(const RestartPolicy&, const RestartPolicy&) = default;
};

/// A state of another job, watch or lock that can be waited in.
enum class HeldState : std::uint8_t { kRunning, kHealthy, kHeld };
/// "running", "healthy", "held".
constexpr std::string_view held_state_name(HeldState state) {
  return state == HeldState::kRunning   ? "running"
         : state == HeldState::kHealthy ? "healthy"
                                        : "held";
}
struct HeldCondition {
  std::string source;
  HeldState state = HeldState::kRunning;
  friend bool operator==(const HeldCondition&, const HeldCondition&) = default;
};

enum class Overlap : std::uint8_t { kSkip, kQueue, kReplace };

/// When a job starts. Exactly one kind of trigger.
struct Trigger {
  enum class Kind : std::uint8_t {
    kOnce,      ///< at the first event of `events` (kStartup of "global" by default)
    kEach,      ///< at every event of `events`
    kAll,       ///< once every event of `events` has been seen
    kInterval,  ///< at start, then every `interval`
    kSchedule,  ///< by `schedule`
    kWhile,     ///< runs as long as `condition` holds, and is stopped when it ends
    kNever,     ///< waits for nothing (3.x: `when: {}`); can be started by hand
  };
  Kind kind = Kind::kOnce;
  std::vector<EventKey> events = {{EventCode::kStartup, "global"}};
  Duration interval{0};
  bool first_run_at_once = true;  ///< false: first run one interval later (tasks of generation 2)
  Schedule schedule;
  std::optional<HeldCondition>
      condition;        ///< kWhile; for kInterval and kSchedule: skip ticks outside it
  Duration timeout{0};  ///< gives up waiting (timerExpired); 0: never
  Duration jitter{0};   ///< a random delay in [0, jitter) before each start by interval or schedule
  Overlap overlap = Overlap::kQueue;
  Duration debounce{0};  ///< starts this long after the last event of a burst
  friend bool operator==(const Trigger&, const Trigger&) = default;
};

/// What the end of a job, or a failing check, means for others.
enum class EndAction : std::uint8_t { kIgnore, kShutdown };
enum class UnhealthyAction : std::uint8_t { kIgnore, kRestart, kShutdown };

struct HealthSpec {
  Probe probe;  ///< monostate: healthy as long as the job runs, re-affirmed every interval (a
                ///< heartbeat)
  Duration interval = std::chrono::seconds(10);
  Duration timeout{0};  ///< 0: no limit
  Duration start_period{0};
  unsigned failure_threshold = 1;
  unsigned success_threshold = 1;
  /// The threshold stands for a TTL: each failure counts for those who listen to events, but the
  /// catalog hears nothing until the threshold, and nothing is done before.
  bool failing_at_once = false;
  UnhealthyAction on_failure = UnhealthyAction::kIgnore;
  Duration watchdog{0};  ///< with JobSpec::notify: unhealthy this long after the last WATCHDOG=1
  bool raw_output = false;
  LineFields output_fields;  ///< as JobOutput::fields
  /// Generations 1 and 2: checked from the start of the agent on, whatever the process does.
  bool independent_of_process = false;
  friend bool operator==(const HealthSpec&, const HealthSpec&) = default;
};

/// Where a job's output goes, if not into the agent's log.
struct JobOutput {
  bool raw =
      false;  ///< untouched: to the agent's own stdout and stderr, or the lines alone in `file`
  std::string file;         ///< a file of its own; empty: the agent's log
  bool merge_json = false;  ///< lines that are JSON objects are merged into a json log entry
  unsigned max_rate = 0;    ///< lines a second; what is above is counted and left out. 0: all
  LineFields fields;        ///< generations 1 and 2: who prints, see LineSource::fields
  friend bool operator==(const JobOutput&, const JobOutput&) = default;
};

/// One supervised job, validated; the engine knows nothing else about it.
struct JobSpec {
  std::string name;
  std::optional<ProcessSpec> exec;  ///< none: never exits by itself (health and heart-beat only)
  Trigger when;
  RestartPolicy restarts;
  Duration exec_timeout{0};  ///< bounds one run; 0: none
  std::optional<HealthSpec> health;
  int stop_signal = 15;
  std::optional<Duration> stop_timeout;  ///< stop signal to SIGKILL; unset: the agent's stopTimeout
  Duration drain{0};  ///< withdrawn from the catalog this long before the stop signal
  EndAction on_success = EndAction::kIgnore;
  EndAction on_failure = EndAction::kIgnore;
  bool advertised = false;  ///< somebody outside wants to know its health (drain makes sense)
  JobOutput output;
  /// Give it a NOTIFY_SOCKET. It is ready when it says so; without a probe it is healthy from then
  /// on.
  bool notify = false;
  /// The catalog this agent's own entries are in: signalled last, and only when its entries and all
  /// others are withdrawn.
  bool serves_catalog = false;
  /// Generations 1 and 2: the main application. Its end ends the agent with its code.
  bool ends_agent = false;
  /// Generations 1 and 2: does nothing in maintenance (tasks).
  bool paused_in_maintenance = false;
  /// Survives every reload untouched (the main application of generations 1 and 2).
  bool survives_reload = false;
  /// Generations 1 and 2: runs anew at a reload if it has ended (coprocesses).
  bool runs_again_at_reload = false;
  /// Generations 1 and 2: at the end there until the main application and its hooks have ended.
  bool outlives_main = false;
  bool tells_pid = true;  ///< in CONTAINERPILOT_<NAME>_PID
  /// Generations 1 and 2: CONTAINERPILOT_<NAME>_PID stays set when the process has ended.
  bool keeps_pid_variable = false;
  std::string pid_alias;  ///< another variable that tells the pid likewise; empty: none
  /// Gets no say in "all jobs are complete" (the telemetry pseudo job).
  bool counts_for_completion = true;
  friend bool operator==(const JobSpec&, const JobSpec&) = default;
};

/// "CONTAINERPILOT_<NAME>_PID" part: base name, first extension removed, each run of
/// non-alphanumerics one '_', upper case. Source: ContainerPilot 3.8.0 (spec v3, section 9).
std::string env_name(std::string_view job_name);

}  // namespace containerpilot
