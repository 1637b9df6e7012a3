#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerpilot/agent/plan.h"
#include "containerpilot/discovery/registrar.h"
#include "containerpilot/discovery/watcher.h"
#include "containerpilot/supervisor/event_bus.h"
#include "containerpilot/supervisor/probe.h"
#include "containerpilot/supervisor/supervisor.h"
#include "containerpilot/telemetry/agent_metrics.h"
#include "containerpilot/telemetry/registry.h"

namespace containerpilot::agent {

/// Turns what the modules report into the agent's own metrics (telemetry/agent_metrics.h). Loop
/// thread only.
class MetricsLink {
 public:
  explicit MetricsLink(telemetry::Registry& registry);

  void on_event(const Event& event);
  void on_exit(const JobStatus& job, ExitStatus exit, Duration ran);
  void on_check(const std::string& job, const ProbeResult& result);
  void on_call(std::string_view operation, bool ok, Duration latency);
  void on_change(const discovery::Change& change);
  void on_control_request(const std::string& path, int code);
  void on_reload(bool good, WallTime now);
  void on_turn(Duration busy, Duration lag);
  void update_loop(const LoopStats& loop, std::uint64_t orphans);
  /// State and counts of every job; forgets those that are not `planned` any more. One that is
  /// being replaced is among `jobs` only when its successor is there.
  void update_jobs(const std::vector<JobStatus>& jobs, const std::vector<JobPlan>& planned);
  void update_catalog(bool any, bool up, const std::vector<discovery::EntryState>& entries,
                      const std::vector<discovery::WatchState>& watches, WallTime now,
                      TimePoint now_monotonic);
  void set_maintenance(bool on);
  /// On a server thread, before each scrape: what is computed on demand.
  void before_scrape();

 private:
  void count(std::string_view metric, const telemetry::Labels& labels, double by = 1);
  void set(std::string_view metric, const telemetry::Labels& labels, double value);
  /// Of `known` those that are not among `current` lose their series; then they are the same.
  void forget(std::set<std::string>& known, std::set<std::string> current, std::string_view label,
              std::initializer_list<std::string_view> metrics);

  telemetry::Registry& registry_;
  telemetry::SelfMetrics self_;
  telemetry::SeriesHandle turns_, lag_, log_lines_, log_dropped_, log_suppressed_;
  std::map<std::pair<std::string, int>, std::vector<telemetry::SeriesHandle>> requests_;
  std::map<std::string, JobStatus> known_jobs_;
  std::set<std::string> counted_jobs_, known_entries_, known_watches_;  // have series
};

}  // namespace containerpilot::agent
