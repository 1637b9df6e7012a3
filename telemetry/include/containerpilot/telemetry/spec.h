#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "containerpilot/supervisor/job_spec.h"
#include "containerpilot/supervisor/probe_spec.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::telemetry {

enum class MetricType : std::uint8_t { kGauge, kCounter, kHistogram, kSummary };
std::optional<MetricType> parse_metric_type(std::string_view name);
std::string_view metric_type_name(MetricType type);

struct Quantile {
  double quantile = 0;
  double error = 0;
  friend bool operator==(const Quantile&, const Quantile&) = default;
};
/// .005 .01 .025 .05 .1 .25 .5 1 2.5 5 10; +Inf is implied. Source: ContainerPilot 3.8.0.
const std::vector<double>& default_buckets();
/// 0.5±0.05, 0.9±0.01, 0.99±0.001. Source: ContainerPilot 3.8.0.
const std::vector<Quantile>& default_quantiles();

/// A metric family that values are recorded into, by a sensor or pushed through the control socket.
struct MetricSpec {
  std::string name;  ///< full exported name
  std::string help;
  std::string unit;
  MetricType type = MetricType::kGauge;
  std::map<std::string, std::string> labels;       ///< on every series
  std::optional<std::vector<double>> buckets;      ///< of a histogram; none: default_buckets()
  std::optional<std::vector<Quantile>> quantiles;  ///< of a summary; none: default_quantiles()
  /// Other keys a push may use for it ("namespace__name"; spec v3, D9).
  std::vector<std::string> push_aliases;
  /// Kept for old dashboards though the name breaks today's rules: its type is left out of the
  /// exposition.
  bool legacy_name = false;
  friend bool operator==(const MetricSpec&, const MetricSpec&) = default;
};

/// A file the kernel or another program keeps current; read without waiting, at most 1 MB.
struct FileSource {
  std::string path;
  friend bool operator==(const FileSource&, const FileSource&) = default;
};
/// This container's own control group (v2, v1 or hybrid). Feeds containerpilot_cgroup_*.
struct CgroupSource {
  std::vector<std::string> groups;  ///< cpu, memory, pids, io, pressure
  /// Another root is taken as it is: the control group of somebody else, or a test's folder.
  std::string root = "/sys/fs/cgroup";
  friend bool operator==(const CgroupSource&, const CgroupSource&) = default;
};
/// A job's process and what it started. Feeds containerpilot_process_*{name}.
struct ProcessSource {
  std::string job;
  friend bool operator==(const ProcessSource&, const ProcessSource&) = default;
};
using SensorSource = std::variant<ProcessSpec, FileSource, HttpProbe, TcpProbe, UnixProbe,
                                  CgroupSource, ProcessSource>;

enum class SensorFormat : std::uint8_t { kNumber, kJson, kPrometheus };

struct StalePolicy {
  enum class Kind : std::uint8_t { kDrop, kHold, kFixed };
  Kind kind = Kind::kDrop;
  double value = 0;
  friend bool operator==(const StalePolicy&, const StalePolicy&) = default;
};

/// A user command or another source read on an interval, its output parsed into metrics.
struct SensorSpec {
  std::string name;  ///< of the sensor; for one number also the metric's name
  MetricSpec metric;
  SensorSource source;
  SensorFormat format = SensorFormat::kNumber;
  std::map<std::string, std::string> values;        ///< metric name -> JSON pointer
  std::map<std::string, std::string> value_labels;  ///< label -> JSON pointer (labels from output)
  Duration interval{0};
  Duration timeout{0};  ///< 0: none (old forms); otherwise the run's whole tree is killed
  Duration jitter{0};
  bool first_run_at_once = true;
  double multiply = 1;
  std::optional<double> range_min, range_max;  ///< inclusive, of the multiplied value
  bool allow_non_finite = false;
  /// Counter only: what is read is a running total, not an increment.
  bool total = false;
  Duration stale_after{0};  ///< 0: values never grow stale (old forms)
  StalePolicy on_stale;     ///< a fixed value is for gauges; other types are dropped instead
  unsigned max_series = 100;
  std::optional<HeldCondition> condition;
  bool paused_in_maintenance = false;
  /// Old forms: there from the start, with 0 or empty, before the first value.
  bool zero_at_start = false;
  friend bool operator==(const SensorSpec&, const SensorSpec&) = default;
};

enum class ScalingScope : std::uint8_t { kInstance, kService };
struct ScalingTrigger {
  std::string metric;
  double target = 0;
  ScalingScope scope = ScalingScope::kInstance;
  friend bool operator==(const ScalingTrigger&, const ScalingTrigger&) = default;
};
struct ScalingSpec {
  std::string service;
  unsigned min = 1, max = 1;
  std::vector<ScalingTrigger> triggers;
  double tolerance = 0.1;
  Duration stabilization_up{0};
  Duration stabilization_down = std::chrono::minutes(5);
  friend bool operator==(const ScalingSpec&, const ScalingSpec&) = default;
};

struct ServerTls {
  std::string cert_file, key_file;
  friend bool operator==(const ServerTls&, const ServerTls&) = default;
};

/// The telemetry port.
struct ServerSpec {
  std::string listen;         ///< IP address; "0.0.0.0" and "::" allowed
  std::uint16_t port = 9090;  ///< 0 picks a free one
  std::string metrics_path = "/metrics";
  std::string bearer_token;  ///< empty: none; never printed
  ServerTls tls;
  friend bool operator==(const ServerSpec&, const ServerSpec&) = default;
};

}  // namespace containerpilot::telemetry
