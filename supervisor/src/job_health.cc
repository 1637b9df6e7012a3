// What a job's checks and its own words say about its health.

#include "containerpilot/supervisor/log.h"
#include "job.h"
#include "text.h"

namespace containerpilot {

void Job::start_health() {
  if (!monitor_ || ctx_.host.maintenance()) return;
  if (spec_.health->independent_of_process && starts_ > 1) return;
  if (!health_by_notification()) begin_health();
}

void Job::begin_health() {
  monitor_->start();
  if (std::holds_alternative<std::monostate>(spec_.health->probe)) health_ = JobHealth::kHealthy;
}

void Job::forget_health() {
  watchdog_ = Watch();
  if (monitor_) monitor_->stop();
  if (health_ != JobHealth::kMaintenance) health_ = JobHealth::kUnknown;
}

bool Job::health_by_notification() const {
  return spec_.notify && monitor_ && std::holds_alternative<std::monostate>(spec_.health->probe);
}

void Job::report(bool passing, const std::string& output) {
  if (spec_.advertised && ctx_.host.hooks().report)
    ctx_.host.hooks().report(spec_.name, passing, output);
}

void Job::on_notification(const Notification& said) {
  if (said.status && *said.status != note_) {
    note_ = *said.status;
    ctx_.host.state_changed(*this);
  }
  if (state_ != JobState::kRunning) return;
  if (said.ready && !ready_) {
    log_info("supervisor", "job '" + spec_.name + "' is ready");
    become_ready(cause_);
  }
  if (said.stopping && ready_) {
    log_info("supervisor", "job '" + spec_.name + "' says it is stopping");
    ready_ = false;
    watchdog_ = Watch();
    if (monitor_) monitor_->stop();
    if (spec_.advertised && ctx_.host.hooks().withdraw)
      ctx_.host.hooks().withdraw(spec_.name, [] {});
    return;
  }
  if (!health_by_notification() || health_ == JobHealth::kMaintenance || !ready_) return;
  if (said.failed) {
    watchdog_ = Watch();
    monitor_->stop();
    const std::string why = "it reported its own failure (WATCHDOG=trigger)";
    report(false, why);
    on_verdict(HealthMonitor::Verdict::kUnhealthy, why);
  } else if ((said.ready || said.alive) && health_ != JobHealth::kHealthy) {
    monitor_->start();
    on_verdict(HealthMonitor::Verdict::kHealthy, {});
    expect_watchdog();
  } else if (said.alive) {
    expect_watchdog();
  }
}

void Job::expect_watchdog() {
  const Duration limit = spec_.health->watchdog;
  if (limit <= Duration(0)) return;
  watchdog_ = ctx_.reactor.after(limit, [this, limit] {
    monitor_->stop();
    const std::string why = "no WATCHDOG=1 for " + format_seconds(limit);
    report(false, why);
    on_verdict(HealthMonitor::Verdict::kUnhealthy, why);
  });
}

void Job::become_ready(EventId cause) {
  ready_ = true;
  ctx_.bus.publish({EventCode::kReady, spec_.name}, cause);
}

void Job::on_checked(const ProbeResult& result, HealthMonitor::Weight weight) {
  tell_check(result, weight);
  CheckStatus check;
  check.ok = result.ok();
  check.reason = result.reason;
  check.last_lines = result.last_lines;
  check.at = ctx_.reactor.wall_now();
  check.duration = result.duration;
  check.failures_in_a_row = monitor_->failures_in_a_row();
  last_check_ = std::move(check);
  if (weight != HealthMonitor::Weight::kTooEarly) {
    ctx_.bus.publish(
        {result.ok() ? EventCode::kExitSuccess : EventCode::kExitFailed, "check." + spec_.name},
        cause_, result.reason);
  }
  if (ctx_.host.hooks().checked) ctx_.host.hooks().checked(spec_.name, result);
}

/// Failures that do not make it unhealthy yet, and that they are over. What does is told by
/// on_verdict().
void Job::tell_check(const ProbeResult& result, HealthMonitor::Weight weight) const {
  if (weight == HealthMonitor::Weight::kForgiven) {
    log_info("supervisor",
             "check of job '" + spec_.name + "' failed (" +
                 std::to_string(monitor_->failures_in_a_row()) + " of " +
                 std::to_string(spec_.health->failure_threshold) + "): " + brief(result),
             {{"job", spec_.name}, {"check", "failed"}});
  } else if (result.ok() && last_check_ && !last_check_->ok && health_ != JobHealth::kUnknown &&
             !given_up_) {
    log_info("supervisor", "check of job '" + spec_.name + "' passes again",
             {{"job", spec_.name}, {"check", "ok"}});
  }
}

void Job::on_verdict(HealthMonitor::Verdict verdict, const std::string& why) {
  const bool healthy = verdict == HealthMonitor::Verdict::kHealthy;
  const JobHealth before = health_;
  const bool known = before == JobHealth::kUnhealthy && given_up_;
  given_up_ = verdict == HealthMonitor::Verdict::kUnhealthy;
  health_ = healthy ? JobHealth::kHealthy : JobHealth::kUnhealthy;
  const EventId event = ctx_.bus.publish(
      {healthy ? EventCode::kHealthy : EventCode::kUnhealthy, spec_.name}, cause_, why);
  if (healthy && before != health_) healthy_event_ = event;
  if (healthy && !ready_ && !spec_.notify) become_ready(event);
  if (before != health_) ctx_.host.state_changed(*this);
  // A failing one is not given up yet; tell_check() tells of it.
  const bool was_failing = before == JobHealth::kUnhealthy && !known;
  if (healthy ? before != health_ && !was_failing : given_up_ && !known) {
    log(healthy ? LogLevel::kInfo : LogLevel::kWarn, "supervisor",
        "job '" + spec_.name + "' is " + std::string(job_health_name(health_)) +
            (healthy ? "" : ": " + why),
        {{"job", spec_.name}, {"check", healthy ? "ok" : "failed"}});
  }
  if (!given_up_ || known || state_ == JobState::kStopping) return;
  if (spec_.health->on_failure == UnhealthyAction::kRestart && process_) {
    restart_requested_ = ended_unhealthy_ = true;
    set_cause(event);
    end_run();
  } else if (spec_.health->on_failure == UnhealthyAction::kShutdown) {
    ctx_.host.end_agent(*this, 1, "job '" + spec_.name + "' is unhealthy", event);
  }
}

void Job::enter_maintenance() {
  if (complete() || state_ == JobState::kStopping) return;
  health_ = JobHealth::kMaintenance;
  watchdog_ = Watch();
  if (monitor_) monitor_->stop();
  if (spec_.advertised && ctx_.host.hooks().withdraw) ctx_.host.hooks().withdraw(spec_.name, [] {});
}

void Job::exit_maintenance() {
  if (health_ != JobHealth::kMaintenance) return;
  health_ = JobHealth::kUnknown;
  if (state_ != JobState::kRunning || !monitor_) return;
  if (health_by_notification() && !ready_) return;
  begin_health();
  if (health_by_notification()) expect_watchdog();
}

}  // namespace containerpilot
