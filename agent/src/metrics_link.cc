#include "metrics_link.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "containerpilot/agent/version.h"
#include "containerpilot/supervisor/log.h"

namespace containerpilot::agent {

using namespace telemetry;  // NOLINT(google-build-using-namespace): the names of the metrics

namespace {
double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double unix_seconds(WallTime time) { return seconds(time.time_since_epoch()); }

const std::vector<std::string_view>& job_states() {
  static const std::vector<std::string_view> names = {
      job_state_name(JobState::kWaiting), job_state_name(JobState::kRunning),
      job_state_name(JobState::kBackoff), job_state_name(JobState::kStopping),
      job_state_name(JobState::kComplete)};
  return names;
}

std::string result_name(const ProbeResult& result) {
  switch (result.kind) {
    case ProbeResult::Kind::kOk:
      return "ok";
    case ProbeResult::Kind::kFailed:
      return "failed";
    case ProbeResult::Kind::kTimeout:
      return "timeout";
    case ProbeResult::Kind::kCannotStart:
      return "cannot_start";
  }
  return {};
}
}  // namespace

MetricsLink::MetricsLink(Registry& registry)
    : registry_(registry), self_([&registry]() -> Registry& {
        declare_agent_metrics(registry);
        return registry;
      }()) {
  set_build_info(registry_, version(), git_hash());
  for (const auto& [handle, metric] :
       {std::pair(&turns_, kLoopTurnDuration), std::pair(&lag_, kLoopTimerLag),
        std::pair(&log_lines_, kLogLines), std::pair(&log_dropped_, kLogDropped),
        std::pair(&log_suppressed_, kLogSuppressed)}) {
    if (auto series = registry_.series(metric)) *handle = std::move(series).value();
  }
  set_maintenance(false);
}

// A metric that cannot be recorded is a slip of ours, found by the tests; never a reason to stop.
void MetricsLink::count(std::string_view metric, const Labels& labels, double by) {
  if (const Status status = registry_.record(metric, labels, by); !status) {
    log_debug("telemetry", status.error().text());
  }
}
void MetricsLink::set(std::string_view metric, const Labels& labels, double value) {
  count(metric, labels, value);
}

void MetricsLink::forget(std::set<std::string>& known, std::set<std::string> current,
                         std::string_view label, std::initializer_list<std::string_view> metrics) {
  for (const std::string& name : known) {
    if (current.contains(name)) continue;
    for (const std::string_view metric : metrics) registry_.remove_series_with(metric, label, name);
  }
  known = std::move(current);
}

void MetricsLink::on_event(const Event& event) {
  const std::string code(event_metric_name(event.key.code));
  count(kBusEvents, {{"code", code}});
  count(kOldEvents, {{"code", code}, {"source", event.key.source}});
}

void MetricsLink::on_exit(const JobStatus& job, ExitStatus exit, Duration ran) {
  counted_jobs_.insert(job.name);
  count(kJobExits, {{"name", job.name}, {"code", std::to_string(exit.shell_code())}});
  count(kJobRunDuration, {{"name", job.name}}, seconds(ran));
}

void MetricsLink::on_check(const std::string& job, const ProbeResult& result) {
  counted_jobs_.insert(job);
  count(kChecks, {{"name", job}, {"result", result_name(result)}});
  count(kCheckDuration, {{"name", job}}, seconds(result.duration));
}

void MetricsLink::on_call(std::string_view operation, bool good, Duration latency) {
  count(kCatalogCalls, {{"call", std::string(operation)}, {"result", good ? "ok" : "error"}});
  if (operation == "wait" || operation == "overview") return;  // their time is the catalog's choice
  count(kCatalogCallDuration, {{"call", std::string(operation)}}, seconds(latency));
}

void MetricsLink::on_change(const discovery::Change& change) {
  count(kWatchChanges, {{"service", change.watch.name}});
}

void MetricsLink::on_control_request(const std::string& path, int code) {
  auto [found, is_new] = requests_.try_emplace({path, code});
  if (is_new) {
    const Labels labels = {{"code", std::to_string(code)}, {"path", path}};
    for (const std::string_view name : {kControlRequests, kOldControlRequests}) {
      if (auto series = registry_.series(name, labels))
        found->second.push_back(std::move(series).value());
    }
  }
  for (const telemetry::SeriesHandle& series : found->second) static_cast<void>(series.record(1));
}

void MetricsLink::on_reload(bool good, WallTime now) {
  count(kReloads, {{"result", good ? "ok" : "error"}});
  set(kLastReloadOk, {}, good ? 1 : 0);
  if (good) set(kLastReload, {}, unix_seconds(now));
}

void MetricsLink::on_turn(Duration busy, Duration lag) {
  static_cast<void>(turns_.record(seconds(busy)));
  static_cast<void>(lag_.record(seconds(lag)));
}

void MetricsLink::update_loop(const LoopStats& loop, std::uint64_t orphans) {
  set(kLoopTimers, {}, static_cast<double>(loop.timers_set));
  static_cast<void>(registry_.record_total(kOrphansReaped, {}, static_cast<double>(orphans)));
}

void MetricsLink::update_jobs(const std::vector<JobStatus>& jobs,
                              const std::vector<JobPlan>& planned) {
  std::map<std::string, JobStatus> current;
  for (const JobStatus& job : jobs) {
    const auto known = known_jobs_.find(job.name);
    const bool fresh = known == known_jobs_.end();
    const Labels labels = {{"name", job.name}};
    if (fresh || known->second.state != job.state) {
      set_state(registry_, kJobState, job.name, job_states(), job_state_name(job.state));
    }
    // Counted from what the job says; one that a reload put in its place starts from nothing.
    const bool anew = fresh || known->second.life != job.life;
    const std::uint64_t starts = anew ? 0 : known->second.starts;
    const std::uint64_t restarts = anew ? 0 : known->second.restarts;
    count(kJobStarts, labels, static_cast<double>(job.starts - starts));
    count(kJobRestarts, labels, static_cast<double>(job.restarts - restarts));
    set(kJobCrashLoop, labels, job.crash_loop ? 1 : 0);
    if (job.has_check || job.advertised)
      set(kJobHealthy, labels, job.health == JobHealth::kHealthy ? 1 : 0);
    current.emplace(job.name, job);
  }
  std::set<std::string> names;
  for (const auto& [name, job] : current) names.insert(name);
  for (const JobPlan& job : planned) names.insert(job.spec.name);
  counted_jobs_.insert(names.begin(), names.end());
  forget(counted_jobs_, std::move(names), "name",
         {kJobState, kJobStarts, kJobRestarts, kJobExits, kJobRunDuration, kJobCrashLoop,
          kJobHealthy, kChecks, kCheckDuration});
  known_jobs_ = std::move(current);
}

void MetricsLink::update_catalog(bool any, bool up,
                                 const std::vector<discovery::EntryState>& entries,
                                 const std::vector<discovery::WatchState>& watches, WallTime now,
                                 TimePoint now_monotonic) {
  if (any) {
    set(kCatalogUp, {}, up ? 1 : 0);
  } else {
    registry_.remove_series(kCatalogUp, {});
  }
  std::set<std::string> services, watched;
  for (const discovery::EntryState& entry : entries) {
    set(kRegistered, {{"service", entry.service.name}}, entry.registered ? 1 : 0);
    services.insert(entry.service.name);
  }
  for (const discovery::WatchState& watch : watches) {
    watched.insert(watch.watch.name);
    if (!watch.known) continue;
    const Labels labels = {{"service", watch.watch.name}};
    set(kWatchInstances, labels, static_cast<double>(watch.instances.size()));
    set(kWatchStaleness, labels, seconds(watch.staleness));
    if (watch.last_answer)
      set(kWatchLastAnswer, labels, unix_seconds(now - (now_monotonic - *watch.last_answer)));
  }
  forget(known_entries_, std::move(services), "service", {kRegistered});
  forget(known_watches_, std::move(watched), "service",
         {kWatchInstances, kWatchChanges, kWatchLastAnswer, kWatchStaleness});
}

void MetricsLink::set_maintenance(bool on) { set(kMaintenance, {}, on ? 1 : 0); }

void MetricsLink::before_scrape() {
  self_.update(std::chrono::steady_clock::now());
  const LogStats stats = log_stats();
  for (const auto& [series, total] :
       {std::pair(&log_lines_, stats.lines), std::pair(&log_dropped_, stats.dropped),
        std::pair(&log_suppressed_, stats.suppressed)}) {
    static_cast<void>(series->record_total(static_cast<double>(total)));
  }
}

}  // namespace containerpilot::agent
