#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "containerpilot/telemetry/registry.h"

namespace containerpilot::telemetry {

/// Which metric families the sensors brought along, and which series are some sensor's. Loop thread
/// only.
class SensorFamilies {
 public:
  explicit SensorFamilies(Registry& registry) : registry_(registry) {}

  /// For one sensor to write to, until release(); `labels` is the label block. Declares the family
  /// if need be. `of_agent`: the families of the agent's own table that cgroup and process sensors
  /// write to. Errors: kInvalid (somebody else's family or series, another type).
  Status claim(const MetricSpec& metric, const std::string& labels, bool of_agent);
  void release(const std::string& metric, const std::string& labels);
  /// A family nobody writes to would stay as a claim on its name and type for ever.
  void drop_unused();

 private:
  Status claim_family(const MetricSpec& metric);
  [[nodiscard]] bool unused(const std::string& metric) const { return !taken_.contains(metric); }

  Registry& registry_;
  std::map<std::string, MetricSpec> families_;
  std::map<std::string, std::set<std::string>> taken_;  ///< label blocks by metric
};

}  // namespace containerpilot::telemetry
