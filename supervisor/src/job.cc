#include "job.h"

#include <signal.h>

#include <algorithm>
#include <random>

#include "containerpilot/supervisor/log.h"
#include "text.h"

namespace containerpilot {

namespace {
constexpr std::size_t kMaxQueuedEvents = 1000;
constexpr std::size_t kMaxLingeringReaders = 8;
constexpr Duration kSurvivorPoll = std::chrono::milliseconds(20);

Duration jittered(Duration delay) {
  // Up to a tenth more, so that jobs that fail together do not come back together.
  static std::minstd_rand random(std::random_device{}());
  return delay + delay / 1000 * std::uniform_int_distribution<int>(0, 100)(random);
}

void cancel(std::initializer_list<Watch*> watches) {
  for (Watch* watch : watches) *watch = Watch();
}

bool ticks(const Trigger& when) {
  return when.kind == Trigger::Kind::kInterval || when.kind == Trigger::Kind::kSchedule;
}
}  // namespace

Job::Job(JobContext context, JobSpec spec)
    : ctx_(context),
      spec_(std::move(spec)),
      pid_variable_("CONTAINERPILOT_" + env_name(spec_.name) + "_PID"),
      since_(ctx_.reactor.wall_now()),
      missing_(spec_.when.kind == Trigger::Kind::kAll ? spec_.when.events
                                                      : std::vector<EventKey>()),
      budget_(spec_.restarts) {
  if (spec_.health) {
    monitor_ = std::make_unique<HealthMonitor>(
        ctx_.reactor, ctx_.probes, spec_.name, *spec_.health,
        HealthMonitor::Hooks{
            [this] { return child_environment(); },
            [this](const ProbeResult& result, bool counts) { on_checked(result, counts); },
            [this](bool healthy) { on_verdict(healthy); },
            [this](bool passing, const std::string& output) {
              // After the process has ended nobody but its exit speaks for it.
              if (spec_.advertised && ctx_.host.hooks().report) {
                ctx_.host.hooks().report(spec_.name, passing, output);
              }
            }});
  }
}

Job::~Job() {
  for (LineReader& reader : readers_) reader.finish();
  if (process_) forget_pid();
}

// ---- trigger ----

void Job::activate() {
  if (spec_.when.timeout > Duration(0)) {
    wait_timer_ = ctx_.reactor.after(spec_.when.timeout, [this] {
      const EventId event = ctx_.bus.publish({EventCode::kTimerExpired, spec_.name}, 0,
                                             "waited " + format_seconds(spec_.when.timeout));
      log_info("supervisor", "job '" + spec_.name +
                                 "' gives up waiting for its start event after " +
                                 format_seconds(spec_.when.timeout));
      stop(event);
    });
  }
  reevaluate_condition(0);
}

bool Job::is_stop_hook() const {
  return spec_.exec && !ticks(spec_.when) &&
         std::any_of(spec_.when.events.begin(), spec_.when.events.end(), [](const EventKey& key) {
           return key.code == EventCode::kStopping || key.code == EventCode::kStopped;
         });
}

bool Job::waits_for(const EventKey& key) const {
  const Trigger& when = spec_.when;
  if (when.kind == Trigger::Kind::kWhile || when.kind == Trigger::Kind::kNever) return false;
  return std::find(when.events.begin(), when.events.end(), key) != when.events.end();
}

void Job::on_event(const Event& event) {
  if (complete()) return;
  if (phase_ == StopPhase::kHooks && event.key.code == EventCode::kStopped &&
      hooks_pending_.erase(event.key.source) > 0 && hooks_pending_.empty()) {
    begin_drain();
  }
  if (state_ == JobState::kStopping || !waits_for(event.key)) return;
  switch (spec_.when.kind) {
    case Trigger::Kind::kAll:
      std::erase(missing_, event.key);
      if (!missing_.empty()) return;
      [[fallthrough]];
    case Trigger::Kind::kOnce:
      if (triggered_) return;
      triggered_ = true;
      break;
    case Trigger::Kind::kEach:
      break;
    case Trigger::Kind::kInterval:
    case Trigger::Kind::kSchedule:
      if (ticker_) return;
      break;
    case Trigger::Kind::kWhile:
    case Trigger::Kind::kNever:
      return;
  }
  if (spec_.when.debounce > Duration(0)) {
    debounce_timer_ =
        ctx_.reactor.after(spec_.when.debounce, [this, id = event.id] { trigger(id); });
  } else {
    trigger(event.id);
  }
}

void Job::trigger(EventId cause) {
  if (complete() || state_ == JobState::kStopping) return;
  last_trigger_ = cause;
  if (ticks(spec_.when) && !ticker_) {
    wait_timer_ = Watch();
    ticker_ = make_ticker(ctx_.reactor, spec_.when, [this] { on_tick(); });
    if (spec_.when.kind == Trigger::Kind::kSchedule || !spec_.when.first_run_at_once) return;
  }
  queue_or_start(cause);
}

void Job::on_tick() {
  if (spec_.paused_in_maintenance && ctx_.host.maintenance()) return;
  if (spec_.when.condition && !ctx_.host.holds(*spec_.when.condition)) return;
  // The first run is not a restart.
  if (starts_ > 0 && !budget_.take_tick()) return;
  queue_or_start(last_trigger_);
}

void Job::reevaluate_condition(EventId cause) {
  if (spec_.when.kind != Trigger::Kind::kWhile || !spec_.when.condition) return;
  if (complete() || state_ == JobState::kStopping) return;
  const bool holds = ctx_.host.holds(*spec_.when.condition);
  if (holds && state_ == JobState::kWaiting) {
    start_run(cause);
  } else if (!holds && state_ == JobState::kBackoff) {
    restart_timer_ = Watch();
    next_start_.reset();
    set_state(JobState::kWaiting);
  } else if (!holds && state_ == JobState::kRunning && !ended_by_condition_) {
    log_info("supervisor", "job '" + spec_.name + "' is stopped: '" + spec_.when.condition->source +
                               "' is no longer in the state it runs in");
    ended_by_condition_ = true;
    if (process_) {
      end_run();
    } else {
      if (monitor_) monitor_->stop();
      after_run({});
    }
  }
}

void Job::queue_or_start(EventId cause) {
  const bool busy = process_ != nullptr || state_ == JobState::kBackoff;
  if (!busy) {
    start_run(cause);
    return;
  }
  switch (spec_.when.overlap) {
    case Overlap::kSkip:
      log_debug("supervisor", "job '" + spec_.name + "' is still running, skipping a start");
      return;
    case Overlap::kQueue: {
      // A tick that comes while one is already waiting adds nothing; events are each answered.
      const std::size_t limit = ticks(spec_.when) ? 1 : kMaxQueuedEvents;
      if (queued_.size() < limit) queued_.push_back(cause);
      return;
    }
    case Overlap::kReplace:
      queued_.assign(1, cause);
      if (process_) end_run();
      return;
  }
}

// ---- one run ----

void Job::start_run(EventId cause) {
  cancel({&wait_timer_, &restart_timer_, &run_timeout_, &kill_timer_});
  next_start_.reset();
  cause_ = cause;
  timed_out_ = restart_requested_ = ended_by_condition_ = false;
  ready_ = false;
  withdrawn_ = false;
  ++starts_;
  if (health_ != JobHealth::kMaintenance) health_ = JobHealth::kUnknown;
  run_started_ = ctx_.reactor.now();
  if (!spec_.exec) {
    set_state(JobState::kRunning);
    start_health();
    return;
  }
  last_start_error_.clear();
  if (!spec_.output.file.empty() && !output_file_) {
    auto file = open_log_file(spec_.output.file);
    if (!file) {
      start_failed(std::move(file).error().during("cannot start job '" + spec_.name + "'"));
      return;
    }
    output_file_ = std::move(file).value();
  }
  const bool pipes = !spec_.output.raw;
  auto process = ctx_.launcher.start({.spec = *spec_.exec,
                                      .environment = child_environment(),
                                      .output = pipes ? Output::kPipe : Output::kInherit,
                                      .name = "job '" + spec_.name + "'"},
                                     [this](ExitStatus exit) { on_exit(exit); });
  if (!process) {
    start_failed(process.error());
    return;
  }
  process_ = std::move(process).value();
  tell_pid(process_->pid());
  if (pipes) {
    read_output(process_->take_stdout());
    read_output(process_->take_stderr());
  }
  if (spec_.exec_timeout > Duration(0)) {
    run_timeout_ = ctx_.reactor.after(spec_.exec_timeout, [this] {
      timed_out_ = true;
      log_warn("supervisor", "job '" + spec_.name + "' ran into its timeout of " +
                                 format_seconds(spec_.exec_timeout) + ", killing it");
      process_->kill_tree();
    });
  }
  set_state(JobState::kRunning);
  const std::vector<Event> why = ctx_.bus.chain(cause);
  log_info("supervisor", "job '" + spec_.name + "' started: pid " +
                             std::to_string(process_->pid()) +
                             (why.empty() ? "" : ", because of " + describe_event(why.front())));
  if (ctx_.host.hooks().started) ctx_.host.hooks().started(status());
  start_health();
}

void Job::tell_pid(pid_t pid) {
  ctx_.environment.set(pid_variable_, std::to_string(pid));
  if (!spec_.pid_alias.empty()) ctx_.environment.set(spec_.pid_alias, std::to_string(pid));
}

void Job::forget_pid() {
  if (spec_.keeps_pid_variable) return;
  ctx_.environment.unset(pid_variable_);
  ctx_.environment.unset(spec_.pid_alias);
}

void Job::read_output(UniqueFd fd) {
  if (!fd.valid()) return;
  LineSource source;
  source.job = spec_.name;
  source.pid = process_->pid();
  source.merge_json = spec_.output.merge_json;
  source.file = output_file_;
  source.bare = output_file_ != nullptr;
  // Readers outlive the run: a daemon it left behind may still write. The oldest make room.
  if (readers_.size() >= kMaxLingeringReaders) readers_.pop_front();
  readers_.emplace_back(
      ctx_.reactor, std::move(fd),
      [source](std::string_view line) { log_child_line(source, line); }, nullptr);
}

void Job::start_failed(const Error& error) {
  last_start_error_ = error.text();
  log_error("supervisor", error.text(),
            {{"job", spec_.name}, {"errno", std::int64_t{error.sys_errno()}}});
  run_ended(ExitStatus{.code = 127});
}

void Job::on_exit(ExitStatus exit) {
  std::unique_ptr<Process> ended = std::move(process_);
  for (LineReader& reader : readers_) reader.drain();
  readers_.remove_if([](const LineReader& reader) { return reader.ended(); });
  cancel({&run_timeout_, &kill_timer_});
  forget_pid();
  // What it started in its group and left behind goes with it, as 3.x did; the number is still
  // ours.
  if (const Status sent = ended->signal_group(SIGTERM); !sent) {
    log_debug("supervisor", sent.error().text());
  }
  if (const Error* error = ended->start_failure()) {
    start_failed(*error);
    return;
  }
  if (phase_ == StopPhase::kSignalled) survivors_ = std::move(ended);
  run_ended(exit);
}

void Job::run_ended(ExitStatus exit) {
  const bool was_healthy = health_ == JobHealth::kHealthy && monitor_ != nullptr;
  last_exit_ = exit;
  last_run_ = ctx_.reactor.now() - run_started_;
  budget_.ended(exit.success(), last_run_, was_healthy);
  const std::string how = last_start_error_.empty() ? describe(exit) : last_start_error_;
  run_event_ = ctx_.bus.publish(
      {exit.success() ? EventCode::kExitSuccess : EventCode::kExitFailed, spec_.name}, cause_, how);
  if (!exit.success()) ctx_.bus.publish({EventCode::kError, spec_.name}, run_event_, how);
  if (monitor_ && !spec_.health->independent_of_process) {
    monitor_->stop();
    if (health_ != JobHealth::kMaintenance) health_ = JobHealth::kUnknown;
  }
  if (ctx_.host.hooks().exited) ctx_.host.hooks().exited(status(), exit, last_run_);
  after_run(exit);
}

void Job::after_run(ExitStatus exit) {
  const std::string ended = "job '" + spec_.name + "' " +
                            (last_start_error_.empty() ? describe(exit) : "could not start") +
                            " after " + format_seconds(last_run_);
  if (state_ == JobState::kStopping) {
    log_info("supervisor", ended);
    if (spec_.ends_agent) {
      ctx_.host.end_agent(*this, exit.shell_code(), "job '" + spec_.name + "' " + describe(exit),
                          run_event_);
    }
    if (phase_ == StopPhase::kSignalled) {
      // Not in this turn: the leader is a zombie until it ends, and counts as a member.
      phase_ = StopPhase::kSurvivors;
      stop_timer_ = ctx_.reactor.after(Duration(0), [this] { await_survivors(); });
    }
    return;
  }
  const bool last_words = spec_.advertised && monitor_ && !spec_.health->independent_of_process &&
                          !ticks(spec_.when) && spec_.when.kind != Trigger::Kind::kEach &&
                          health_ != JobHealth::kMaintenance;
  if (last_words && ctx_.host.hooks().report) {
    ctx_.host.hooks().report(spec_.name, false, "the process " + describe(exit));
  }
  if (restart_requested_) {
    log_info("supervisor", ended + ", restarting as requested");
    ++restarts_;
    start_run(cause_);
    return;
  }
  if (ended_by_condition_ || (!queued_.empty() && spec_.when.overlap == Overlap::kReplace)) {
    log_info("supervisor", ended);
    ended_by_condition_ = false;
    set_state(JobState::kWaiting);
    if (queued_.empty()) return reevaluate_condition(run_event_);
    const EventId next = queued_.front();
    queued_.pop_front();
    return start_run(next);
  }
  if (!ctx_.host.shutting_down()) {
    if (!ticks(spec_.when) && !budget_.empty()) {
      const Duration delay = jittered(budget_.take());
      log(exit.success() ? LogLevel::kInfo : LogLevel::kWarn, "supervisor",
          ended + ", " + what_next(delay));
      ++restarts_;
      return restart_after(delay, run_event_);
    }
    if (!queued_.empty()) {
      log_info("supervisor", ended + ", running again for the next event");
      const EventId next = queued_.front();
      queued_.pop_front();
      set_state(JobState::kWaiting);
      return start_run(next);
    }
    if (spec_.when.kind == Trigger::Kind::kEach || (ticks(spec_.when) && !budget_.empty())) {
      log(exit.success() ? LogLevel::kDebug : LogLevel::kInfo, "supervisor", ended);
      set_state(JobState::kWaiting);
      return;
    }
  }
  log(exit.success() ? LogLevel::kInfo : LogLevel::kWarn, "supervisor", ended + ", not restarted");
  const EndAction action = exit.success() ? spec_.on_success : spec_.on_failure;
  const EventId why = run_event_;
  if (spec_.ends_agent || action == EndAction::kShutdown) {
    ctx_.host.end_agent(*this, exit.shell_code(), "job '" + spec_.name + "' " + describe(exit),
                        why);
  }
  stop(why);
}

std::string Job::what_next(Duration delay) const {
  std::string text = delay <= Duration(0) ? "restarting" : "restarting in " + format_seconds(delay);
  const unsigned failures = budget_.failures_in_a_row();
  if (failures > 1) text += " (" + std::to_string(failures) + " failed runs in a row)";
  return text;
}

void Job::restart_after(Duration delay, EventId cause) {
  next_start_ = ctx_.reactor.wall_now() + delay;
  set_state(JobState::kBackoff);
  restart_timer_ = ctx_.reactor.after(delay, [this, cause] { start_run(cause); });
}

void Job::end_run() {
  if (!process_) return;
  const Duration limit = stop_timeout();
  kill_at_ = ctx_.reactor.now() + std::max(limit, Duration(0));
  if (limit < Duration(0)) {
    process_->kill_tree();
    return;
  }
  // The main application of generations 1 and 2 was signalled alone: it stops its own children.
  const Status sent = spec_.ends_agent ? process_->signal(spec_.stop_signal)
                                       : process_->signal_group(spec_.stop_signal);
  if (!sent) log_debug("supervisor", sent.error().text());
  kill_timer_ = ctx_.reactor.after(limit, [this, limit] {
    log_warn("supervisor", "job '" + spec_.name + "' is still there " + format_seconds(limit) +
                               " after its stop signal, killing it");
    process_->kill_tree();
  });
}

Status Job::signal(int signo) {
  if (!process_)
    return Error(Errc::kUnavailable, "cannot signal job '" + spec_.name + "': it is not running");
  return process_->signal(signo);
}

void Job::restart(EventId cause) {
  if (complete() || state_ == JobState::kStopping) return;
  cause_ = cause;
  if (process_) {
    restart_requested_ = true;
    end_run();
  } else {
    start_run(cause);
  }
}

// ---- health ----

void Job::start_health() {
  if (!monitor_ || ctx_.host.maintenance()) return;
  if (spec_.health->independent_of_process && starts_ > 1) return;
  monitor_->start();
  if (std::holds_alternative<std::monostate>(spec_.health->probe)) health_ = JobHealth::kHealthy;
}

void Job::on_checked(const ProbeResult& result, bool counts) {
  CheckStatus check;
  check.ok = result.ok();
  check.reason = result.reason;
  check.last_lines = result.last_lines;
  check.at = ctx_.reactor.wall_now();
  check.duration = result.duration;
  check.failures_in_a_row = monitor_->failures_in_a_row();
  const bool first_failure =
      !result.ok() && (!last_check_ || last_check_->ok || check.failures_in_a_row == 1);
  last_check_ = std::move(check);
  if (counts) {
    ctx_.bus.publish(
        {result.ok() ? EventCode::kExitSuccess : EventCode::kExitFailed, "check." + spec_.name},
        cause_, result.reason);
    if (first_failure) {
      log_info("supervisor",
               "check of job '" + spec_.name + "' failed: " + result.reason +
                   (result.last_lines.empty() ? "" : ": " + last_line(result.last_lines)));
    }
  }
  if (ctx_.host.hooks().checked) ctx_.host.hooks().checked(spec_.name, result);
}

void Job::on_verdict(bool healthy) {
  const JobHealth before = health_;
  health_ = healthy ? JobHealth::kHealthy : JobHealth::kUnhealthy;
  const std::string reason = last_check_ ? last_check_->reason : "";
  const EventId event = ctx_.bus.publish(
      {healthy ? EventCode::kHealthy : EventCode::kUnhealthy, spec_.name}, cause_, reason);
  if (healthy && !ready_) {
    ready_ = true;
    ctx_.bus.publish({EventCode::kReady, spec_.name}, event);
  }
  if (before == health_) return;
  log(healthy ? LogLevel::kInfo : LogLevel::kWarn, "supervisor",
      "job '" + spec_.name + "' is " + std::string(job_health_name(health_)) +
          (healthy ? "" : ": " + reason));
  ctx_.host.state_changed(*this);
  if (healthy || state_ == JobState::kStopping) return;
  if (spec_.health->on_failure == UnhealthyAction::kRestart && process_) {
    restart_requested_ = true;
    end_run();
  } else if (spec_.health->on_failure == UnhealthyAction::kShutdown) {
    ctx_.host.end_agent(*this, 1, "job '" + spec_.name + "' is unhealthy", event);
  }
}

void Job::enter_maintenance() {
  if (complete() || state_ == JobState::kStopping) return;
  health_ = JobHealth::kMaintenance;
  if (monitor_) monitor_->stop();
  if (spec_.advertised && ctx_.host.hooks().withdraw) ctx_.host.hooks().withdraw(spec_.name, [] {});
}

void Job::exit_maintenance() {
  if (health_ != JobHealth::kMaintenance) return;
  health_ = JobHealth::kUnknown;
  if (state_ != JobState::kRunning || !monitor_) return;
  monitor_->start();
  if (std::holds_alternative<std::monostate>(spec_.health->probe)) health_ = JobHealth::kHealthy;
}

// ---- stop ----

void Job::stop(EventId cause) {
  if (complete() || state_ == JobState::kStopping) return;
  cancel({&wait_timer_, &debounce_timer_, &restart_timer_});
  ticker_.reset();
  queued_.clear();
  next_start_.reset();
  set_state(JobState::kStopping);
  phase_ = StopPhase::kHooks;
  // A main application of generations 1 and 2 that has ended by itself has no "before it stops"
  // left.
  if (spec_.ends_agent && spec_.exec && !process_) {
    stopping_event_ = cause;
    begin_drain();
    return;
  }
  stopping_event_ = ctx_.bus.publish({EventCode::kStopping, spec_.name}, cause);
  for (std::string& hook : ctx_.host.stop_hooks(*this)) hooks_pending_.insert(std::move(hook));
  if (hooks_pending_.empty() || hurried_) {
    begin_drain();
    return;
  }
  const Duration limit = spec_.stop_timeout.value_or(Supervisor::kHookLimit);
  stop_timer_ = ctx_.reactor.after(limit, [this, limit] {
    const std::set<std::string> late = std::move(hooks_pending_);
    hooks_pending_.clear();
    for (const std::string& hook : late) {
      log_warn("supervisor", "job '" + hook + "' holds up the stop of '" + spec_.name +
                                 "' for more than " + format_seconds(limit) +
                                 ", going on without it");
      ctx_.host.abandon_hook(hook, stopping_event_);
    }
    begin_drain();
  });
}

void Job::begin_drain() {
  phase_ = StopPhase::kDrain;
  stop_timer_ = Watch();
  if (monitor_) monitor_->stop();
  if (spec_.advertised && ctx_.host.hooks().withdraw) {
    withdrawn_ = false;
    ctx_.host.hooks().withdraw(spec_.name, [this] {
      withdrawn_ = true;
      if (phase_ == StopPhase::kWithdrawing) finish_stop();
    });
  } else {
    withdrawn_ = true;
  }
  if (spec_.drain > Duration(0) && process_ && !hurried_) {
    stop_timer_ = ctx_.reactor.after(spec_.drain, [this] { begin_signal(); });
  } else {
    begin_signal();
  }
}

void Job::begin_signal() {
  stop_timer_ = Watch();
  if (!hurried_ && !ctx_.host.may_signal(*this)) {
    phase_ = StopPhase::kDependents;
    stop_timer_ = ctx_.reactor.after(std::max(stop_timeout(), Duration(0)), [this] {
      if (phase_ != StopPhase::kDependents) return;
      phase_ = StopPhase::kSignalled;
      stop_timer_ = Watch();
      if (process_) {
        end_run();
      } else {
        finish_stop();
      }
    });
    return;
  }
  phase_ = StopPhase::kSignalled;
  if (process_) {
    end_run();
  } else {
    finish_stop();
  }
}

void Job::dependents_gone() {
  if (phase_ == StopPhase::kDependents) begin_signal();
}

void Job::hurry() {
  hurried_ = true;
  if (phase_ == StopPhase::kHooks) {
    hooks_pending_.clear();
    begin_drain();
  } else if (phase_ == StopPhase::kDrain || phase_ == StopPhase::kDependents) {
    begin_signal();
  }
}

void Job::kill() {
  hurry();
  kill_at_ = ctx_.reactor.now();
  if (process_) process_->kill_tree();
}

void Job::await_survivors() {
  if (!survivors_ || !survivors_->group_survives()) {
    finish_stop();
    return;
  }
  if (ctx_.reactor.now() >= kill_at_) {
    log_warn("supervisor", "job '" + spec_.name +
                               "' left processes behind that ignore its stop signal, killing them");
    survivors_->kill_survivors();
  }
  stop_timer_ = ctx_.reactor.after(kSurvivorPoll, [this] { await_survivors(); });
}

void Job::finish_stop() {
  survivors_.reset();
  if (!withdrawn_) {
    phase_ = StopPhase::kWithdrawing;
    return;
  }
  phase_ = StopPhase::kNone;
  cancel({&stop_timer_, &kill_timer_});
  if (health_ != JobHealth::kMaintenance) health_ = JobHealth::kUnknown;
  // Generations 1 and 2: what comes after the main application comes only if there was one.
  if (!spec_.ends_agent || starts_ > 0) {
    ctx_.bus.publish({EventCode::kStopped, spec_.name}, stopping_event_);
  }
  set_state(JobState::kComplete);
  ctx_.host.completed(*this);
}

// ---- what others see ----

void Job::set_state(JobState state) {
  if (state_ == state) return;
  state_ = state;
  since_ = ctx_.reactor.wall_now();
  ctx_.host.state_changed(*this);
}

std::vector<std::string> Job::child_environment() const { return ctx_.environment.to_strings(); }

Duration Job::stop_timeout() const { return spec_.stop_timeout.value_or(ctx_.host.stop_timeout()); }

JobStatus Job::status() const {
  JobStatus status;
  status.name = spec_.name;
  status.state = state_;
  status.health = health_;
  status.has_exec = spec_.exec.has_value();
  status.has_check = spec_.health && !std::holds_alternative<std::monostate>(spec_.health->probe);
  status.advertised = spec_.advertised;
  status.ready = ready_;
  status.pid = process_ ? process_->pid() : 0;
  status.since = since_;
  status.starts = starts_;
  status.restarts = restarts_;
  status.last_exit = last_exit_;
  status.last_start_error = last_start_error_;
  status.last_run = last_run_;
  status.failures_in_a_row = budget_.failures_in_a_row();
  status.crash_loop = status.failures_in_a_row >= Supervisor::kCrashLoop && !complete();
  status.next_start =
      next_start_ ? next_start_ : (ticker_ ? std::optional(ticker_->next()) : std::nullopt);
  status.cause = cause_;
  status.check = last_check_;
  return status;
}

}  // namespace containerpilot
