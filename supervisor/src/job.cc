#include "job.h"

#include <algorithm>

#include "containerpilot/supervisor/log.h"
#include "text.h"

namespace containerpilot {

namespace {
constexpr std::size_t kMaxQueuedEvents = 1000;
}  // namespace

Job::Job(JobContext context, JobSpec spec)
    : ctx_(context),
      spec_(std::move(spec)),
      pid_variable_("CONTAINERPILOT_" + env_name(spec_.name) + "_PID"),
      since_(ctx_.reactor.wall_now()),
      missing_(spec_.when.kind == Trigger::Kind::kAll ? spec_.when.events
                                                      : std::vector<EventKey>()),
      rate_(spec_.output.max_rate),
      budget_(spec_.restarts),
      life_(ctx_.host.new_life()) {
  if (spec_.health) {
    monitor_ = std::make_unique<HealthMonitor>(
        ctx_.reactor, ctx_.probes, spec_.name, *spec_.health,
        HealthMonitor::Hooks{
            [this] { return child_environment(); },
            [this](const ProbeResult& result, HealthMonitor::Weight weight) {
              on_checked(result, weight);
            },
            [this](HealthMonitor::Verdict verdict, const std::string& why) {
              on_verdict(verdict, why);
            },
            [this](bool passing, const std::string& output) { report(passing, output); }});
  }
}

Job::~Job() {
  for (LineReader& reader : readers_) reader.finish();
  if (process_) forget_pid();
}

// ---- trigger ----

void Job::activate(EventId cause) {
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
  reevaluate_condition(cause);
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

bool Job::need_not_wait_for(const EventKey& key) {
  std::erase(missing_, key);
  return missing_.empty();
}

void Job::on_event(const Event& event) {
  if (complete()) return;
  if (event.key.code == EventCode::kStopped) hook_done(event.key.source);
  if (state_ == JobState::kStopping || !waits_for(event.key)) return;
  switch (spec_.when.kind) {
    case Trigger::Kind::kAll:
      std::erase(missing_, event.key);
      if (!missing_.empty()) return;
      [[fallthrough]];
    case Trigger::Kind::kOnce:
      if (triggered_) return;
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
    if (!debounce_timer_.active()) burst_first_ = event.id;
    burst_last_ = event.id;
    debounce_timer_ = ctx_.reactor.after(spec_.when.debounce, [this] {
      debounce_timer_ = Watch();
      trigger(burst_last_);
    });
  } else {
    trigger(event.id);
  }
}

void Job::trigger(EventId cause) {
  if (complete() || state_ == JobState::kStopping) return;
  triggered_ = true;
  last_trigger_ = cause;
  if (ticks(spec_.when) && !ticker_) {
    wait_timer_ = Watch();
    set_cause(cause);  // the first tick may come long after
    ticks_why_ = why_;
    ticker_ = make_ticker(ctx_.reactor, ctx_.host.random(), spec_.when,
                          ctx_.host.next_phase(spec_.when.interval), [this] { on_tick(); });
    if (spec_.when.kind == Trigger::Kind::kSchedule || !spec_.when.first_run_at_once) return;
    first_run_waits_ = !condition_holds();
    if (first_run_waits_) return;
  }
  queue_or_start(cause);
}

void Job::on_tick() {
  if (spec_.paused_in_maintenance && ctx_.host.maintenance()) return;
  if (!condition_holds()) return;
  first_run_waits_ = false;
  if (busy() && spec_.when.overlap == Overlap::kSkip) {
    log_debug("supervisor", "job '" + spec_.name + "' is still running, skipping a start");
    return;
  }
  // The first run is not a restart.
  if (starts_ > 0 && !budget_.take_tick()) return;
  queue_or_start(last_trigger_);
}

void Job::reevaluate_condition(EventId cause) {
  if (complete() || state_ == JobState::kStopping) return;
  const bool holds = condition_holds();
  if (first_run_waits_ && holds) {
    first_run_waits_ = false;
    queue_or_start(cause);
  }
  if (spec_.when.kind != Trigger::Kind::kWhile) return;
  if (holds && state_ == JobState::kWaiting) {
    start_run(cause);
  } else if (!holds && state_ == JobState::kBackoff) {
    restart_timer_ = Watch();
    next_start_.reset();
    set_state(JobState::kWaiting);
  } else if (!holds && state_ == JobState::kRunning && !ended_by_condition_) {
    ended_by_condition_ = true;
    if (process_) {
      end_run();
    } else {
      forget_health();
      after_run({});
    }
  }
}

void Job::queue_or_start(EventId cause) {
  if (!busy()) {
    start_run(cause);
    return;
  }
  switch (spec_.when.overlap) {
    case Overlap::kSkip:
      return;
    case Overlap::kQueue: {
      // A tick that comes while one is already waiting adds nothing; events are each answered.
      const std::size_t limit = ticks(spec_.when) ? 1 : kMaxQueuedEvents;
      if (queued_.size() < limit) queued_.push_back(cause);
      return;
    }
    case Overlap::kReplace:
      if (!process_) return start_run(cause);
      queued_.assign(1, cause);
      end_run();
      return;
  }
}

// ---- what others see ----

void Job::set_state(JobState state) {
  if (state_ == state) return;
  state_ = state;
  since_ = ctx_.reactor.wall_now();
  ctx_.host.state_changed(*this);
}

std::vector<std::string> Job::child_environment() const { return ctx_.environment.to_strings(); }

std::vector<std::string> Job::run_environment() const {
  std::vector<std::string> environment = child_environment();
  if (health_by_notification() && spec_.health->watchdog > Duration(0)) {
    const auto limit =
        std::chrono::duration_cast<std::chrono::microseconds>(spec_.health->watchdog);
    environment.push_back("WATCHDOG_USEC=" + std::to_string(limit.count()));
  }
  if (ctx_.host.hooks().run_environment) {
    const EventId since = cause_ == burst_last_ ? burst_first_ : cause_;
    ctx_.host.hooks().run_environment(*why_, since, environment);
  }
  return environment;
}

bool Job::runs_long() const {
  const bool repeats = ticks(spec_.when) || spec_.when.kind == Trigger::Kind::kEach;
  return !repeats && (spec_.health || spec_.restarts.limit.unlimited());
}

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
  status.life = life_;
  status.last_exit = last_exit_;
  status.last_start_error = last_start_error_;
  status.last_run = last_run_;
  status.failures_in_a_row = budget_.failures_in_a_row();
  status.crash_loop = status.failures_in_a_row >= Supervisor::kCrashLoop && !complete();
  status.next_start =
      next_start_ ? next_start_ : (ticker_ ? std::optional(ticker_->next()) : std::nullopt);
  status.note = note_;
  status.suppressed_lines = rate_.suppressed();
  status.cause = cause_;
  status.why = why_;
  status.check = last_check_;
  return status;
}

}  // namespace containerpilot
