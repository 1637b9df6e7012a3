#include "health_monitor.h"

#include <algorithm>

#include "containerpilot/supervisor/log.h"
#include "text.h"

namespace containerpilot {

using namespace std::chrono_literals;

namespace {
constexpr Duration kFirstRetry = 100ms;

std::string output_of(const ProbeResult& result) {
  if (result.last_lines.empty()) return result.reason;
  return result.reason + "\n" + result.last_lines;
}
}  // namespace

std::string brief(const ProbeResult& result) {
  const std::string last = last_line(result.last_lines);
  return last.empty() ? result.reason : result.reason + ": " + last;
}

void HealthMonitor::start() {
  stop();
  verdict_.reset();
  succeeded_ = false;
  failures_ = successes_ = 0;
  started_ = due_ = reactor_.now();
  quick_ = kFirstRetry;
  timer_ = reactor_.at(due_, [this] { check(); });
}

void HealthMonitor::stop() {
  timer_ = Watch();
  running_ = Watch();
}

void HealthMonitor::check() {
  if (std::holds_alternative<std::monostate>(spec_.probe)) {
    schedule_next();
    hooks_.beat(true, "ok");
    return;
  }
  const std::string name = "check." + job_;
  ProbeRun run{.probe = spec_.probe,
               .environment = hooks_.environment(),
               .timeout = spec_.timeout,
               .name = name,
               .raw_output = spec_.raw_output,
               .on_line = {}};
  run.on_line = [this, name](pid_t pid, bool, std::string_view line) {
    LineSource source;
    source.check = name;
    source.pid = pid;
    source.fields = spec_.output_fields;
    log_child_line(source, line);
  };
  running_ = probes_.run(std::move(run), [this](const ProbeResult& result) { on_result(result); });
}

void HealthMonitor::on_result(const ProbeResult& result) {
  const bool counts = result.ok() || !in_grace();
  if (result.ok()) {
    succeeded_ = true;
    failures_ = 0;
  } else if (counts) {
    ++failures_;
  }
  schedule_next();
  const bool was_good = verdict_ == Verdict::kHealthy || verdict_ == Verdict::kFailing;
  const bool forgiven = !result.ok() && was_good && failures_ < spec_.failure_threshold;
  hooks_.checked(result, !counts    ? Weight::kTooEarly
                         : forgiven ? Weight::kForgiven
                                    : Weight::kCounts);
  if (result.ok()) {
    on_success();
  } else if (counts) {
    on_failure(result);
  }
}

void HealthMonitor::on_success() {
  ++successes_;
  if (verdict_ != Verdict::kHealthy && successes_ < spec_.success_threshold) return;
  tell(Verdict::kHealthy, {});
  hooks_.beat(true, "ok");
}

void HealthMonitor::on_failure(const ProbeResult& result) {
  successes_ = 0;
  const bool was_good = verdict_ == Verdict::kHealthy || verdict_ == Verdict::kFailing;
  if (was_good && failures_ < spec_.failure_threshold) {
    if (spec_.failing_at_once) {
      tell(Verdict::kFailing, brief(result));
    } else {
      hooks_.beat(true, "failed " + std::to_string(failures_) + " of " +
                            std::to_string(spec_.failure_threshold) +
                            " times: " + output_of(result));
    }
    return;
  }
  tell(Verdict::kUnhealthy, brief(result));
  hooks_.beat(false, output_of(result));
}

void HealthMonitor::tell(Verdict verdict, const std::string& why) {
  verdict_ = verdict;
  hooks_.verdict(verdict, why);
}

void HealthMonitor::schedule_next() {
  const bool probing = !std::holds_alternative<std::monostate>(spec_.probe);
  const TimePoint now = reactor_.now();
  if (probing && !succeeded_) {
    // After the end of the check: quick repeats must not pile up on a slow one.
    due_ = now + std::min(quick_, spec_.interval);
    quick_ = std::min(quick_ * 2, spec_.interval);
  } else {
    due_ += spec_.interval;
    if (due_ <= now) due_ = now + spec_.interval - (now - due_) % spec_.interval;
  }
  timer_ = reactor_.at(due_, [this] { check(); });
}

bool HealthMonitor::in_grace() const {
  return !succeeded_ && reactor_.now() - started_ < std::max(spec_.start_period, spec_.interval);
}

}  // namespace containerpilot
