#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "config/plan_context.h"
#include "containerpilot/telemetry/agent_metrics.h"

namespace containerpilot::agent {

namespace {

using telemetry::MetricType;
using telemetry::SensorFormat;
using telemetry::SensorSpec;

/// Who writes to which metric, and what the scaling targets read: what one entry alone cannot tell.
class MetricCheck {
 public:
  MetricCheck(PlanContext& context, const V3Config& config, const Plan& plan)
      : context_(context), config_(config), plan_(plan) {}

  void run() {
    for (const telemetry::AgentMetric& metric : telemetry::agent_metrics())
      types_.emplace(metric.spec.name, metric.spec.type);
    if (plan_.telemetry) {
      for (const telemetry::MetricSpec& metric : plan_.telemetry->metrics) {
        if (types_.emplace(metric.name, metric.type).second) pushed_.insert(metric.name);
      }
    }
    for (std::size_t i = 0; i < plan_.sensors.size(); ++i)
      check_sensor((*config_.sensors)[i], plan_.sensors[i]);
    for (std::size_t i = 0; i < plan_.scaling.size(); ++i)
      check_scaling((*config_.scaling)[i], plan_.scaling[i]);
  }

 private:
  void check_sensor(const SensorConfig& written, const SensorSpec& sensor) {
    const Node& at = written.metric.name ? *written.metric.name.node : *written.node;
    if (!names_.insert(sensor.name).second) {
      context_.problems.error(at, "another sensor is called '" + sensor.name + "', too",
                              "a name of its own for each sensor");
      return;
    }
    if (sensor.format == SensorFormat::kPrometheus) any_name_ = true;
    if (written.job && !processes_.insert(*written.job).second) {
      context_.problems.error(at, "another sensor measures job '" + *written.job + "' already",
                              "one process sensor for each job");
    }
    if (written.cgroup || written.job) return;
    if (sensor.format == SensorFormat::kNumber) check_series(at, sensor, sensor.name);
    for (const auto& [metric, pointer] : sensor.values)
      check_series(*written.values.node, sensor, metric);
  }

  void check_series(const Node& at, const SensorSpec& sensor, const std::string& metric) {
    const auto refuse = [&](const std::string& why) {
      context_.problems.error(at, "'" + metric + "' " + why, "another name");
    };
    if (telemetry::is_agent_metric(metric)) return refuse("is a metric of the agent itself");
    if (pushed_.contains(metric)) return refuse("is in telemetry.metrics, too");
    const auto [type, fresh] = types_.emplace(metric, sensor.metric.type);
    if (!fresh && type->second != sensor.metric.type) {
      return refuse("is a " + std::string(telemetry::metric_type_name(sensor.metric.type)) +
                    " here and a " + std::string(telemetry::metric_type_name(type->second)) +
                    " in another sensor");
    }
    // Labels from the output are not known yet.
    if (sensor.value_labels.empty() && !series_.emplace(metric, sensor.metric.labels).second) {
      context_.problems.error(at, "another sensor writes to '" + metric + "' with the same labels",
                              "'labels' that tell them apart");
    }
  }

  void check_scaling(const ScalingConfig& written, const telemetry::ScalingSpec& scaling) {
    if (written.service && !services_.insert(scaling.service).second) {
      context_.problems.error(*written.service.node,
                              "'" + scaling.service + "' has scaling targets already",
                              "one entry per service, with several triggers");
    }
    const bool ours = std::any_of(plan_.jobs.begin(), plan_.jobs.end(), [&](const JobPlan& job) {
      return job.spec.name == scaling.service;
    });
    if (scaling.min == 0 && ours) {
      context_.problems.error(*written.min.node,
                              "without an instance of '" + scaling.service +
                                  "' nobody is left to measure what would start the next one",
                              "at least 1, or the target in the agent of another service");
    }
    std::set<std::pair<std::string, telemetry::ScalingScope>> triggers;
    for (std::size_t i = 0; i < scaling.triggers.size(); ++i) {
      const TriggerConfig& trigger = (*written.triggers)[i];
      check_trigger(trigger);
      if (trigger.metric &&
          !triggers.emplace(scaling.triggers[i].metric, scaling.triggers[i].scope).second) {
        context_.problems.error(*trigger.metric.node,
                                "'" + *trigger.metric + "' is a trigger of this service already",
                                "one trigger for each metric and scope");
      }
    }
  }

  void check_trigger(const TriggerConfig& trigger) {
    if (!trigger.metric) return;
    const auto found = types_.find(*trigger.metric);
    if (found != types_.end()) {
      if (found->second == MetricType::kGauge || found->second == MetricType::kCounter) return;
      context_.problems.error(*trigger.metric.node,
                              "'" + *trigger.metric + "' is a " +
                                  std::string(telemetry::metric_type_name(found->second)) +
                                  ", which has more than one number",
                              "a gauge or a counter");
      return;
    }
    if (any_name_) return;  // what a sensor reads in Prometheus' format may be called anything
    std::vector<std::string_view> known;
    for (const auto& [name, type] : types_) {
      if (!telemetry::is_agent_metric(name)) known.emplace_back(name);
    }
    const std::string_view near = nearest(*trigger.metric, known);
    context_.problems.warning(
        *trigger.metric.node,
        "nothing here measures '" + *trigger.metric + "'" +
            (near.empty() ? "" : ", did you mean '" + std::string(near) + "'?"),
        "a metric of 'sensors', of 'telemetry.metrics' or of the agent");
  }

  PlanContext& context_;
  const V3Config& config_;
  const Plan& plan_;
  std::map<std::string, MetricType> types_;
  bool any_name_ = false;
  std::set<std::string> names_, pushed_, services_, processes_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> series_;
};

}  // namespace

void check_metrics(PlanContext& context, const V3Config& config, const Plan& plan) {
  MetricCheck(context, config, plan).run();
}

}  // namespace containerpilot::agent
