#pragma once

#include "export.h"

namespace containerpilot::agent {

// One function per format of export_plan(); options were checked.

std::string export_grafana(const Plan& plan);
std::string export_rules(const Plan& plan, const std::string& kubernetes_namespace);
std::string export_keda(const telemetry::ScalingSpec& rule, const ScaleTarget& target,
                        const ExportOptions& options);
Result<std::string> export_hpa(const telemetry::ScalingSpec& rule, const ScaleTarget& target,
                               const ExportOptions& options);

}  // namespace containerpilot::agent
