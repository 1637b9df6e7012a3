// One run of a job: start, output, end, and what comes after it.

#include <signal.h>

#include <cctype>
#include <cstring>
#include <random>

#include "containerpilot/supervisor/log.h"
#include "job.h"
#include "text.h"

namespace containerpilot {

namespace {

constexpr std::size_t kMaxLingeringReaders = 8;

/// In the words of 3.8.0, which scripts look for in the log.
std::string words_of(const ExitStatus& exit) {
  if (exit.success()) return " exited without error";
  if (exit.signal == 0) return " exited with error: exit status " + std::to_string(exit.code);
  const char* const name = ::sigdescr_np(exit.signal);
  std::string words = name != nullptr ? name : "number " + std::to_string(exit.signal);
  words[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(words[0])));
  return " exited with error: signal: " + words;
}

Duration jittered(Duration delay, std::minstd_rand& random) {
  // Up to a tenth more, so that jobs that fail together do not come back together.
  return delay + delay / 1000 * std::uniform_int_distribution<int>(0, 100)(random);
}

}  // namespace

void Job::start_run(EventId cause) {
  cancel({&wait_timer_, &restart_timer_, &run_timeout_, &kill_timer_});
  next_start_.reset();
  set_cause(cause);
  timed_out_ = restart_requested_ = ended_unhealthy_ = ended_by_condition_ = false;
  survivors_.reset();
  survivors_told_ = false;
  ready_ = false;
  healthy_event_ = 0;
  note_.clear();
  withdrawn_ = false;
  ++starts_;
  if (health_ != JobHealth::kMaintenance) health_ = JobHealth::kUnknown;
  run_started_ = ctx_.reactor.now();
  last_start_error_.clear();
  if (!spec_.exec) {
    set_state(JobState::kRunning);
    start_health();
    return;
  }
  if (!spec_.output.file.empty() && !output_file_) {
    auto file = open_log_file(spec_.output.file);
    if (!file) {
      start_failed(std::move(file).error().during("cannot start job '" + spec_.name + "'"));
      return;
    }
    output_file_ = std::move(file).value();
  }
  const bool pipes = !spec_.output.raw || output_file_ != nullptr;
  Launcher::Request request{.spec = *spec_.exec,
                            .environment = run_environment(),
                            .output = pipes ? Output::kPipe : Output::kInherit,
                            .name = "job '" + spec_.name + "'",
                            .own_cgroup = runs_long()};
  if (spec_.notify) {
    request.on_notify = [this](const Notification& said) { on_notification(said); };
  }
  auto process =
      ctx_.launcher.start(std::move(request), [this](ExitStatus exit) { on_exit(exit); });
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
      // The words of 3.8.0, which scripts look for.
      log_warn("supervisor", spec_.name + " timeout after " + format_seconds(spec_.exec_timeout) +
                                 ", killing it");
      process_->kill_tree();
    });
  }
  set_state(JobState::kRunning);
  const std::string cause_text = describe_cause();
  log_info("supervisor",
           "job '" + spec_.name + "' started: pid " + std::to_string(process_->pid()) +
               (cause_text.empty() ? "" : ", " + cause_text),
           {{"job", spec_.name},
            {"pid", std::int64_t{process_->pid()}},
            {"cause", cause_text},
            {"attempt", static_cast<std::int64_t>(starts_)}});
  if (ctx_.host.hooks().started) ctx_.host.hooks().started(status());
  start_health();
}

// Kept with the job: the bus forgets after some thousand events, a job may run for months.
void Job::set_cause(EventId cause) {
  if (cause == cause_) return;
  cause_ = cause;
  if (ticks_why_ && cause == last_trigger_) {
    why_ = ticks_why_;
    return;
  }
  std::vector<Event> chain = ctx_.bus.chain(cause, *why_);
  const auto of_other =
      chain.empty() && spec_.when.condition ? ctx_.host.why(spec_.when.condition->source) : nullptr;
  why_ = of_other ? of_other : std::make_shared<const std::vector<Event>>(std::move(chain));
}

std::string Job::describe_cause() const {
  const bool first_at_once =
      spec_.when.kind == Trigger::Kind::kInterval && spec_.when.first_run_at_once && starts_ == 1;
  if (ticks(spec_.when) && cause_ == last_trigger_ && !first_at_once) {
    return spec_.when.kind == Trigger::Kind::kInterval ? "by its interval" : "by its schedule";
  }
  const bool again = !why_->empty() && why_->front().key.source == spec_.name;
  if (spec_.when.kind == Trigger::Kind::kWhile && !again) return describe_condition();
  return why_->empty() ? "" : "because of " + describe_event(why_->front());
}

std::string Job::describe_condition() const {
  const HeldCondition& condition = *spec_.when.condition;
  return "while '" + condition.source + "' is " + std::string(held_state_name(condition.state));
}

void Job::tell_pid(pid_t pid) {
  if (!spec_.tells_pid) return;
  ctx_.environment.set(pid_variable_, std::to_string(pid));
  if (!spec_.pid_alias.empty()) ctx_.environment.set(spec_.pid_alias, std::to_string(pid));
}

void Job::forget_pid() {
  if (spec_.keeps_pid_variable || !spec_.tells_pid) return;
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
  source.bare = output_file_ != nullptr && spec_.output.raw;
  source.fields = spec_.output.fields;
  // Readers outlive the run: a daemon it left behind may still write. The oldest make room.
  if (readers_.size() >= kMaxLingeringReaders) readers_.pop_front();
  readers_.emplace_back(
      ctx_.reactor, std::move(fd), [this, source](std::string_view line) { on_line(source, line); },
      nullptr);
}

void Job::on_line(const LineSource& source, std::string_view line) {
  ctx_.host.printed(*this, line);
  if (rate_.admit(ctx_.reactor.now())) return log_child_line(source, line);
  if (!rate_timer_.active()) {
    rate_timer_ = ctx_.reactor.after(std::chrono::seconds(1), [this] { tell_suppressed(); });
  }
}

void Job::tell_suppressed() {
  rate_timer_ = Watch();
  const std::uint64_t left_out = rate_.take_untold();
  if (left_out == 0) return;
  log_warn("supervisor", "job '" + spec_.name + "' printed more than " +
                             std::to_string(spec_.output.max_rate) + " lines a second, " +
                             std::to_string(left_out) + " were left out");
}

void Job::start_failed(const Error& error) {
  last_start_error_ = error.text();
  run_ended(ExitStatus{.code = 127});
}

void Job::on_exit(ExitStatus exit) {
  std::unique_ptr<Process> ended = std::move(process_);
  for (LineReader& reader : readers_) reader.drain();
  readers_.remove_if([](const LineReader& reader) { return reader.ended(); });
  tell_suppressed();
  cancel({&run_timeout_, &kill_timer_, &watchdog_});
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
  if (phase_ == StopPhase::kSignalled || restart_requested_) survivors_ = std::move(ended);
  run_ended(exit);
}

void Job::run_ended(ExitStatus exit) {
  // A job without a probe is called healthy as soon as it runs, which proves nothing.
  const bool proven = monitor_ && (health_by_notification() ||
                                   !std::holds_alternative<std::monostate>(spec_.health->probe));
  const bool was_healthy =
      proven && (ended_unhealthy_ ? healthy_event_ != 0 : health_ == JobHealth::kHealthy);
  last_exit_ = exit;
  last_run_ = ctx_.reactor.now() - run_started_;
  if (ended_unhealthy_) {
    budget_.ended(false, Duration(0), was_healthy);  // a long life in ill health forgets nothing
  } else {
    budget_.ended(exit.success(), last_run_, was_healthy);
  }
  const std::string how = last_start_error_.empty() ? describe(exit) : last_start_error_;
  run_event_ = ctx_.bus.publish(
      {exit.success() ? EventCode::kExitSuccess : EventCode::kExitFailed, spec_.name}, cause_, how);
  if (!exit.success()) ctx_.bus.publish({EventCode::kError, spec_.name}, run_event_, how);
  if (monitor_ && !spec_.health->independent_of_process) forget_health();
  if (ctx_.host.hooks().exited) ctx_.host.hooks().exited(status(), exit, last_run_);
  after_run(exit);
}

void Job::after_run(ExitStatus exit) {
  const LogLevel bad = exit.success() ? LogLevel::kInfo : LogLevel::kWarn;
  if (state_ == JobState::kStopping) {
    tell_end(LogLevel::kInfo, exit, "stopped");
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
    const Duration delay =
        ended_unhealthy_ ? jittered(budget_.delay(), ctx_.host.random()) : Duration(0);
    tell_end(LogLevel::kInfo, exit,
             ended_unhealthy_ ? restarting_in(delay) : "restarting as requested");
    ++restarts_;
    return restart_after(delay, cause_);
  }
  if (ticks(spec_.when) && !condition_holds()) queued_.clear();
  if (ended_by_condition_ || (!queued_.empty() && spec_.when.overlap == Overlap::kReplace)) {
    tell_end(LogLevel::kInfo, exit, next_chance());
    ended_by_condition_ = false;
    set_state(JobState::kWaiting);
    if (queued_.empty()) return reevaluate_condition(run_event_);
    const EventId next = queued_.front();
    queued_.pop_front();
    return start_run(next);
  }
  if (!ctx_.host.shutting_down()) {
    if (!ticks(spec_.when) && !budget_.empty()) {
      const Duration delay = jittered(budget_.take(), ctx_.host.random());
      tell_end(bad, exit, restarting_in(delay));
      ++restarts_;
      return restart_after(delay, run_event_);
    }
    if (!queued_.empty()) {
      tell_end(LogLevel::kInfo, exit, next_chance());
      const EventId next = queued_.front();
      queued_.pop_front();
      set_state(JobState::kWaiting);
      return start_run(next);
    }
    if (spec_.when.kind == Trigger::Kind::kEach || (ticks(spec_.when) && !budget_.empty())) {
      tell_end(LogLevel::kInfo, exit, next_chance());
      set_state(JobState::kWaiting);
      if (is_stop_hook()) ctx_.host.hook_idle(*this);
      return;
    }
  }
  tell_end(exit.success() ? LogLevel::kInfo : LogLevel::kError, exit, "not restarted");
  const EndAction action = exit.success() ? spec_.on_success : spec_.on_failure;
  const EventId why = run_event_;
  if (spec_.ends_agent || action == EndAction::kShutdown) {
    ctx_.host.end_agent(*this, exit.shell_code(), "job '" + spec_.name + "' " + describe(exit),
                        why);
  }
  stop(why);
}

/// One line for each end of a run: how, how long it took, what comes next.
void Job::tell_end(LogLevel level, ExitStatus exit, const std::string& what_next) const {
  const std::int64_t ms = std::chrono::round<std::chrono::milliseconds>(last_run_).count();
  if (!last_start_error_.empty()) {
    return log(LogLevel::kError, "supervisor", last_start_error_ + "; " + what_next,
               {{"job", spec_.name}, {"exit_code", std::int64_t{exit.code}}});
  }
  const std::string text =
      spec_.name + words_of(exit) + " after " + format_seconds(last_run_) + ", " + what_next;
  if (exit.signal != 0) {
    log(level, "supervisor", text,
        {{"job", spec_.name}, {"signal", std::int64_t{exit.signal}}, {"dur_ms", ms}});
  } else {
    log(level, "supervisor", text,
        {{"job", spec_.name}, {"exit_code", std::int64_t{exit.code}}, {"dur_ms", ms}});
  }
}

/// What a job that is not restarted waits for.
std::string Job::next_chance() const {
  if (!queued_.empty()) {
    return ticks(spec_.when) ? "running again for the time that came meanwhile"
                             : "running again for the next event";
  }
  if (ended_by_condition_) return "no longer " + describe_condition();
  if (!ticker_) return "waiting for the next event";
  return "next in " +
         format_seconds(std::max(ticker_->next() - ctx_.reactor.wall_now(), Duration(0)));
}

std::string Job::restarting_in(Duration delay) const {
  std::string text = delay <= Duration(0) ? "restarting" : "restarting in " + format_seconds(delay);
  const unsigned failures = budget_.failures_in_a_row();
  if (failures > 1) text += " (" + std::to_string(failures) + " failed runs in a row)";
  return text;
}

void Job::restart_after(Duration delay, EventId cause) {
  set_cause(cause);
  next_start_ = ctx_.reactor.wall_now() + delay;
  set_state(JobState::kBackoff);
  restart_timer_ = ctx_.reactor.after(delay, [this, cause] { start_when_gone(cause); });
}

/// What a run that was told to end left behind may hold the port the next one wants.
void Job::start_when_gone(EventId cause) {
  if (!survivors_remain()) return start_run(cause);
  restart_timer_ = ctx_.reactor.after(kSurvivorPoll, [this, cause] { start_when_gone(cause); });
}

void Job::end_run() {
  // Told once: a second signal means more to some, and the first one's time must not begin anew.
  if (!process_ || kill_timer_.active()) return;
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
  set_cause(cause);
  if (process_) {
    restart_requested_ = true;
    end_run();
  } else {
    start_when_gone(cause);
  }
}

}  // namespace containerpilot
