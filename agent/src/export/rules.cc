#include "formats.h"
#include "queries.h"

namespace containerpilot::agent {

namespace {

using telemetry::ScalingScope;
using telemetry::ScalingSpec;
using telemetry::ScalingTrigger;

/// Load in units of one instance's target; what differs between instances is only `instance`.
std::string load_of(const ScalingSpec& rule, const ScalingTrigger& trigger,
                    const std::string& more) {
  const std::string matchers = trigger_matchers(rule, trigger, more);
  const std::string value = "containerpilot_scaling_value{" + matchers + "}";
  const std::string target = "containerpilot_scaling_target{" + matchers + "}";
  const std::string load = value + " / " + target;
  const std::string count = "count without (instance) (" + target + ")";
  if (trigger.scope == ScalingScope::kService)
    return "max without (instance) (" + load + ") or " + count;
  // Who is silent counts as in fleet_value().
  return "sum without (instance) (" + load + " or " + target + " ^ 0) < " + count +
         "\n            or sum without (instance) (" + load + ") > " + count + "\n            or " +
         count;
}

std::string scaling_rules(const ScalingSpec& rule, const std::string& more) {
  std::string loads;
  for (const ScalingTrigger& trigger : rule.triggers) {
    loads += (loads.empty() ? "" : "\n            or ") + load_of(rule, trigger, more);
  }
  const std::string wanted = "service:containerpilot_wanted:max{" + more +
                             (more.empty() ? "" : ", ") + "service=" + in_quotes(rule.service) +
                             "}";
  // Windows as the agent's own: the lowest of `up` before more, the highest of `down` before fewer.
  std::string steady = wanted;
  const bool up = rule.stabilization_up > Duration(0), down = rule.stabilization_down > Duration(0);
  if (up)
    steady = "min_over_time(" + steady + "[" + prometheus_duration(rule.stabilization_up) + "])";
  if (down) {
    steady = "max_over_time(" + steady + "[" + prometheus_duration(rule.stabilization_down) +
             (up ? ":" : "") + "])";
  }
  return "      # Instances the load asks for, not rounded.\n"
         "      - record: service:containerpilot_wanted:max\n"
         "        expr: >-\n"
         "          max without (metric, scope) (\n"
         "            " +
         loads +
         "\n"
         "          )\n"
         "      # The same rounded up, after the windows and limits of the configuration.\n"
         "      - record: service:containerpilot_replicas:clamp_ceil\n"
         "        expr: clamp(ceil(" +
         steady + " - 1e-6), " + std::to_string(rule.min) + ", " + std::to_string(rule.max) +
         ")\n"
         "      - alert: AgentScaleRecommendationAbsent\n"
         "        expr: absent(" +
         wanted +
         ")\n"
         "        for: 5m\n"
         "        labels: {severity: critical}\n"
         "        annotations:\n"
         "          summary: Nobody says how many instances a service needs.\n"
         "          description: 'No agent of service {{ $labels.service }} is scraped.'\n"
         "          runbook: dashboards/README.md#agentscalerecommendationabsent\n";
}

std::string sensor_alert(const telemetry::SensorSpec& sensor, const std::string& more) {
  return "      - alert: AgentSensorAbsent\n"
         "        expr: absent(containerpilot_sensor_up{" +
         more + (more.empty() ? "" : ", ") + "sensor=" + in_quotes(sensor.name) +
         "})\n"
         "        for: 5m\n"
         "        labels: {severity: warning}\n"
         "        annotations:\n"
         "          summary: No agent reports a sensor.\n"
         "          description: 'No agent that is scraped has the sensor {{ $labels.sensor }}.'\n"
         "          runbook: dashboards/README.md#agentsensorabsent\n";
}

}  // namespace

std::string export_rules(const Plan& plan, const std::string& kubernetes_namespace) {
  const std::string more =
      kubernetes_namespace.empty() ? "" : "namespace=" + in_quotes(kubernetes_namespace);
  std::string text =
      "# Made by containerpilot -export rules; make it again when the configuration changes.\n"
      "groups:\n";
  for (const ScalingSpec& rule : plan.scaling) {
    text += "  - name: " + in_quotes("containerpilot-" + rule.service) + "\n    rules:\n" +
            scaling_rules(rule, more);
  }
  if (plan.sensors.empty()) return text;
  text +=
      "  - name: " +
      in_quotes("containerpilot-sensors-of-" +
                (plan.scaling.empty() ? plan.sensors.front().name : plan.scaling.front().service)) +
      "\n    rules:\n";
  for (const telemetry::SensorSpec& sensor : plan.sensors) text += sensor_alert(sensor, more);
  return text;
}

}  // namespace containerpilot::agent
