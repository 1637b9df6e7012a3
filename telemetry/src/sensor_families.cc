#include "sensor_families.h"

#include <utility>

#include "containerpilot/telemetry/agent_metrics.h"

namespace containerpilot::telemetry {

Status SensorFamilies::claim(const MetricSpec& metric, const std::string& labels, bool of_agent) {
  if (const auto taken = taken_.find(metric.name);
      taken != taken_.end() && taken->second.contains(labels)) {
    return Error(Errc::kInvalid,
                 "cannot write to '" + metric.name + labels + "': another sensor does");
  }
  if (!(of_agent && is_agent_metric(metric.name))) {
    if (Status status = claim_family(metric); !status) return status;
  }
  taken_[metric.name].insert(labels);
  return ok();
}

Status SensorFamilies::claim_family(const MetricSpec& metric) {
  const auto owned = families_.find(metric.name);
  if (owned != families_.end() && owned->second == metric) return ok();
  if (owned == families_.end() && registry_.has(metric.name)) {
    return Error(Errc::kInvalid,
                 "cannot write to metric '" + metric.name + "': it belongs to somebody else");
  }
  // Of another type now: nothing of the old one is left to be mixed up with.
  if (owned != families_.end() && unused(metric.name)) registry_.remove(metric.name);
  auto declared = registry_.declare(metric);
  if (declared) families_.insert_or_assign(metric.name, metric);
  return declared;
}

void SensorFamilies::release(const std::string& metric, const std::string& labels) {
  const auto taken = taken_.find(metric);
  if (taken == taken_.end()) return;
  taken->second.erase(labels);
  if (taken->second.empty()) taken_.erase(taken);
}

void SensorFamilies::drop_unused() {
  std::erase_if(families_, [this](const auto& family) {
    if (!unused(family.first)) return false;
    registry_.remove(family.first);
    return true;
  });
}

}  // namespace containerpilot::telemetry
