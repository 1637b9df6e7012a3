#include <algorithm>
#include <cmath>
#include <limits>

#include "containerpilot/telemetry/scaling.h"

namespace containerpilot::telemetry {
namespace {

/// More than the rounding error of a division: 3.0000000000000004 is 3, and 1.1 - 1 is 0.1.
constexpr double kSlack = 1e-9;

std::uint64_t ceil_count(double count) {
  constexpr auto kMost = static_cast<double>(std::numeric_limits<std::uint32_t>::max());
  return static_cast<std::uint64_t>(std::clamp(std::ceil(count - count * kSlack), 0.0, kMost));
}

}  // namespace

std::string_view scaling_hold_name(ScalingHold hold) {
  switch (hold) {
    case ScalingHold::kNone:
      return "none";
    case ScalingHold::kTolerance:
      return "tolerance";
    case ScalingHold::kMissingInput:
      return "missing_input";
    case ScalingHold::kNoInstances:
      return "no_instances";
    case ScalingHold::kStabilizeUp:
      return "stabilize_up";
    case ScalingHold::kStabilizeDown:
      return "stabilize_down";
    case ScalingHold::kMin:
      return "min";
    case ScalingHold::kMax:
      return "max";
  }
  return {};
}

void ScalingRule::Window::add(TimePoint now, std::uint64_t count, Duration width, bool largest) {
  while (!kept_.empty() && kept_.front().first <= now - width) kept_.pop_front();
  // What the new one outdoes can never be the extreme again.
  while (!kept_.empty() &&
         (largest ? kept_.back().second <= count : kept_.back().second >= count)) {
    kept_.pop_back();
  }
  kept_.emplace_back(now, count);
}

ScalingDecision ScalingRule::decide(TimePoint now, std::optional<unsigned> instances,
                                    const std::vector<std::optional<double>>& values,
                                    bool awaited) {
  ScalingDecision decision;
  decision.ratios.resize(spec_.triggers.size());
  std::optional<std::uint64_t> proposed;
  bool missing = false, uncounted = false, measured = false;
  for (std::size_t i = 0; i < spec_.triggers.size(); ++i) {
    const ScalingTrigger& trigger = spec_.triggers[i];
    const auto& value = i < values.size() ? values[i] : std::nullopt;
    if (!value || !std::isfinite(*value) || !(trigger.target > 0)) {
      missing = true;
      continue;
    }
    const double load = std::max(*value, 0.0) / trigger.target;  // in instances: of one, or of all
    measured = measured || *value > 0;
    const bool counted = instances && *instances > 0;
    if (trigger.scope == ScalingScope::kInstance && !counted) {
      missing = uncounted = true;
      continue;
    }
    const bool own_share = trigger.scope == ScalingScope::kInstance;
    const std::uint64_t count = ceil_count(own_share ? load * *instances : load);
    std::uint64_t proposal = count;
    if (counted) {
      const double ratio = own_share ? load : load / *instances;
      decision.ratios[i] = ratio;
      if (std::fabs(ratio - 1) <= spec_.tolerance + kSlack) proposal = *instances;
    }
    decision.raw = std::max(decision.raw.value_or(0), count);
    proposed = std::max(proposed.value_or(0), proposal);
  }
  if (missing && !measured) measured = active_;  // what is not known does not switch anything off
  decision.active = active_ = measured;

  if (proposed != decision.raw) decision.hold = ScalingHold::kTolerance;
  // Healthy instances can be few for a moment; what was advised last then still stands for the
  // fleet.
  const std::uint64_t current = std::max<std::uint64_t>(instances.value_or(0), last_.value_or(0));
  if (missing && proposed.value_or(0) <= current) {
    if (proposed != current) decision.hold = ScalingHold::kMissingInput;
    proposed = current;
  }
  const bool no_count = uncounted || (awaited && !instances);
  if (no_count || (missing && current == 0)) {
    // Without a count the share of one instance says nothing of the fleet, and without any earlier
    // count the known triggers alone could lower.
    decision.hold = no_count ? ScalingHold::kNoInstances : ScalingHold::kMissingInput;
    return decision;
  }
  if (!seeded_ && instances.value_or(0) > 0) {
    // What runs now counts as a recommendation: a restarted agent must not lower at once.
    seeded_ = true;
    up_.add(now, current, spec_.stabilization_up, false);
    down_.add(now, current, spec_.stabilization_down, true);
  }
  const std::uint64_t stable =
      stabilize(now, current > 0 ? current : *proposed, *proposed, decision.hold);
  last_ = stable;
  std::uint64_t desired = stable;
  if (desired < spec_.min) {
    desired = spec_.min;
    decision.hold = ScalingHold::kMin;
  } else if (desired > spec_.max) {
    desired = spec_.max;
    decision.hold = ScalingHold::kMax;
  }
  decision.desired = static_cast<unsigned>(desired);
  return decision;
}

std::uint64_t ScalingRule::stabilize(TimePoint now, std::uint64_t current, std::uint64_t proposed,
                                     ScalingHold& hold) {
  up_.add(now, proposed, spec_.stabilization_up, false);
  down_.add(now, proposed, spec_.stabilization_down, true);
  if (current < up_.extreme()) {
    if (up_.extreme() < proposed) hold = ScalingHold::kStabilizeUp;
    return up_.extreme();
  }
  if (current > down_.extreme()) {
    if (down_.extreme() > proposed) hold = ScalingHold::kStabilizeDown;
    return down_.extreme();
  }
  if (proposed > current) hold = ScalingHold::kStabilizeUp;
  if (proposed < current) hold = ScalingHold::kStabilizeDown;
  return current;
}

}  // namespace containerpilot::telemetry
