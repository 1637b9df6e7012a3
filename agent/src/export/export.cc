#include "export.h"

#include <algorithm>
#include <array>
#include <utility>

#include "formats.h"

namespace containerpilot::agent {

namespace {

constexpr std::array kFormats = {
    std::pair("grafana", ExportFormat::kGrafana), std::pair("rules", ExportFormat::kRules),
    std::pair("keda", ExportFormat::kKeda), std::pair("hpa", ExportFormat::kHpa)};
constexpr std::array kKinds = {"deployment", "statefulset", "replicaset"};

Error missing(std::string_view flag, std::string_view what) {
  return Error(Errc::kInvalid, "cannot export: -" + std::string(flag) + " is missing: " +
                                   std::string(what) + ", which the configuration cannot know");
}

Result<ScaleTarget> target_of(const telemetry::ScalingSpec& rule, const Plan& plan,
                              const ExportOptions& options) {
  for (const ScaleTarget& target : options.targets) {
    if (target.service == rule.service || (target.service.empty() && plan.scaling.size() == 1))
      return target;
  }
  const bool several = plan.scaling.size() > 1;
  return missing("for", several ? "what to scale for service '" + rule.service + "', like -for " +
                                      rule.service + "=deployment/" + rule.service
                                : std::string("what to scale, like -for deployment/web"));
}

Status check_targets(const Plan& plan, const ExportOptions& options) {
  for (const ScaleTarget& target : options.targets) {
    if (target.service.empty()) continue;
    const bool known = std::any_of(plan.scaling.begin(), plan.scaling.end(), [&](const auto& rule) {
      return rule.service == target.service;
    });
    if (!known) {
      return Error(Errc::kInvalid, "cannot export: the configuration does not scale service '" +
                                       target.service + "', which -for names");
    }
  }
  return ok();
}

}  // namespace

std::optional<ExportFormat> parse_export_format(std::string_view name) {
  for (const auto& [known, format] : kFormats) {
    if (name == known) return format;
  }
  return std::nullopt;
}

Result<ScaleTarget> parse_scale_target(std::string_view text) {
  ScaleTarget target;
  std::string_view rest = text;
  if (const auto equals = rest.find('='); equals != rest.npos) {
    target.service = rest.substr(0, equals);
    rest.remove_prefix(equals + 1);
  }
  const auto slash = rest.find('/');
  if (slash != rest.npos) {
    target.kind = rest.substr(0, slash);
    target.name = rest.substr(slash + 1);
  }
  if (target.name.empty() || target.name.find('/') != std::string::npos ||
      std::find(kKinds.begin(), kKinds.end(), target.kind) == kKinds.end()) {
    return Error(Errc::kInvalid,
                 "cannot read '" + std::string(text) +
                     "' for -for: expected [SERVICE=]KIND/NAME, like deployment/web; KIND is "
                     "deployment, statefulset or replicaset");
  }
  return target;
}

Result<std::string> export_plan(const Plan& plan, ExportFormat format,
                                const ExportOptions& options) {
  if (format == ExportFormat::kGrafana || format == ExportFormat::kRules) {
    if (plan.sensors.empty() && plan.scaling.empty()) {
      return Error(Errc::kInvalid,
                   "cannot export: the configuration has neither 'sensors' nor 'scaling'");
    }
    return format == ExportFormat::kGrafana ? export_grafana(plan)
                                            : export_rules(plan, options.kubernetes_namespace);
  }
  if (plan.scaling.empty())
    return Error(Errc::kInvalid, "cannot export: the configuration has no 'scaling'");
  if (Status status = check_targets(plan, options); !status) return std::move(status).error();
  if (options.kubernetes_namespace.empty())
    return missing("namespace", "the Kubernetes namespace of what is scaled");
  if (format == ExportFormat::kKeda && options.prometheus.empty())
    return missing("prometheus", "the URL of Prometheus as KEDA reaches it");
  std::string text;
  for (const telemetry::ScalingSpec& rule : plan.scaling) {
    const auto target = target_of(rule, plan, options);
    if (!target) return target.error();
    if (!text.empty()) text += "---\n";
    if (format == ExportFormat::kKeda) {
      text += export_keda(rule, target.value(), options);
      continue;
    }
    auto manifest = export_hpa(rule, target.value(), options);
    if (!manifest) return manifest;
    text += manifest.value();
  }
  return text;
}

}  // namespace containerpilot::agent
