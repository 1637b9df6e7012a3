#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <list>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "containerpilot/supervisor/event_bus.h"
#include "containerpilot/supervisor/line_reader.h"
#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/supervisor.h"
#include "health_monitor.h"
#include "rate_guard.h"
#include "restart_budget.h"
#include "ticker.h"

namespace containerpilot {

class Job;

inline bool ticks(const Trigger& when) {
  return when.kind == Trigger::Kind::kInterval || when.kind == Trigger::Kind::kSchedule;
}

/// What a job needs from the supervisor it belongs to.
class JobHost {
 public:
  JobHost() = default;
  JobHost(const JobHost&) = delete;
  JobHost& operator=(const JobHost&) = delete;
  virtual ~JobHost() = default;
  /// A number that no other job of this supervisor has or had.
  [[nodiscard]] std::uint64_t new_life() { return ++lives_; }
  [[nodiscard]] virtual Duration stop_timeout() const = 0;
  [[nodiscard]] virtual bool shutting_down() const = 0;
  [[nodiscard]] virtual bool maintenance() const = 0;
  [[nodiscard]] virtual bool holds(const HeldCondition& condition) const = 0;
  /// Why that job last ran; null if there is no such job.
  [[nodiscard]] virtual std::shared_ptr<const std::vector<Event>> why(
      const std::string& job) const = 0;
  /// Jobs that have to run to their end when `job` begins to stop; it waits for them.
  [[nodiscard]] virtual std::vector<std::string> stop_hooks(const Job& job) const = 0;
  /// `job` may be signalled now: what depends on it is gone.
  [[nodiscard]] virtual bool may_signal(const Job& job) const = 0;
  virtual void state_changed(Job& job) = 0;
  /// A line of its output; cheap when nobody follows.
  virtual void printed(const Job& job, std::string_view line) = 0;
  virtual void completed(Job& job) = 0;
  /// A run for some job's stopping is over, and `hook` waits for the next.
  virtual void hook_idle(const Job& hook) = 0;
  /// `name` was waited for long enough: it is to stop.
  virtual void abandon_hook(const std::string& name, EventId cause) = 0;
  /// The end of this job ends the agent.
  virtual void end_agent(const Job& job, int exit_code, const std::string& why, EventId cause) = 0;
  [[nodiscard]] virtual const SupervisorHooks& hooks() const = 0;
  /// For jitter.
  virtual std::minstd_rand& random() = 0;
  /// How much later than whole intervals the ticks of one more job come: each start takes a moment,
  /// and jobs that are all due at once would wait for those before them.
  virtual Duration next_phase(Duration interval) = 0;

 private:
  std::uint64_t lives_ = 0;
};

struct JobContext {
  Reactor& reactor;
  Launcher& launcher;
  ProbeRunner& probes;
  EventBus& bus;
  Environment& environment;
  JobHost& host;
};

/// One job: trigger, runs, restarts, health, stop. A plain state machine: JobState says where it
/// is, each on_… function is one event. Never calls back into its host from a constructor.
class Job {
 public:
  Job(JobContext context, JobSpec spec);
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  /// Begins to wait for the trigger; `cause` is what brought it in (0: the start of the agent).
  void activate(EventId cause = 0);
  void on_event(const Event& event);
  /// Runs now, whatever it waits for.
  void trigger(EventId cause);
  void reevaluate_condition(EventId cause);
  void stop(EventId cause);
  /// It may be started again: the agent does not end because of it.
  void stop_by_hand(EventId cause);
  /// No hooks, no drain: the stop signal now.
  void hurry();
  void kill();
  /// What it waits for before it stops has been done.
  void hook_done(const std::string& hook);
  /// The host found that may_signal() may have changed.
  void dependents_gone();
  void enter_maintenance();
  void exit_maintenance();
  Status signal(int signo);
  /// Ends the run under way (stop signal, then SIGKILL) and starts the next.
  void restart(EventId cause);

  [[nodiscard]] const JobSpec& spec() const { return spec_; }
  [[nodiscard]] JobState state() const { return state_; }
  [[nodiscard]] JobHealth health() const { return health_; }
  [[nodiscard]] bool complete() const { return state_ == JobState::kComplete; }
  /// Its trigger is the stopping or stopped of another job.
  [[nodiscard]] bool is_stop_hook() const;
  [[nodiscard]] bool waits_for(const EventKey& key) const;
  /// `key` came before the job did. True if it is all the job waits for.
  bool need_not_wait_for(const EventKey& key);
  /// Waits for an event, and none is on its way.
  [[nodiscard]] bool at_rest() const {
    return state_ == JobState::kWaiting && queued_.empty() && !debounce_timer_.active();
  }
  [[nodiscard]] bool stopped_by_hand() const { return stopped_by_hand_; }
  /// The event that brought it into that state.
  [[nodiscard]] EventId cause_of(HeldState state) const {
    return state == HeldState::kHealthy && healthy_event_ != 0 ? healthy_event_ : cause_;
  }
  [[nodiscard]] const std::shared_ptr<const std::vector<Event>>& why() const { return why_; }
  [[nodiscard]] bool has_run_or_runs() const { return starts_ > 0; }
  [[nodiscard]] bool process_running() const { return process_ != nullptr; }
  [[nodiscard]] JobStatus status() const;

 private:
  enum class StopPhase : std::uint8_t {
    kNone,
    kHooks,
    kDrain,
    kDependents,
    kSignalled,
    kSurvivors,
    kWithdrawing
  };

  static constexpr Duration kSurvivorPoll = std::chrono::milliseconds(20);

  static void cancel(std::initializer_list<Watch*> watches) {
    for (Watch* watch : watches) *watch = Watch();
  }
  void set_state(JobState state);
  void start_run(EventId cause);
  void start_failed(const Error& error);
  void on_exit(ExitStatus exit);
  void run_ended(ExitStatus exit);
  void after_run(ExitStatus exit);
  void restart_after(Duration delay, EventId cause);
  void start_when_gone(EventId cause);
  void set_cause(EventId cause);
  void on_tick();
  void queue_or_start(EventId cause);
  void end_run();  // stop signal to a run, SIGKILL after the stop timeout
  void begin_drain();
  void withdraw();
  void begin_signal();
  void signal_to_stop();
  bool survivors_remain();
  void await_survivors();
  void finish_stop();
  void start_health();
  void begin_health();
  void forget_health();
  void on_notification(const Notification& said);
  void expect_watchdog();
  void become_ready(EventId cause);
  void report(bool passing, const std::string& output);
  [[nodiscard]] bool health_by_notification() const;
  void on_verdict(HealthMonitor::Verdict verdict, const std::string& why);
  void on_checked(const ProbeResult& result, HealthMonitor::Weight weight);
  void tell_check(const ProbeResult& result, HealthMonitor::Weight weight) const;
  void tell_pid(pid_t pid);
  void forget_pid();
  void read_output(UniqueFd fd);
  void on_line(const LineSource& source, std::string_view line);
  void tell_suppressed();
  [[nodiscard]] std::vector<std::string> child_environment() const;
  [[nodiscard]] std::vector<std::string> run_environment() const;
  [[nodiscard]] bool runs_long() const;
  [[nodiscard]] Duration stop_timeout() const;
  [[nodiscard]] bool condition_holds() const {
    return !spec_.when.condition || ctx_.host.holds(*spec_.when.condition);
  }
  [[nodiscard]] bool busy() const { return process_ != nullptr || state_ == JobState::kBackoff; }
  void tell_end(LogLevel level, ExitStatus exit, const std::string& what_next) const;
  [[nodiscard]] std::string restarting_in(Duration delay) const;
  [[nodiscard]] std::string next_chance() const;
  [[nodiscard]] std::string describe_cause() const;
  [[nodiscard]] std::string describe_condition() const;

  JobContext ctx_;
  const JobSpec spec_;
  const std::string pid_variable_;

  JobState state_ = JobState::kWaiting;
  JobHealth health_ = JobHealth::kUnknown;
  StopPhase phase_ = StopPhase::kNone;
  WallTime since_{};

  // trigger
  bool triggered_ = false;         // kOnce, kAll: had its event
  std::vector<EventKey> missing_;  // kAll
  std::deque<EventId> queued_;     // events (or ticks) to run for after this run
  EventId last_trigger_ = 0;
  std::shared_ptr<const std::vector<Event>> ticks_why_;  // kInterval, kSchedule: began because of
  Watch wait_timer_;                                     // when.timeout
  Watch debounce_timer_;
  EventId burst_first_ = 0;  // of the events that debounce takes as one
  EventId burst_last_ = 0;
  bool first_run_waits_ = false;    // kInterval: its condition does not hold yet
  std::unique_ptr<Ticker> ticker_;  // kInterval, kSchedule

  // the run
  std::unique_ptr<Process> process_;
  std::unique_ptr<Process>
      survivors_;  // of a run that was told to end: its leader is gone, its group not
  bool survivors_told_ = false;
  TimePoint kill_at_{};
  std::shared_ptr<LogFile> output_file_;
  std::list<LineReader> readers_;
  RateGuard rate_;
  Watch rate_timer_;
  TimePoint run_started_{};
  Watch run_timeout_;
  bool timed_out_ = false;
  bool restart_requested_ = false;
  bool ended_unhealthy_ = false;  // and that is why
  bool ended_by_condition_ = false;
  Watch kill_timer_;
  RestartBudget budget_;
  Watch restart_timer_;
  std::optional<WallTime> next_start_;

  // health
  std::unique_ptr<HealthMonitor> monitor_;
  bool given_up_ = false;  // the last verdict was kUnhealthy
  bool ready_ = false;
  EventId healthy_event_ = 0;
  Watch watchdog_;
  std::string note_;  // its last STATUS=

  // stop
  EventId stopping_event_ = 0;
  std::set<std::string> hooks_pending_;
  Watch stop_timer_;
  bool withdrawn_ = true;
  bool left_catalog_ = false;  // serves_catalog: its own withdrawal was begun
  bool hurried_ = false;
  bool stopped_by_hand_ = false;

  // what status() shows
  std::uint64_t starts_ = 0;
  std::uint64_t restarts_ = 0;
  const std::uint64_t life_;
  EventId cause_ = 0;
  std::shared_ptr<const std::vector<Event>> why_ = std::make_shared<std::vector<Event>>();
  EventId run_event_ = 0;  // the exit event of the last run
  std::optional<ExitStatus> last_exit_;
  std::string last_start_error_;
  Duration last_run_{0};
  std::optional<CheckStatus> last_check_;
};

}  // namespace containerpilot
