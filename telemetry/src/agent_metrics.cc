#include "containerpilot/telemetry/agent_metrics.h"

#include <cassert>
#include <set>
#include <span>
#include <utility>

namespace containerpilot::telemetry {
namespace {

constexpr double kShortTimes[] = {.0001, .00025, .0005, .001, .0025, .005,
                                  .01,   .025,   .05,   .1,   .25,   1};
constexpr double kRunTimes[] = {.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300};
constexpr double kJobTimes[] = {.1, 1, 10, 60, 600, 3600, 86400};

AgentMetric make(std::string_view name, MetricType type, std::string_view help,
                 std::vector<std::string_view> labels = {}, std::span<const double> buckets = {}) {
  constexpr std::string_view kUnits[] = {"seconds", "bytes"};
  AgentMetric metric;
  metric.spec.name = name;
  metric.spec.help = help;
  metric.spec.type = type;
  for (const std::string_view unit : kUnits) {
    if (name.find(unit) != std::string_view::npos) metric.spec.unit = unit;
  }
  if (!buckets.empty()) metric.spec.buckets.emplace(buckets.begin(), buckets.end());
  metric.label_names = std::move(labels);
  return metric;
}

AgentMetric legacy(AgentMetric metric) {
  metric.spec.legacy_name = true;
  return metric;
}

}  // namespace

std::span<const AgentMetric> agent_metrics() {
  constexpr auto kGauge = MetricType::kGauge;
  constexpr auto kCounter = MetricType::kCounter;
  constexpr auto kHistogram = MetricType::kHistogram;
  constexpr auto kSummary = MetricType::kSummary;
  static const AgentMetric kMetrics[] = {
      make(kBuildInfo, kGauge, "Version of this agent; always 1.",
           {"version", "revision", "compiler"}),
      make(kStartTime, kGauge, "When this agent started."),

      make(kJobState, kGauge, "1 for the state a job is in, 0 for the others.", {"name", "state"}),
      make(kJobStarts, kCounter, "Runs of a job that were started.", {"name"}),
      make(kJobRestarts, kCounter, "Runs of a job that followed the end of an earlier one.",
           {"name"}),
      make(kJobExits, kCounter, "Ended runs of a job by exit code as a shell reports it.",
           {"name", "code"}),
      make(kJobRunDuration, kHistogram, "How long runs of a job took.", {"name"}, kJobTimes),
      make(kJobCrashLoop, kGauge, "1 while restarts of a job are delayed because it keeps failing.",
           {"name"}),
      make(kJobHealthy, kGauge, "1 while a job is healthy, 0 while it is not.", {"name"}),
      make(kChecks, kCounter, "Health checks by result.", {"name", "result"}),
      make(kCheckDuration, kHistogram, "How long health checks took.", {"name"}, kRunTimes),

      make(kWatchInstances, kGauge, "Healthy instances at the last good answer.", {"service"}),
      make(kWatchChanges, kCounter, "Changes a watch has seen.", {"service"}),
      make(kWatchLastAnswer, kGauge, "When the catalog last answered a watch.", {"service"}),
      make(kWatchStaleness, kGauge,
           "How late a change may be seen while the catalog answers; 0: at once.", {"service"}),

      make(kCatalogUp, kGauge, "1 while the catalog answers, 0 while it does not."),
      make(kCatalogCalls, kCounter, "Calls to the catalog by result.", {"call", "result"}),
      make(kCatalogCallDuration, kHistogram,
           "How long calls to the catalog took, long polls left out.", {"call"}, kRunTimes),
      make(kRegistered, kGauge, "1 while the catalog is known to hold an entry of this agent.",
           {"service"}),

      make(kLoopTurnDuration, kHistogram, "How long one turn of the event loop was busy.", {},
           kShortTimes),
      make(kLoopTimerLag, kHistogram, "How late the first timer of a turn was.", {}, kShortTimes),
      make(kLoopTimers, kGauge, "Timers that are set."),

      make(kBusEvents, kCounter, "Events on the bus by code.", {"code"}),
      make(kControlRequests, kCounter, "Requests to the control socket.", {"code", "path"}),
      make(kReloads, kCounter, "Reloads of the configuration by result.", {"result"}),
      make(kLastReload, kGauge, "When the configuration in force was loaded."),
      make(kLastReloadOk, kGauge,
           "1 if the last load of the configuration was good, 0 if it was refused."),
      make(kMaintenance, kGauge, "1 in maintenance, else 0."),
      make(kLogLines, kCounter, "Lines written to the log."),
      make(kLogDropped, kCounter,
           "Log entries lost because their reader was too slow or the disk full."),
      make(kLogSuppressed, kCounter, "Log entries held back because they repeated too often."),
      make(kOrphansReaped, kCounter,
           "Processes of others that were collected after their parent's end."),

      make(kScrapes, kCounter, "Answered scrapes by format.", {"format"}),
      make(kScrapeDuration, kHistogram,
           "How long it took to prepare and send the answer to a scrape.", {}, kRunTimes),
      make(kScrapeBytes, kGauge, "Size of the answer to the last scrape, as sent."),

      make(kSensorRuns, kCounter, "Runs of a sensor by result.", {"sensor", "result"}),
      make(kSensorDuration, kHistogram, "How long runs of a sensor took.", {"sensor"}, kRunTimes),
      make(kSensorLastSuccess, kGauge, "When a sensor last gave a good value.", {"sensor"}),
      make(kSensorUp, kGauge,
           "1 while the last run of a sensor was good and its value is fresh, else 0.", {"sensor"}),
      make(kSensorStale, kGauge, "1 while the last good value of a sensor is too old, else 0.",
           {"sensor"}),
      make(kSensorSeries, kGauge, "Series a sensor feeds now.", {"sensor"}),
      make(kSensorDropped, kCounter,
           "Series a sensor reported beyond its maxSeries, or that are not its to write.",
           {"sensor"}),
      make(kSensorInterval, kGauge, "Configured time between runs of a sensor.", {"sensor"}),
      make(kSensorTimeout, kGauge, "Configured limit of one run of a sensor.", {"sensor"}),
      make(kPushes, kCounter, "Values pushed through the control socket by result.", {"result"}),

      make(kScalingValue, kGauge, "What a trigger measures on this instance.",
           {"service", "metric", "scope"}),
      make(kScalingTarget, kGauge, "What a trigger aims at per instance.",
           {"service", "metric", "scope"}),
      make(kScalingRatio, kGauge,
           "Value of the fleet divided by what it should carry: 1 is on target.",
           {"service", "metric", "scope"}),
      make(kScalingInputAge, kGauge, "Age of what a trigger measures.",
           {"service", "metric", "scope"}),
      make(kScalingInstances, kGauge,
           "Healthy instances of the service, as the catalog knows them.", {"service"}),
      make(kScalingRaw, kGauge,
           "Instances the triggers ask for, before tolerance, windows and limits.", {"service"}),
      make(kScalingDesired, kGauge,
           "Instances the service should have; advice, nothing is scaled here.", {"service"}),
      make(kScalingActive, kGauge, "1 while a trigger measures more than zero.", {"service"}),
      make(kScalingHeld, kGauge,
           "1 for the reason that decides over the raw count now, 0 for the others.",
           {"service", "reason"}),

      make("containerpilot_process_cpu_seconds_total", kCounter,
           "CPU time of a job's processes, ended children included.", {"name"}),
      make("containerpilot_process_resident_memory_bytes", kGauge,
           "Resident memory of a job's processes.", {"name"}),
      make("containerpilot_process_threads", kGauge, "Threads of a job's processes.", {"name"}),
      make("containerpilot_process_processes", kGauge, "Processes of a job.", {"name"}),
      make("containerpilot_process_open_fds", kGauge, "Open file descriptors of a job's processes.",
           {"name"}),

      make("containerpilot_cgroup_cpu_usage_seconds_total", kCounter,
           "CPU time used by the container."),
      make("containerpilot_cgroup_cpu_user_seconds_total", kCounter, "CPU time used in user mode."),
      make("containerpilot_cgroup_cpu_system_seconds_total", kCounter,
           "CPU time used in the kernel."),
      make("containerpilot_cgroup_cpu_periods_total", kCounter,
           "Periods in which the CPU limit was enforced."),
      make("containerpilot_cgroup_cpu_throttled_periods_total", kCounter,
           "Periods in which the CPU limit was reached."),
      make("containerpilot_cgroup_cpu_throttled_seconds_total", kCounter,
           "Time spent waiting because of the CPU limit."),
      make("containerpilot_cgroup_cpu_limit_cores", kGauge, "CPU limit; not there without one."),
      make("containerpilot_cgroup_cpu_used_ratio", kGauge,
           "CPU used since the reading before, divided by the limit."),
      make("containerpilot_cgroup_memory_usage_bytes", kGauge, "Memory used, page cache included."),
      make("containerpilot_cgroup_memory_working_set_bytes", kGauge,
           "Memory used without what can be reclaimed at once."),
      make("containerpilot_cgroup_memory_limit_bytes", kGauge,
           "Memory limit; not there without one."),
      make("containerpilot_cgroup_memory_high_bytes", kGauge,
           "Memory above which the container is slowed down; not there without one."),
      make("containerpilot_cgroup_memory_used_ratio", kGauge, "Working set divided by the limit."),
      make("containerpilot_cgroup_memory_swap_bytes", kGauge, "Swap used."),
      make("containerpilot_cgroup_memory_events_total", kCounter,
           "How often a memory event happened.", {"event"}),
      make("containerpilot_cgroup_pids", kGauge, "Processes and threads in the container."),
      make("containerpilot_cgroup_pids_limit", kGauge, "Limit of those; not there without one."),
      make("containerpilot_cgroup_io_read_bytes_total", kCounter, "Bytes read.", {"device"}),
      make("containerpilot_cgroup_io_written_bytes_total", kCounter, "Bytes written.", {"device"}),
      make("containerpilot_cgroup_io_reads_total", kCounter, "Reads.", {"device"}),
      make("containerpilot_cgroup_io_writes_total", kCounter, "Writes.", {"device"}),
      make("containerpilot_cgroup_pressure_waiting_seconds_total", kCounter,
           "Time in which some task waited for the resource.", {"resource"}),
      make("containerpilot_cgroup_pressure_stalled_seconds_total", kCounter,
           "Time in which all tasks waited for the resource.", {"resource"}),

      make("process_cpu_seconds_total", kCounter,
           "Total user and system CPU time spent in seconds."),
      make("process_open_fds", kGauge, "Number of open file descriptors."),
      make("process_max_fds", kGauge, "Maximum number of open file descriptors."),
      make("process_virtual_memory_bytes", kGauge, "Virtual memory size in bytes."),
      make("process_virtual_memory_max_bytes", kGauge,
           "Maximum amount of virtual memory available in bytes."),
      make("process_resident_memory_bytes", kGauge, "Resident memory size in bytes."),
      make("process_start_time_seconds", kGauge,
           "Start time of the process since unix epoch in seconds."),
      make("process_threads", kGauge, "Number of threads."),

      legacy(
          make(kOldEvents, kCounter, "Events on the bus by code and source.", {"code", "source"})),
      legacy(
          make(kOldControlRequests, kCounter, "Requests to the control socket.", {"code", "path"})),
      make(kOldScrapes, kCounter, "Scrapes.", {"code", "handler", "method"}),
      make(kOldScrapeRequestSize, kSummary, "Size of the bodies of scrapes.", {"handler"}),
      make(kOldScrapeResponseSize, kSummary, "Size of the answers to scrapes.", {"handler"}),
  };
  return kMetrics;
}

bool is_agent_metric(std::string_view name) {
  static const auto names = [] {
    std::set<std::string_view> all;
    for (const AgentMetric& metric : agent_metrics()) all.insert(metric.spec.name);
    return all;
  }();
  return names.contains(name);
}

void declare_agent_metrics(Registry& registry) {
  if (registry.has(agent_metrics().back().spec.name)) return;
  for (const AgentMetric& metric : agent_metrics()) {
    [[maybe_unused]] const auto status = registry.declare(metric.spec);
    assert(status);
  }
}

void set_build_info(Registry& registry, std::string_view version, std::string_view revision) {
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "gcc " __VERSION__;
#endif
  static_cast<void>(registry.record(kBuildInfo,
                                    {{"version", std::string(version)},
                                     {"revision", std::string(revision)},
                                     {"compiler", compiler}},
                                    1));
}

void set_state(Registry& registry, std::string_view metric, const std::string& name,
               const std::vector<std::string_view>& states, std::string_view current) {
  for (const std::string_view state : states) {
    static_cast<void>(registry.record(metric, {{"name", name}, {"state", std::string(state)}},
                                      state == current ? 1 : 0));
  }
}

}  // namespace containerpilot::telemetry
