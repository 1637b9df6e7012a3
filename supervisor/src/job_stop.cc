// The way of a job to its end: hooks, catalog, drain, signal, survivors.

#include "containerpilot/supervisor/log.h"
#include "job.h"
#include "text.h"

namespace containerpilot {

void Job::stop(EventId cause) {
  if (complete() || state_ == JobState::kStopping) return;
  cancel({&wait_timer_, &debounce_timer_, &restart_timer_});
  ticker_.reset();
  queued_.clear();
  next_start_.reset();
  set_state(JobState::kStopping);
  phase_ = StopPhase::kHooks;
  // A shutdown says itself whom it stops.
  if (process_ && !ctx_.host.shutting_down()) {
    const std::vector<Event> why = ctx_.bus.chain(cause);
    log_info("supervisor",
             "job '" + spec_.name + "' is stopping" +
                 (why.empty() ? "" : ", because of " + describe_event(why.front())),
             {{"job", spec_.name}});
  }
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

void Job::stop_by_hand(EventId cause) {
  if (complete()) return;
  stopped_by_hand_ = true;
  stop(cause);
}

void Job::hook_done(const std::string& hook) {
  if (phase_ == StopPhase::kHooks && hooks_pending_.erase(hook) > 0 && hooks_pending_.empty())
    begin_drain();
}

void Job::begin_drain() {
  phase_ = StopPhase::kDrain;
  cancel({&stop_timer_, &watchdog_});
  if (monitor_) monitor_->stop();
  withdrawn_ = true;
  // What serves the catalog waits until the others have left it: see begin_signal().
  if (!spec_.serves_catalog) withdraw();
  if (spec_.drain > Duration(0) && process_ && !hurried_) {
    stop_timer_ = ctx_.reactor.after(spec_.drain, [this] { begin_signal(); });
  } else {
    begin_signal();
  }
}

void Job::withdraw() {
  if (!ctx_.host.hooks().withdraw || !(spec_.advertised || spec_.serves_catalog)) return;
  withdrawn_ = false;
  ctx_.host.hooks().withdraw(spec_.name, [this] {
    withdrawn_ = true;
    if (phase_ == StopPhase::kWithdrawing) {
      finish_stop();
    } else if (phase_ == StopPhase::kDependents) {
      begin_signal();
    }
  });
}

void Job::begin_signal() {
  if (hurried_) return signal_to_stop();
  bool wait = !ctx_.host.may_signal(*this);
  if (!wait && spec_.serves_catalog && process_) {
    // Last of all, its own entry.
    if (!std::exchange(left_catalog_, true)) withdraw();
    wait = !withdrawn_;
  }
  if (!wait) return signal_to_stop();
  if (phase_ == StopPhase::kDependents) return;
  phase_ = StopPhase::kDependents;
  // What these wait for has limits of its own.
  if (spec_.outlives_main || (spec_.ends_agent && !process_)) return;
  stop_timer_ = ctx_.reactor.after(std::max(stop_timeout(), Duration(0)), [this] {
    if (phase_ == StopPhase::kDependents) signal_to_stop();
  });
}

void Job::signal_to_stop() {
  stop_timer_ = Watch();
  phase_ = StopPhase::kSignalled;
  if (process_) {
    end_run();
  } else if (survivors_) {
    await_survivors();
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

/// Asks what a run left behind to go, kills it when the stop timeout is over; false when nothing is
/// left.
bool Job::survivors_remain() {
  const int signo = ctx_.reactor.now() >= kill_at_         ? SIGKILL
                    : std::exchange(survivors_told_, true) ? 0
                                                           : spec_.stop_signal;
  if (!survivors_ || !survivors_->signal_survivors(signo)) return false;
  if (signo == SIGKILL) {
    log_warn("supervisor", "job '" + spec_.name +
                               "' left processes behind that ignore its stop signal, killing them");
  }
  return true;
}

void Job::await_survivors() {
  if (!survivors_remain()) return finish_stop();
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

}  // namespace containerpilot
