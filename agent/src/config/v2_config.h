#pragma once

#include <string>
#include <vector>

#include "config/kinds.h"
#include "config/schema.h"
#include "config/v3_config.h"

namespace containerpilot::agent {

// Generations 1 and 2 (one schema; they differ in names and strictness) as written.

using Argv = std::vector<std::string>;

struct V2ServiceConfig {
  const Node* node = nullptr;
  Value<std::string> name;
  Value<std::int64_t> port;
  Value<Duration> poll, ttl, timeout;
  Value<Argv> health;
  Value<std::vector<std::string>> interfaces, tags;
  Value<ConsulExtrasConfig> consul;
};

struct V2BackendConfig {
  const Node* node = nullptr;
  Value<std::string> name, tag;
  Value<Duration> poll, timeout;
  Value<Argv> on_change;
};

struct V2SensorConfig {
  const Node* node = nullptr;
  Value<std::string> name_space, subsystem, name, help;
  Value<telemetry::MetricType> type;
  Value<Duration> poll, timeout;
  Value<Argv> check;
};

struct V2TelemetryConfig {
  const Node* node = nullptr;
  Value<std::int64_t> port;
  Value<std::vector<std::string>> interfaces, tags;
  Value<std::vector<V2SensorConfig>> sensors;
  Value<std::string> service_name, url;
  Value<Duration> ttl, poll;
};

struct V2TaskConfig {
  const Node* node = nullptr;
  Value<std::string> name;
  Value<Argv> command;
  Value<Duration> frequency, timeout;
};

struct V2CoprocessConfig {
  const Node* node = nullptr;
  Value<std::string> name;
  Value<Argv> command;
  Value<RestartsConfig> restarts;
};

struct V2Config {
  const Node* node = nullptr;
  Value<ConsulValue> consul;
  Value<EtcdConfig> etcd;
  Value<LoggingConfig> logging;
  Value<Argv> on_start, pre_start, pre_stop, post_stop;
  Value<Duration> stop_timeout;
  Value<std::vector<V2ServiceConfig>> services;
  Value<std::vector<V2BackendConfig>> backends;
  Value<V2TelemetryConfig> telemetry;
  Value<std::vector<V2TaskConfig>> tasks;
  Value<std::vector<V2CoprocessConfig>> coprocesses;
};

const Block& v2_block();

}  // namespace containerpilot::agent
