#include <nlohmann/json.hpp>

#include "formats.h"
#include "queries.h"

namespace containerpilot::agent {

namespace {

using Json = nlohmann::ordered_json;
using telemetry::MetricSpec;
using telemetry::MetricType;
using telemetry::ScalingScope;
using telemetry::ScalingSpec;
using telemetry::SensorSpec;

// In every selector, as Grafana's dashboard linter asks.
constexpr std::string_view kSelected = R"(job=~"$job", instance=~"$instance")";

const Json& datasource() {
  static const Json source = {{"type", "prometheus"}, {"uid", "${datasource}"}};
  return source;
}

struct Line {
  std::string query, legend;
};

/// Panels in two columns, numbered as they come.
class Panels {
 public:
  void add(const std::string& title, const std::string& description, std::string_view unit,
           const std::vector<Line>& lines) {
    constexpr int kWidth = 12, kHeight = 8;
    Json targets = Json::array();
    for (const Line& line : lines) {
      targets.push_back({{"refId", std::string(1, static_cast<char>('A' + targets.size()))},
                         {"datasource", datasource()},
                         {"expr", line.query},
                         {"legendFormat", line.legend},
                         {"range", true}});
    }
    const auto index = static_cast<int>(panels_.size());
    panels_.push_back(
        {{"id", index + 1},
         {"type", "timeseries"},
         {"title", title},
         {"description", description},
         {"datasource", datasource()},
         {"gridPos",
          {{"w", kWidth}, {"h", kHeight}, {"x", index % 2 * kWidth}, {"y", index / 2 * kHeight}}},
         {"fieldConfig",
          {{"defaults",
            {{"unit", unit},
             {"min", 0},
             {"custom", {{"fillOpacity", 10}, {"showPoints", "never"}}}}},
           {"overrides", Json::array()}}},
         {"options", {{"tooltip", {{"mode", "multi"}, {"sort", "desc"}}}}},
         {"targets", std::move(targets)}});
  }
  Json take() { return std::move(panels_); }

 private:
  Json panels_ = Json::array();
};

Json variable(const std::string& name, const std::string& label, const std::string& query) {
  return {{"type", "query"},  {"name", name},
          {"label", label},   {"datasource", datasource()},
          {"refresh", 2},     {"query", {{"query", query}, {"refId", name}}},
          {"multi", true},    {"includeAll", true},
          {"allValue", ".+"}, {"sort", 1}};
}

std::string_view unit_of(const MetricSpec& metric) {
  const auto is = [&](std::string_view unit) {
    return metric.unit == unit || metric.name.ends_with("_" + std::string(unit));
  };
  if (is("seconds")) return "s";
  if (is("bytes")) return "bytes";
  if (is("ratio")) return "percentunit";
  return "short";
}

std::string selector(const std::string& name, const std::string& more = {}) {
  return name + "{" + std::string(kSelected) + (more.empty() ? "" : ", " + more) + "}";
}
std::string rate(const std::string& name, const std::string& more = {}) {
  return "rate(" + selector(name, more) + "[$__rate_interval])";
}

void add_metric(Panels& panels, const MetricSpec& metric, const std::string& name) {
  const std::string help = metric.help.empty() ? "The metric " + name + "." : metric.help;
  switch (metric.type) {
    case MetricType::kGauge:
      return panels.add(name, help, unit_of(metric), {{selector(name), "{{instance}}"}});
    case MetricType::kCounter:
      return panels.add(name, help + " Per second.", "ops", {{rate(name), "{{instance}}"}});
    case MetricType::kHistogram: {
      const std::string buckets = "sum by (le) (" + rate(name + "_bucket") + ")";
      return panels.add(name, help + " 50 % and 95 % were lower.", unit_of(metric),
                        {{"histogram_quantile(0.5, " + buckets + ")", "50 %"},
                         {"histogram_quantile(0.95, " + buckets + ")", "95 %"}});
    }
    case MetricType::kSummary:
      return panels.add(name, help + " By quantile.", unit_of(metric),
                        {{selector(name, "quantile!=\"\""), "{{instance}} {{quantile}}"}});
  }
}

void add_sensor(Panels& panels, const SensorSpec& sensor) {
  for (const auto& [name, pointer] : sensor.values) add_metric(panels, sensor.metric, name);
  const bool agent_metrics = std::holds_alternative<telemetry::CgroupSource>(sensor.source) ||
                             std::holds_alternative<telemetry::ProcessSource>(sensor.source);
  if (sensor.values.empty() && sensor.format == telemetry::SensorFormat::kNumber && !agent_metrics)
    add_metric(panels, sensor.metric, sensor.metric.name);
}

void add_scaling(Panels& panels, const ScalingSpec& rule) {
  const std::string service = "service=" + in_quotes(rule.service);
  panels.add(rule.service + ": instances",
             "Healthy instances in the catalog, and what the agents advise.", "none",
             {{"max(" + selector("containerpilot_scaling_instances", service) + ")", "there"},
              {"max(" + selector("containerpilot_scaling_desired", service) + ")", "advised"}});
  panels.add(rule.service + ": which rule has the last word",
             "How many agents say that this rule decides over the raw count.", "none",
             {{"sum by (reason) (" + selector("containerpilot_scaling_held", service) + ") > 0",
               "{{reason}}"}});
  for (const telemetry::ScalingTrigger& trigger : rule.triggers) {
    const bool own = trigger.scope == ScalingScope::kInstance;
    const std::string matchers = trigger_matchers(rule, trigger, kSelected);
    panels.add(
        rule.service + ": " + trigger.metric,
        own ? "Mean over the instances, and what one should carry."
            : "What all instances read alike, and what one should carry.",
        "short",
        {{std::string(own ? "avg" : "max") + "(containerpilot_scaling_value{" + matchers + "})",
          own ? "mean" : "value"},
         {"max(containerpilot_scaling_target{" + matchers + "})", "target"}});
  }
}

std::string any_of(const std::vector<SensorSpec>& sensors) {
  std::string names;
  for (const SensorSpec& sensor : sensors) names += (names.empty() ? "" : "|") + sensor.name;
  return "sensor=~" + in_quotes(names);
}

void add_sensor_health(Panels& panels, const std::vector<SensorSpec>& sensors) {
  const std::string these = any_of(sensors);
  panels.add("Runs of sensors by result", "Anything but ok is a failure.", "ops",
             {{"sum by (sensor, result) (" + rate("containerpilot_sensor_runs_total", these) + ")",
               "{{sensor}} {{result}}"}});
  panels.add(
      "Age of the last good values", "Time since each sensor last gave a good value.", "s",
      {{"time() - " + selector("containerpilot_sensor_last_success_timestamp_seconds", these),
        "{{instance}} {{sensor}}"}});
}

}  // namespace

std::string export_grafana(const Plan& plan) {
  constexpr std::size_t kLongestUid = 40;  // Grafana's limit
  const std::string& subject =
      plan.scaling.empty() ? plan.sensors.front().name : plan.scaling.front().service;
  Panels panels;
  for (const ScalingSpec& rule : plan.scaling) add_scaling(panels, rule);
  for (const SensorSpec& sensor : plan.sensors) add_sensor(panels, sensor);
  if (!plan.sensors.empty()) add_sensor_health(panels, plan.sensors);
  const Json source = {{"type", "datasource"},
                       {"name", "datasource"},
                       {"label", "Data source"},
                       {"query", "prometheus"}};
  const Json board = {
      {"id", nullptr},
      {"uid", ("containerpilot-of-" + subject).substr(0, kLongestUid)},
      {"title", "ContainerPilot / " + subject},
      {"description", "Made by containerpilot -export grafana from one configuration."},
      {"tags", {"containerpilot"}},
      {"schemaVersion", 39},
      {"version", 1},
      {"editable", false},
      {"refresh", "10s"},
      {"time", {{"from", "now-1h"}, {"to", "now"}}},
      {"annotations", {{"list", Json::array()}}},
      {"templating",
       {{"list",
         {source, variable("job", "Job", "label_values(containerpilot_build_info, job)"),
          variable("instance", "Instance",
                   "label_values(containerpilot_build_info{job=~\"$job\"}, instance)")}}}},
      {"panels", panels.take()}};
  return board.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace containerpilot::agent
