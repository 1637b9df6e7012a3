#include <algorithm>

#include "formats.h"
#include "queries.h"

namespace containerpilot::agent {

namespace {

using telemetry::ScalingSpec;
using telemetry::ScalingTrigger;

std::string kind_of(const ScaleTarget& target) {
  if (target.kind == "statefulset") return "StatefulSet";
  return target.kind == "replicaset" ? "ReplicaSet" : "Deployment";
}

std::int64_t whole_seconds(Duration duration) {
  return std::chrono::ceil<std::chrono::seconds>(duration).count();
}

std::string scale_target(const ScaleTarget& target) {
  return "  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: " + kind_of(target) +
         "\n    name: " + in_quotes(target.name) + "\n";
}

std::string head(std::string_view format, std::string_view version, std::string_view kind,
                 const ScaleTarget& target, const ExportOptions& options) {
  return "# Made by containerpilot -export " + std::string(format) +
         "; make it again when the configuration changes.\napiVersion: " + std::string(version) +
         "\nkind: " + std::string(kind) + "\nmetadata:\n  name: " + in_quotes(target.name) +
         "\n  namespace: " + in_quotes(options.kubernetes_namespace) + "\nspec:\n" +
         scale_target(target);
}

std::string behavior(const ScalingSpec& rule, const std::string& indent) {
  return indent + "behavior:\n" + indent + "  scaleUp:\n" + indent +
         "    stabilizationWindowSeconds: " + std::to_string(whole_seconds(rule.stabilization_up)) +
         "\n" + indent + "  scaleDown:\n" + indent + "    stabilizationWindowSeconds: " +
         std::to_string(whole_seconds(rule.stabilization_down)) + "\n";
}

/// Names of external metrics become parts of paths.
std::string external_name(const ScalingSpec& rule, const ScalingTrigger& trigger) {
  std::string name = "containerpilot_" + rule.service + "_" + trigger.metric;
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    } else if (!plain) {
      c = '_';
    }
  }
  return name;
}

}  // namespace

std::string export_keda(const ScalingSpec& rule, const ScaleTarget& target,
                        const ExportOptions& options) {
  std::string text = head("keda", "keda.sh/v1alpha1", "ScaledObject", target, options) +
                     "  minReplicaCount: " + std::to_string(rule.min) +
                     "\n  maxReplicaCount: " + std::to_string(rule.max) +
                     "\n  pollingInterval: 15\n"
                     "  fallback:  # no data is not zero: keep what runs\n"
                     "    failureThreshold: 3\n    replicas: " +
                     std::to_string(rule.min) +
                     "\n    behavior: currentReplicasIfHigher\n"
                     "  advanced:\n    horizontalPodAutoscalerConfig:\n" +
                     behavior(rule, "      ") + "  triggers:\n";
  for (const ScalingTrigger& trigger : rule.triggers) {
    const std::string matchers =
        trigger_matchers(rule, trigger, "namespace=" + in_quotes(options.kubernetes_namespace));
    text +=
        "    - type: prometheus\n"
        "      metricType: AverageValue\n"
        "      metadata:\n"
        "        serverAddress: " +
        in_quotes(options.prometheus) +
        "\n        query: " + in_quotes(fleet_value(trigger, matchers)) +
        "\n        threshold: " + in_quotes(number_text(trigger.target)) +
        "\n        ignoreNullValues: \"false\"  # an empty answer is a failure, never 0\n";
  }
  return text;
}

Result<std::string> export_hpa(const ScalingSpec& rule, const ScaleTarget& target,
                               const ExportOptions& options) {
  constexpr Duration kLongest = std::chrono::hours(1);
  if (rule.min == 0) {
    return Error(Errc::kInvalid,
                 "cannot export service '" + rule.service +
                     "': 'min' is 0, and a HorizontalPodAutoscaler keeps at least 1;"
                     " accepted: min 1 or more, or -export keda");
  }
  if (std::max(rule.stabilization_up, rule.stabilization_down) > kLongest) {
    return Error(Errc::kInvalid,
                 "cannot export service '" + rule.service +
                     "': 'stabilization' of a HorizontalPodAutoscaler is at most 1h");
  }
  std::string text = head("hpa", "autoscaling/v2", "HorizontalPodAutoscaler", target, options) +
                     "  minReplicas: " + std::to_string(rule.min) +
                     "\n  maxReplicas: " + std::to_string(rule.max) + "\n" + behavior(rule, "  ") +
                     "  metrics:\n";
  for (const ScalingTrigger& trigger : rule.triggers) {
    text += "    - type: External\n      external:\n        metric:\n          name: " +
            in_quotes(external_name(rule, trigger)) +
            "\n        target:\n          type: AverageValue\n          averageValue: " +
            in_quotes(number_text(trigger.target)) + "\n";
  }
  text += "# These rules belong into prometheus-adapter's configuration:\n# externalRules:\n";
  for (const ScalingTrigger& trigger : rule.triggers) {
    const std::string matchers = trigger_matchers(rule, trigger);
    text += "#   - seriesQuery: " + in_quotes("containerpilot_scaling_target{" + matchers + "}") +
            "\n#     resources: {overrides: {namespace: {resource: namespace}}}"
            "\n#     name: {matches: \".*\", as: " +
            in_quotes(external_name(rule, trigger)) + "}\n#     metricsQuery: " +
            in_quotes(fleet_value(trigger, trigger_matchers(rule, trigger, "<<.LabelMatchers>>"))) +
            "\n";
  }
  return text;
}

}  // namespace containerpilot::agent
