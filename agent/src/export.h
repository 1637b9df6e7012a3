#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/agent/plan.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::agent {

enum class ExportFormat : std::uint8_t { kGrafana, kRules, kKeda, kHpa };
/// "grafana", "rules", "keda", "hpa".
std::optional<ExportFormat> parse_export_format(std::string_view name);

/// What an autoscaler shall scale.
struct ScaleTarget {
  std::string service;  ///< empty: the only one the configuration scales
  std::string kind;     ///< "deployment", "statefulset", "replicaset"
  std::string name;
};
/// Reads "[SERVICE=]KIND/NAME". Errors: kInvalid, with what would be accepted.
Result<ScaleTarget> parse_scale_target(std::string_view text);

/// What a configuration cannot know.
struct ExportOptions {
  std::vector<ScaleTarget> targets;  ///< keda, hpa: one per scaled service
  std::string kubernetes_namespace;  ///< keda, hpa: required; rules: a matcher when given
  std::string prometheus;            ///< keda: its URL, required
};

/// A dashboard (JSON), rules (YAML for Prometheus) or manifests (YAML for Kubernetes) for exactly
/// the sensors and scaling targets of this plan; ends with a newline, and is the same for the same
/// input. Errors: kInvalid when the plan has nothing to export, or an option is missing or does not
/// fit. Pure. The meaning of every query: dashboards/README.md.
Result<std::string> export_plan(const Plan& plan, ExportFormat format,
                                const ExportOptions& options);

}  // namespace containerpilot::agent
