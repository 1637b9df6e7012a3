#pragma once

#include <string>
#include <string_view>

#include "containerpilot/telemetry/spec.h"

namespace containerpilot::agent {

/// A label value, or a scalar of YAML, in double quotes.
std::string in_quotes(std::string_view text);
std::string number_text(double value);
/// As Prometheus reads it: "5m", "30s", "250ms".
std::string prometheus_duration(Duration duration);

/// `service="web", metric="queue_depth", scope="service"`, with `more` in front.
std::string trigger_matchers(const telemetry::ScalingSpec& rule,
                             const telemetry::ScalingTrigger& trigger, std::string_view more = {});

/// What the fleet carries, in the trigger's own unit, to be divided by its target. An instance
/// without a value counts as the HPA counts it: as on target where the fleet would become smaller,
/// as nothing where it would become larger. With no agent there is no answer, never 0. Source:
/// spec/scaling.md, section 1.1.
std::string fleet_value(const telemetry::ScalingTrigger& trigger, const std::string& matchers);

}  // namespace containerpilot::agent
