#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/kinds.h"
#include "config/schema.h"
#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/event.h"
#include "containerpilot/supervisor/job_spec.h"
#include "containerpilot/supervisor/log.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::agent {

// Generation 3 as written: one struct per block, still without defaults that depend on other keys.
// What belongs to one value is checked while decoding, what needs several keys when the plan is
// made.

struct ProcessConfig {
  Value<std::vector<std::string>> exec;
  Value<std::string> user, group, cwd, umask;
  Value<std::vector<std::string>> groups, env_file;
  Value<TextMap> env;
  Value<bool> clear_env, no_new_privileges;
  Value<std::map<std::string, ResourceLimit>> rlimits;
  Value<std::int64_t> oom_score_adj;
};

/// The probes that do not fork; `exec` is part of ProcessConfig.
struct ProbeConfig {
  Value<HttpProbe> http;
  Value<TcpProbe> tcp;
  Value<UnixProbe> unix_socket;
};

struct OutputConfig {
  const Node* node = nullptr;
  Value<bool> raw;
};
struct JobLoggingConfig {
  const Node* node = nullptr;
  Value<bool> raw, merge_json;
  Value<std::string> file;
  Value<std::int64_t> max_rate;
};

struct HealthConfig {
  const Node* node = nullptr;
  ProcessConfig process;
  ProbeConfig probe;
  Value<Duration> interval, ttl, timeout, start_period;
  Value<std::int64_t> failure_threshold, success_threshold;
  Value<UnhealthyAction> on_failure;
  Value<OutputConfig> logging;
};

struct SourceConfig {
  const Node* node = nullptr;
  Value<std::string> source, once, each;
};
struct WhenConfig {
  const Node* node = nullptr;
  Value<std::string> source, once, each;
  Value<HeldState> while_state;
  Value<Duration> interval;
  Value<std::string> schedule, time_zone;
  Value<std::vector<SourceConfig>> all, any;
  Value<const Node*> timeout;  // read late: with an interval 3.x did not even look at it
  Value<Duration> jitter, debounce;
  Value<Overlap> overlap;
};

struct RestartsConfig {
  std::optional<Limit> limit;
  std::optional<Duration> delay, max_delay, reset_after;
};

struct ConsulExtrasConfig {
  const Node* node = nullptr;
  Value<bool> enable_tag_override;
  Value<std::string> deregister_after;
};

struct JobConfig {
  const Node* node = nullptr;
  Value<std::string> name;
  ProcessConfig process;
  Value<std::int64_t> port;
  Value<bool> advertise;
  Value<std::vector<std::string>> interfaces, tags;
  Value<TextMap> meta;
  Value<std::string> initial_status;
  Value<ConsulExtrasConfig> consul;
  Value<HealthConfig> health;
  Value<WhenConfig> when;
  Value<RestartsConfig> restarts;
  Value<Duration> timeout, stop_timeout, drain;
  Value<int> stop_signal;
  Value<EndAction> on_success, on_failure;
  Value<JobLoggingConfig> logging;
  Value<bool> notify;
};

struct WatchConfig {
  const Node* node = nullptr;
  Value<std::string> name, tag, dc, dns;
  Value<Duration> interval;
  Value<std::int64_t> port;
};

struct MetricConfig {
  const Node* node = nullptr;
  Value<std::string> name_space, subsystem, name, help, unit;
  Value<telemetry::MetricType> type;
  Value<TextMap> labels;
  Value<std::vector<double>> buckets;
  Value<std::vector<telemetry::Quantile>> quantiles;
};

struct SensorWhenConfig {
  const Node* node = nullptr;
  Value<std::string> source;
  Value<HeldState> while_state;
};
struct SensorConfig {
  const Node* node = nullptr;
  MetricConfig metric;
  ProcessConfig process;
  ProbeConfig probe;
  Value<std::string> file, job;
  Value<std::vector<std::string>> cgroup;
  Value<std::string> cgroup_root;
  Value<telemetry::SensorFormat> format;
  Value<TextMap> values, value_labels;
  Value<Duration> interval, timeout, jitter, stale_after;
  Value<double> multiply;
  Value<std::pair<std::optional<double>, std::optional<double>>> range;
  Value<bool> allow_non_finite, total;
  Value<telemetry::StalePolicy> on_stale;
  Value<std::int64_t> max_series;
  Value<SensorWhenConfig> when;
};

struct TriggerConfig {
  const Node* node = nullptr;
  Value<std::string> metric;
  Value<double> target;
  Value<telemetry::ScalingScope> scope;
};
struct StabilizationConfig {
  const Node* node = nullptr;
  Value<Duration> up, down;
};
struct ScalingConfig {
  const Node* node = nullptr;
  Value<std::string> service;
  Value<std::int64_t> min, max;
  Value<std::vector<TriggerConfig>> triggers;
  Value<double> tolerance;
  Value<StabilizationConfig> stabilization;
};

struct ServerTlsConfig {
  const Node* node = nullptr;
  Value<std::string> cert_file, key_file;
};
struct TelemetryConfig {
  const Node* node = nullptr;
  Value<std::int64_t> port;
  Value<std::vector<std::string>> interfaces, tags;
  Value<std::string> listen, service_name, metrics_path, token;
  Value<ServerTlsConfig> tls;
  Value<std::vector<MetricConfig>> metrics;
  Value<bool> moved_sensors;  // never set: says where they went
};

struct TlsConfig {
  const Node* node = nullptr;
  Value<std::string> ca_file, ca_path, client_cert, client_key, server_name;
  Value<bool> verify;
};
struct ConsulConfig {
  const Node* node = nullptr;
  Value<std::string> address, scheme, token, token_file;
  Value<TlsConfig> tls;
};
struct EtcdConfig {
  const Node* node = nullptr;
  Value<std::vector<std::string>> endpoints;
  Value<std::string> prefix, user, password;
  Value<TlsConfig> tls;
};
struct EmbeddedConfig {
  const Node* node = nullptr;
  Value<std::string> listen;
};
struct CatalogObjectConfig {
  const Node* node = nullptr;
  Value<EmbeddedConfig> embedded;
};
/// `consul: "host:port"` or an object; `catalog: "none"` or an object.
using ConsulValue = std::variant<std::string, ConsulConfig>;
using CatalogValue = std::variant<std::string, CatalogObjectConfig>;

struct LoggingConfig {
  const Node* node = nullptr;
  Value<std::string> level, format, output;
};
struct ControlConfig {
  const Node* node = nullptr;
  Value<std::string> socket;
};

struct V3Config {
  const Node* node = nullptr;
  Value<ConsulValue> consul;
  Value<EtcdConfig> etcd;
  Value<CatalogValue> catalog;
  Value<std::vector<JobConfig>> jobs;
  Value<std::vector<WatchConfig>> watches;
  Value<std::vector<SensorConfig>> sensors;
  Value<std::vector<ScalingConfig>> scaling;
  Value<TelemetryConfig> telemetry;
  Value<LoggingConfig> logging;
  Value<ControlConfig> control;
  Value<Duration> stop_timeout;
};

const Block& v3_block();
// Shared with the older generations.
const Block& logging_block();
Kind<ConsulValue> consul_kind();
Kind<EtcdConfig> etcd_kind();
const Block& process_block();
const Block& v3_job_block();
const Block& v3_watch_block();
const Block& v3_telemetry_block();
const Block& v3_control_block();

}  // namespace containerpilot::agent
