#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "config/plan_context.h"
#include "containerpilot/agent/version.h"
#include "containerpilot/telemetry/agent_metrics.h"

namespace containerpilot::agent {

namespace {

using telemetry::MetricSpec;
using telemetry::MetricType;
using telemetry::SensorFormat;
using telemetry::SensorSpec;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_metric_name(std::string_view name) {
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter(c) || is_digit(c) || c == ':'; });
}

bool is_label_name(std::string_view name) {
  return !name.empty() && is_letter(name.front()) && name.substr(0, 2) != "__" &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

void check_label_name(PlanContext& context, const std::string& name, const Node& at) {
  if (!is_label_name(name)) {
    context.problems.error(at, "'" + name + "' cannot be a label",
                           "letters, digits and _, not beginning with a digit or __");
  } else if (name == "job" || name == "instance") {
    context.problems.error(
        at, "the label '" + name + "' belongs to Prometheus, which would rename ours",
        "another name");
  }
}

/// What a pushed metric and a sensor have in common; the name is the caller's.
MetricSpec make_metric(PlanContext& context, const MetricConfig& config) {
  MetricSpec out;
  out.help = *config.help;
  out.unit = *config.unit;
  if (config.type) out.type = *config.type;
  for (const auto& [name, value] : *config.labels) {
    check_label_name(context, name, *config.labels.node);
    out.labels[name] = value;
  }
  if (config.buckets) {
    if (out.type != MetricType::kHistogram) {
      context.problems.error(*config.buckets.node, "only a histogram has buckets",
                             "type: \"histogram\"");
    } else if (config.buckets->empty() ||
               !std::is_sorted(config.buckets->begin(), config.buckets->end(),
                               [](double a, double b) { return a <= b; })) {
      context.problems.error(*config.buckets.node, "the bounds do not rise",
                             "numbers, each above the one before");
    }
    out.buckets = *config.buckets;
  }
  if (config.quantiles) {
    if (out.type != MetricType::kSummary) {
      context.problems.error(*config.quantiles.node, "only a summary has quantiles",
                             "type: \"summary\"");
    }
    out.quantiles = *config.quantiles;
  }
  return out;
}

MetricSpec make_pushed_metric(PlanContext& context, const MetricConfig& config) {
  MetricSpec out = make_metric(context, config);
  out.name =
      exported_name(context, {*config.name_space, *config.subsystem, *config.name}, *config.node);
  if (config.name && config.help->empty()) {
    const Node& at = config.help ? *config.help.node : *config.node;
    context.problems.error(at, "'help' is missing", "one sentence on what the metric means");
  }
  if (!config.type && config.node->find("type") == nullptr) {
    context.problems.error(*config.node, "'type' is missing",
                           R"("counter", "gauge", "histogram" or "summary")");
  }
  // The name 3.x listened under has the underscores of the empty parts, too.
  std::string old_key = *config.name_space + "_" + *config.subsystem + "_" + *config.name;
  if (old_key != out.name) out.push_aliases.push_back(std::move(old_key));
  return out;
}

telemetry::SensorSource make_source(PlanContext& context, const SensorConfig& config) {
  const int others = (config.file ? 1 : 0) + (config.cgroup ? 1 : 0) + (config.job ? 1 : 0);
  const int probes = (config.process.exec ? 1 : 0) + (config.probe.http ? 1 : 0) +
                     (config.probe.tcp ? 1 : 0) + (config.probe.unix_socket ? 1 : 0);
  if (others + probes != 1) {
    context.problems.error(
        *config.node, others + probes == 0 ? "a sensor needs a source" : "a sensor has one source",
        "one of exec, file, http, tcp, unix, cgroup, process");
  }
  if (config.file) return telemetry::FileSource{*config.file};
  if (config.cgroup) {
    static constexpr std::array<std::string_view, 5> kGroups = {"cpu", "memory", "pids", "io",
                                                                "pressure"};
    for (const std::string& group : *config.cgroup) {
      if (std::find(kGroups.begin(), kGroups.end(), group) == kGroups.end()) {
        context.problems.error(*config.cgroup.node, "found \"" + group + "\"",
                               "cpu, memory, pids, io, pressure");
      }
    }
    telemetry::CgroupSource source;
    source.groups = *config.cgroup;
    if (config.cgroup_root) source.root = *config.cgroup_root;
    return source;
  }
  if (config.job) return telemetry::ProcessSource{*config.job};
  if (config.probe.http) return *config.probe.http;
  if (config.probe.tcp) return *config.probe.tcp;
  if (config.probe.unix_socket) return *config.probe.unix_socket;
  return make_process(config.process);
}

/// RFC 6901: each part begins with a slash, and a tilde is "~0" or "~1".
void check_pointer(PlanContext& context, const std::string& pointer, const Node& at) {
  bool good = pointer.empty() || pointer.front() == '/';
  for (std::size_t tilde = pointer.find('~'); tilde != std::string::npos;
       tilde = pointer.find('~', tilde + 1)) {
    const char next = tilde + 1 < pointer.size() ? pointer[tilde + 1] : '\0';
    good = good && (next == '0' || next == '1');
  }
  if (good) return;
  context.problems.error(at, "'" + pointer + "' is not a JSON pointer", R"("/path/to/number")");
}

void check_format(PlanContext& context, const SensorConfig& config, SensorSpec& out) {
  out.format = config.format   ? *config.format
               : config.values ? SensorFormat::kJson
                               : SensorFormat::kNumber;
  if (out.format == SensorFormat::kJson && (!config.values || config.values->empty())) {
    context.problems.error(*config.node, "a JSON sensor needs 'values'",
                           R"(values: {queue_depth: "/depth"})");
  }
  if (out.format != SensorFormat::kJson && config.values) {
    context.problems.error(*config.values.node, "'values' go with JSON only", "format: \"json\"");
  }
  const bool own_names = config.cgroup || config.job || out.format == SensorFormat::kPrometheus;
  if (!own_names && out.format == SensorFormat::kNumber && config.metric.name) {
    exported_name(context, {*config.metric.name}, *config.metric.name.node);
  }
  for (const auto& [series, pointer] : *config.values) {
    exported_name(context, {series}, *config.values.node);
    check_pointer(context, pointer, *config.values.node);
    out.values[series] = pointer;
  }
  for (const auto& [label, pointer] : *config.value_labels) {
    check_label_name(context, label, *config.value_labels.node);
    check_pointer(context, pointer, *config.value_labels.node);
    out.value_labels[label] = pointer;
  }
}

}  // namespace

void report_duplicate_metric(PlanContext& context, const MetricSpec& earlier,
                             const MetricSpec& later, const Node& at) {
  if (earlier.help != later.help) {
    context.problems.error(at, "'" + later.name + "' is declared twice with different help",
                           "one declaration");
  } else {
    context.problems.warning(at, "'" + later.name + "' is declared twice; this one counts");
  }
}

std::string exported_name(PlanContext& context, const std::vector<std::string>& parts,
                          const Node& at) {
  std::string out;
  for (const std::string& part : parts) {
    if (!part.empty()) out += (out.empty() ? "" : "_") + part;
  }
  if (!parts.back().empty() && !is_metric_name(out)) {
    context.problems.error(at, "'" + out + "' cannot be the name of a metric",
                           "letters, digits, _ and :, not beginning with a digit");
  }
  return out;
}

TelemetryPlan make_v3_telemetry(PlanContext& context, const TelemetryConfig& config,
                                bool needs_address) {
  TelemetryPlan out;
  if (config.port) out.server.port = static_cast<std::uint16_t>(*config.port);
  if (config.metrics_path) {
    out.server.metrics_path = *config.metrics_path;
    constexpr std::array kTaken = {"/healthz", "/readyz", "/status",
                                   "/sensors", "/events", "/sd/prometheus"};
    if (std::find(kTaken.begin(), kTaken.end(), out.server.metrics_path) != kTaken.end()) {
      context.problems.error(*config.metrics_path.node,
                             "'" + out.server.metrics_path + "' is another page of this port",
                             R"(a path of its own, like "/metrics")");
    }
    if (out.server.metrics_path.front() != '/') {
      context.problems.error(*config.metrics_path.node,
                             "found " + describe(*config.metrics_path.node),
                             R"(a path beginning with "/")");
    }
  }
  out.server.bearer_token = *config.token;
  out.server.tls = {*config.tls->cert_file, *config.tls->key_file};
  out.server.listen = *config.listen;

  const Node& at = config.interfaces ? *config.interfaces.node : *config.node;
  const bool advertised = out.server.port != 0;
  if (advertised || !config.listen) {
    const std::string name = config.service_name ? *config.service_name : "containerpilot";
    Advertisement advertisement =
        make_advertisement(context, name, *config.interfaces, at, needs_address || !config.listen);
    if (!config.listen) out.server.listen = advertisement.service.address;
    advertisement.service.port = out.server.port;
    advertisement.service.ttl = kTelemetryTtl;
    advertisement.service.tags = *config.tags;
    if (!version().empty()) advertisement.service.tags.emplace_back(version());
    if (advertised) out.advertise = std::move(advertisement);
  }
  std::unordered_map<std::string, std::size_t> index;
  for (const MetricConfig& written : *config.metrics) {
    MetricSpec metric = make_pushed_metric(context, written);
    if (telemetry::is_agent_metric(metric.name)) {
      context.problems.warning(
          *written.node,
          "'" + metric.name + "' is a metric of the agent itself: pushes to it are refused",
          "another name");
    }
    const auto [known, fresh] = index.try_emplace(metric.name, out.metrics.size());
    if (fresh) {
      out.metrics.push_back(std::move(metric));
    } else {
      report_duplicate_metric(context, out.metrics[known->second], metric, *written.node);
      out.metrics[known->second] = std::move(metric);
    }
  }
  return out;
}

SensorSpec make_v3_sensor(PlanContext& context, const SensorConfig& config) {
  SensorSpec out;
  out.name = *config.metric.name;
  out.metric = make_metric(context, config.metric);
  out.metric.name = out.name;
  if (out.metric.help.empty()) out.metric.help = "Value of sensor '" + out.name + "'.";
  out.source = make_source(context, config);
  check_format(context, config, out);
  out.interval = *config.interval;
  out.timeout = config.timeout ? *config.timeout : out.interval;
  out.jitter = *config.jitter;
  if (out.jitter > Duration(0) && out.jitter >= out.interval) {
    context.problems.warning(*config.jitter.node, "a run would be put off beyond the next one",
                             "less than 'interval'");
  }
  if (config.multiply) out.multiply = *config.multiply;
  out.range_min = config.range->first;
  out.range_max = config.range->second;
  out.allow_non_finite = *config.allow_non_finite;
  out.total = *config.total;
  if (out.total && out.metric.type != MetricType::kCounter) {
    context.problems.error(*config.total.node, "only a counter has a running total",
                           "type: \"counter\"");
  }
  out.stale_after = config.stale_after ? *config.stale_after : 3 * out.interval;
  out.on_stale = *config.on_stale;
  if (out.on_stale.kind == telemetry::StalePolicy::Kind::kFixed &&
      out.metric.type != MetricType::kGauge) {
    context.problems.warning(*config.on_stale.node,
                             "only a gauge can be given another value: the series is dropped",
                             R"("drop" or "hold")");
  }
  if (config.max_series) out.max_series = static_cast<unsigned>(*config.max_series);
  if (config.when) out.condition = HeldCondition{*config.when->source, *config.when->while_state};
  return out;
}

telemetry::ScalingSpec make_v3_scaling(PlanContext& context, const ScalingConfig& config) {
  telemetry::ScalingSpec out;
  out.service = *config.service;
  if (config.min) out.min = static_cast<unsigned>(*config.min);
  out.max = static_cast<unsigned>(*config.max);
  if (config.max && out.max < out.min) {
    context.problems.error(*config.max.node, "'max' is below 'min'",
                           "at least " + std::to_string(out.min));
  }
  if (config.triggers && config.triggers->empty()) {
    context.problems.error(*config.triggers.node, "found no trigger", "at least one");
  }
  for (const TriggerConfig& trigger : *config.triggers) {
    if (trigger.target && !(*trigger.target > 0)) {
      context.problems.error(*trigger.target.node, "found " + describe(*trigger.target.node),
                             "a number above 0");
    }
    out.triggers.push_back({*trigger.metric, *trigger.target, *trigger.scope});
  }
  if (config.tolerance) {
    out.tolerance = *config.tolerance;
    if (out.tolerance < 0 || out.tolerance >= 1) {
      context.problems.error(*config.tolerance.node, "found " + describe(*config.tolerance.node),
                             "a number from 0 to below 1");
    }
  }
  out.stabilization_up = *config.stabilization->up;
  if (config.stabilization->down) out.stabilization_down = *config.stabilization->down;
  return out;
}

}  // namespace containerpilot::agent
