#include <chrono>

#include "config/coerce.h"
#include "config/special_kinds.h"
#include "config/v3_config.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {

/// The keys a pushed metric and a sensor share.
const Block& measured_block() {
  static const Block block =
      BlockOf<MetricConfig>("metric", "What every metric may say.")
          .field("name", &MetricConfig::name, some_text(), "", "Name of the metric.")
          .required()
          .field("help", &MetricConfig::help, text(), "", "One sentence on what it means.")
          .field("type", &MetricConfig::type,
                 choice<telemetry::MetricType>({{"counter", telemetry::MetricType::kCounter},
                                                {"gauge", telemetry::MetricType::kGauge},
                                                {"histogram", telemetry::MetricType::kHistogram},
                                                {"summary", telemetry::MetricType::kSummary}}),
                 "", "What it is.")
          .field("unit", &MetricConfig::unit, some_text(), "", "Unit, like `seconds` or `bytes`.")
          .since_4()
          .field("labels", &MetricConfig::labels, text_map(), "", "Labels of every series.")
          .since_4()
          .field("buckets", &MetricConfig::buckets, numbers(),
                 "[.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10]",
                 "Upper bounds of a histogram.")
          .since_4()
          .field("quantiles", &MetricConfig::quantiles, quantiles_kind(), "[0.5, 0.9, 0.99]",
                 "Quantiles of a summary.")
          .since_4()
          .build();
  return block;
}

const Block& metric_block() {
  static const Block block =
      BlockOf<MetricConfig>("metrics", "Metrics whose values come by `-putmetric`.")
          .field("namespace", &MetricConfig::name_space, text(), "",
                 "First part of the exported name.")
          .field("subsystem", &MetricConfig::subsystem, text(), "",
                 "Second part of the exported name.")
          .include_same(measured_block())
          .ignore({{"fullName", ""}, {"metricType", "did you mean 'type'?"}, {"collector", ""}})
          .build();
  return block;
}

const Block& sensor_probe_block() {
  static const Block block =
      BlockOf<ProbeConfig>("source", "Asks without starting a process.")
          .field("http", &ProbeConfig::http, http_probe_kind(), "", "GET this and read the body.")
          .of(http_block)
          .since_4()
          .field("tcp", &ProbeConfig::tcp, tcp_probe_kind(), "",
                 "Seconds to connect to this `host:port`.")
          .since_4()
          .field("unix", &ProbeConfig::unix_socket, unix_probe_kind(), "",
                 "Seconds to connect to this unix socket.")
          .since_4()
          .build();
  return block;
}

const Block& sensor_when_block() {
  static const Block block =
      BlockOf<SensorWhenConfig>("sensors.when", "Measure only as long as something is so.")
          .field("source", &SensorWhenConfig::source, some_text(), "",
                 "A job, `watch.NAME` or `lock.NAME`.")
          .required()
          .since_4()
          .field("while", &SensorWhenConfig::while_state,
                 choice<HeldState>({{"running", HeldState::kRunning},
                                    {"healthy", HeldState::kHealthy},
                                    {"held", HeldState::kHeld}}),
                 "", "The state it must be in.")
          .required()
          .since_4()
          .build();
  return block;
}

const Block& trigger_block() {
  static const Block block =
      BlockOf<TriggerConfig>("scaling.triggers", "What one instance should carry.")
          .field("metric", &TriggerConfig::metric, some_text(), "", "An exported metric.")
          .required()
          .since_4()
          .field("target", &TriggerConfig::target, number(), "", "Its value per instance.")
          .required()
          .since_4()
          .field("scope", &TriggerConfig::scope,
                 choice<telemetry::ScalingScope>({{"instance", telemetry::ScalingScope::kInstance},
                                                  {"service", telemetry::ScalingScope::kService}}),
                 "\"instance\"",
                 "`instance`: each measures its own share; `service`: all read the same number.")
          .since_4()
          .build();
  return block;
}

const Block& stabilization_block() {
  static const Block block =
      BlockOf<StabilizationConfig>("scaling.stabilization",
                                   "How long a new recommendation must stand.")
          .field("up", &StabilizationConfig::up, duration(0s), "\"0s\"", "Before more instances.")
          .since_4()
          .field("down", &StabilizationConfig::down, duration(0s), "\"5m\"", "Before fewer.")
          .since_4()
          .build();
  return block;
}

/// As 3.x: an empty object is an empty list; null elements, on which it crashed, are errors.
Kind<std::vector<MetricConfig>> metrics_kind() {
  Kind<std::vector<MetricConfig>> kind = objects<MetricConfig>(metric_block);
  kind.parse = [inner = kind.parse](Problems& problems, const Node& node,
                                    std::vector<MetricConfig>& out) {
    if (node.is(Node::Kind::kObject) && node.count == 0) return true;
    for (const Node& child : node) {
      if (child.is(Node::Kind::kNull)) problems.error(child, "found null", "an object");
    }
    return inner(problems, node, out);
  };
  return kind;
}

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

/// The first sensor of generation 2's form, spelled as the top-level form wants it.
std::string in_new_form(const Node& sensors) {
  if (!sensors.is(Node::Kind::kArray) || sensors.first == nullptr)
    return "sensors at the top level";
  const Node& old = *sensors.first;
  const auto text = [&](std::string_view key) {
    const Node* node = old.find(key);
    return node == nullptr ? std::string() : to_text(*node).value_or("");
  };
  std::string name;
  for (const char* part : {"namespace", "subsystem", "name"}) {
    if (!text(part).empty()) name += (name.empty() ? "" : "_") + text(part);
  }
  std::string out = "at the top level, sensors: [{name: " + in_quotes(name) +
                    ", help: " + in_quotes(text("help")) + ", type: " + in_quotes(text("type"));
  for (const char* key : {"check", "exec"}) {
    const Node* command = old.find(key);
    const auto argv = command == nullptr ? std::nullopt : to_argv(*command);
    if (!argv) continue;
    out += ", exec: [";
    for (const std::string& word : *argv)
      out += (&word == &argv->front() ? "" : ", ") + in_quotes(word);
    out += "]";
  }
  for (const char* key : {"poll", "interval"}) {
    if (!text(key).empty()) out += ", interval: " + text(key);
  }
  return out + "}, …]";
}

Kind<bool> moved_sensors() {
  Kind<bool> kind;
  kind.parse = [](Problems& problems, const Node& node, bool&) {
    problems.key_error(node, "sensors are not part of 'telemetry' in generation 3",
                       in_new_form(node));
    return false;
  };
  return kind;
}

const Block& server_tls_block() {
  static const Block block =
      BlockOf<ServerTlsConfig>("telemetry.tls", "Serve HTTPS.")
          .field("cert", &ServerTlsConfig::cert_file, some_text(), "",
                 "File with the certificate chain.")
          .required()
          .since_4()
          .field("key", &ServerTlsConfig::key_file, some_text(), "", "File with its key.")
          .required()
          .since_4()
          .build();
  return block;
}

}  // namespace

const Block& sensor_block() {
  static const Block block =
      BlockOf<SensorConfig>("sensors", "Numbers measured on an interval. Exactly one source each.")
          .include(&SensorConfig::metric, measured_block())
          .include(&SensorConfig::process, process_block())
          .include(&SensorConfig::probe, sensor_probe_block())
          .field("file", &SensorConfig::file, some_text(), "", "Read this file.")
          .since_4()
          .field("cgroup", &SensorConfig::cgroup, texts_or_one(), "",
                 "This container's `cpu`, `memory`, `pids`, `io`, `pressure`.")
          .since_4()
          .field("cgroupRoot", &SensorConfig::cgroup_root, some_text(), "\"/sys/fs/cgroup\"",
                 "Where the cgroup files are.")
          .since_4()
          .field("process", &SensorConfig::job, some_text(), "",
                 "CPU, memory, files and threads of this job.")
          .since_4()
          .field("format", &SensorConfig::format,
                 choice<telemetry::SensorFormat>(
                     {{"number", telemetry::SensorFormat::kNumber},
                      {"json", telemetry::SensorFormat::kJson},
                      {"prometheus", telemetry::SensorFormat::kPrometheus}}),
                 "\"number\"; with `values`: \"json\"", "What the source prints.")
          .since_4()
          .field("values", &SensorConfig::values, text_map(), "", "Series name → JSON pointer.")
          .since_4()
          .field("valueLabels", &SensorConfig::value_labels, text_map(), "",
                 "Label → JSON pointer.")
          .since_4()
          .field("interval", &SensorConfig::interval, duration(1ms), "", "How often.")
          .required()
          .since_4()
          .field("timeout", &SensorConfig::timeout, duration(1ms), "interval",
                 "Bounds one reading.")
          .since_4()
          .field("jitter", &SensorConfig::jitter, duration(0s), "0",
                 "Random delay of each reading.")
          .since_4()
          .field("multiply", &SensorConfig::multiply, number(), "1", "Factor, to reach base units.")
          .since_4()
          .field("range", &SensorConfig::range, range_kind(), "any",
                 "Values outside are refused and counted.")
          .since_4()
          .field("allowNonFinite", &SensorConfig::allow_non_finite, boolean(), "false",
                 "Let NaN and infinities pass.")
          .since_4()
          .field("total", &SensorConfig::total, boolean(), "false",
                 "A counter whose source prints a running total, not an increment.")
          .since_4()
          .field("staleAfter", &SensorConfig::stale_after, duration(1ms), "3 × interval",
                 "A value this old is stale.")
          .since_4()
          .field("onStale", &SensorConfig::on_stale, stale_kind(), "\"drop\"",
                 "What is exported then: nothing, the last value, or a number.")
          .since_4()
          .field("maxSeries", &SensorConfig::max_series, integer(1, 1'000'000), "100",
                 "Further series are dropped and counted.")
          .since_4()
          .field("when", &SensorConfig::when, object<SensorWhenConfig>(sensor_when_block), "always",
                 "Measure only as long as this is so.")
          .of(sensor_when_block)
          .since_4()
          .build();
  return block;
}

const Block& scaling_block() {
  static const Block block =
      BlockOf<ScalingConfig>("scaling",
                             "Targets from which the wanted number of instances follows.")
          .field("service", &ScalingConfig::service, some_text(), "", "The service to scale.")
          .required()
          .since_4()
          .field("min", &ScalingConfig::min, integer(0, 1'000'000), "1",
                 "Never fewer instances. 0 where the agent of another service measures.")
          .since_4()
          .field("max", &ScalingConfig::max, integer(1, 1'000'000), "", "Never more.")
          .required()
          .since_4()
          .field("triggers", &ScalingConfig::triggers, objects<TriggerConfig>(trigger_block), "",
                 "The largest count any of them asks for wins.")
          .of(trigger_block)
          .required()
          .since_4()
          .field("tolerance", &ScalingConfig::tolerance, number(), "0.1",
                 "Deviations from the target this small change nothing.")
          .since_4()
          .field("stabilization", &ScalingConfig::stabilization,
                 object<StabilizationConfig>(stabilization_block), "",
                 "How long a recommendation must stand.")
          .of(stabilization_block)
          .since_4()
          .build();
  return block;
}

const Block& v3_telemetry_block() {
  static const Block block =
      BlockOf<TelemetryConfig>("telemetry", "The port that serves metrics and status.")
          .field("port", &TelemetryConfig::port, integer(0, 65535), "9090",
                 "TCP port; 0 for a free one, which is not advertised.")
          .field("interfaces", &TelemetryConfig::interfaces, texts_or_one(), kDefaultAddress,
                 "Which address to advertise.")
          .field("listen", &TelemetryConfig::listen, some_text(), "the advertised address",
                 "Address to bind: `0.0.0.0`, `::`, `127.0.0.1`, ….")
          .since_4()
          .field("tags", &TelemetryConfig::tags, texts_or_one(), "",
                 "Tags in the catalog; the agent's version is added.")
          .field("serviceName", &TelemetryConfig::service_name, some_text(), "\"containerpilot\"",
                 "Name in the catalog.")
          .since_4()
          .field("metricsPath", &TelemetryConfig::metrics_path, some_text(), "\"/metrics\"",
                 "Where metrics are served.")
          .since_4()
          .field("token", &TelemetryConfig::token, secret(), "", "Bearer token to demand.")
          .since_4()
          .field("tls", &TelemetryConfig::tls, object<ServerTlsConfig>(server_tls_block), "",
                 "Serve HTTPS.")
          .of(server_tls_block)
          .since_4()
          .field("metrics", &TelemetryConfig::metrics, metrics_kind(), "",
                 "Metrics fed by `-putmetric`.")
          .of(metric_block)
          .field("sensors", &TelemetryConfig::moved_sensors, moved_sensors(), "", "")
          .hidden()
          .ignore({{"addr", ""}, {"jobConfig", ""}, {"metricConfigs", "did you mean 'metrics'?"}})
          .build();
  return block;
}

}  // namespace containerpilot::agent
