#pragma once

#include <atomic>
#include <span>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/telemetry/registry.h"

namespace containerpilot::telemetry {

// The names of everything the agent says of itself. Names and labels are API: telemetry/README.md
// lists them, and a test compares that list with agent_metrics(). A supervised job is label `name`,
// because Prometheus would rename labels called `job` or `instance`.

inline constexpr std::string_view kBuildInfo = "containerpilot_build_info";
inline constexpr std::string_view kStartTime = "containerpilot_start_time_seconds";

inline constexpr std::string_view kJobState = "containerpilot_job_state";
inline constexpr std::string_view kJobStarts = "containerpilot_job_starts_total";
inline constexpr std::string_view kJobRestarts = "containerpilot_job_restarts_total";
inline constexpr std::string_view kJobExits = "containerpilot_job_exits_total";
inline constexpr std::string_view kJobRunDuration = "containerpilot_job_run_duration_seconds";
inline constexpr std::string_view kJobCrashLoop = "containerpilot_job_crash_loop";
inline constexpr std::string_view kJobHealthy = "containerpilot_job_healthy";
inline constexpr std::string_view kChecks = "containerpilot_checks_total";
inline constexpr std::string_view kCheckDuration = "containerpilot_check_duration_seconds";

inline constexpr std::string_view kWatchInstances = "containerpilot_watch_instances";  // as in 3.x
inline constexpr std::string_view kWatchChanges = "containerpilot_watch_changes_total";
inline constexpr std::string_view kWatchLastAnswer =
    "containerpilot_watch_last_answer_timestamp_seconds";
inline constexpr std::string_view kWatchStaleness = "containerpilot_watch_staleness_seconds";

inline constexpr std::string_view kCatalogUp = "containerpilot_catalog_up";
inline constexpr std::string_view kCatalogCalls = "containerpilot_catalog_calls_total";
inline constexpr std::string_view kCatalogCallDuration =
    "containerpilot_catalog_call_duration_seconds";
inline constexpr std::string_view kRegistered = "containerpilot_registered";

inline constexpr std::string_view kLoopTurnDuration = "containerpilot_loop_turn_duration_seconds";
inline constexpr std::string_view kLoopTimerLag = "containerpilot_loop_timer_lag_seconds";
inline constexpr std::string_view kLoopTimers = "containerpilot_loop_timers";

inline constexpr std::string_view kBusEvents = "containerpilot_bus_events_total";
inline constexpr std::string_view kControlRequests = "containerpilot_control_requests_total";
inline constexpr std::string_view kReloads = "containerpilot_reloads_total";
inline constexpr std::string_view kLastReload = "containerpilot_last_reload_timestamp_seconds";
inline constexpr std::string_view kLastReloadOk = "containerpilot_last_reload_success";
inline constexpr std::string_view kMaintenance = "containerpilot_maintenance";
inline constexpr std::string_view kLogLines = "containerpilot_log_lines_total";
inline constexpr std::string_view kLogDropped = "containerpilot_log_dropped_total";
inline constexpr std::string_view kLogSuppressed = "containerpilot_log_suppressed_total";
inline constexpr std::string_view kOrphansReaped = "containerpilot_orphans_reaped_total";

inline constexpr std::string_view kScrapes = "containerpilot_scrapes_total";
inline constexpr std::string_view kScrapeDuration = "containerpilot_scrape_duration_seconds";
inline constexpr std::string_view kScrapeBytes = "containerpilot_scrape_size_bytes";

inline constexpr std::string_view kSensorRuns = "containerpilot_sensor_runs_total";
inline constexpr std::string_view kSensorDuration = "containerpilot_sensor_run_duration_seconds";
inline constexpr std::string_view kSensorLastSuccess =
    "containerpilot_sensor_last_success_timestamp_seconds";
inline constexpr std::string_view kSensorUp = "containerpilot_sensor_up";
inline constexpr std::string_view kSensorStale = "containerpilot_sensor_stale";
inline constexpr std::string_view kSensorSeries = "containerpilot_sensor_series";
inline constexpr std::string_view kSensorDropped = "containerpilot_sensor_series_dropped_total";
inline constexpr std::string_view kSensorInterval = "containerpilot_sensor_interval_seconds";
inline constexpr std::string_view kSensorTimeout = "containerpilot_sensor_timeout_seconds";
inline constexpr std::string_view kPushes = "containerpilot_pushes_total";

inline constexpr std::string_view kScalingValue = "containerpilot_scaling_value";
inline constexpr std::string_view kScalingTarget = "containerpilot_scaling_target";
inline constexpr std::string_view kScalingRatio = "containerpilot_scaling_ratio";
inline constexpr std::string_view kScalingInputAge = "containerpilot_scaling_input_age_seconds";
inline constexpr std::string_view kScalingInstances = "containerpilot_scaling_instances";
inline constexpr std::string_view kScalingRaw = "containerpilot_scaling_raw_desired";
inline constexpr std::string_view kScalingDesired = "containerpilot_scaling_desired";
inline constexpr std::string_view kScalingActive = "containerpilot_scaling_active";
inline constexpr std::string_view kScalingHeld = "containerpilot_scaling_held";

// Of the old program; kept for old dashboards.
inline constexpr std::string_view kOldEvents = "containerpilot_events";  // code, source
inline constexpr std::string_view kOldControlRequests =
    "containerpilot_control_http_requests";  // code, path
inline constexpr std::string_view kOldScrapes = "http_requests_total";
inline constexpr std::string_view kOldScrapeRequestSize = "http_request_size_bytes";
inline constexpr std::string_view kOldScrapeResponseSize = "http_response_size_bytes";

/// Every family above and the process_* ones, with help, type and buckets. `label_names` is for the
/// reference page.
struct AgentMetric {
  MetricSpec spec;
  std::vector<std::string_view> label_names;
};
std::span<const AgentMetric> agent_metrics();
bool is_agent_metric(std::string_view name);

/// Declares all of them, unless that was done. Families without series are not exported.
void declare_agent_metrics(Registry& registry);

/// containerpilot_build_info{version,revision,compiler} 1 and the start time.
void set_build_info(Registry& registry, std::string_view version, std::string_view revision);

/// Brings the process_* metrics of the agent itself up to date from /proc. Any thread.
class SelfMetrics {
 public:
  /// So long they stay as read: /proc costs a quarter of a scrape of a thousand series.
  static constexpr Duration kValid = std::chrono::milliseconds(100);

  explicit SelfMetrics(Registry& registry);
  void update(TimePoint now);

 private:
  std::atomic<TimePoint> read_again_{TimePoint::min()};
  SeriesHandle cpu_seconds_, open_fds_, max_fds_, virtual_bytes_, virtual_max_bytes_,
      resident_bytes_, threads_;
};

/// One state of a set holds 1, the others 0: series {name, state} of `metric`.
void set_state(Registry& registry, std::string_view metric, const std::string& name,
               const std::vector<std::string_view>& states, std::string_view current);

}  // namespace containerpilot::telemetry
