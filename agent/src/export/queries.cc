#include "queries.h"

#include <nlohmann/json.hpp>

#include "containerpilot/telemetry/number.h"

namespace containerpilot::agent {

std::string in_quotes(std::string_view text) {
  // JSON's strings are strings of YAML and of PromQL, too.
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string number_text(double value) {
  std::string text;
  telemetry::append_number(text, value);
  return text;
}

std::string prometheus_duration(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms % 60000 == 0) return std::to_string(ms / 60000) + "m";
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

std::string trigger_matchers(const telemetry::ScalingSpec& rule,
                             const telemetry::ScalingTrigger& trigger, std::string_view more) {
  const bool instance = trigger.scope == telemetry::ScalingScope::kInstance;
  return std::string(more) + (more.empty() ? "" : ", ") + "service=" + in_quotes(rule.service) +
         ", metric=" + in_quotes(trigger.metric) +
         ", scope=" + (instance ? "\"instance\"" : "\"service\"");
}

std::string fleet_value(const telemetry::ScalingTrigger& trigger, const std::string& matchers) {
  const std::string value = "containerpilot_scaling_value{" + matchers + "}";
  const std::string target = "containerpilot_scaling_target{" + matchers + "}";
  if (trigger.scope == telemetry::ScalingScope::kService)
    return "max(" + value + ") or sum(" + target + ")";
  return "sum(" + value + " or " + target + ") < sum(" + target + ") or sum(" + value + ") > sum(" +
         target + ") or sum(" + target + ")";
}

}  // namespace containerpilot::agent
