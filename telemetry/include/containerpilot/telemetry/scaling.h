#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/telemetry/registry.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

class Sensors;

/// Which rule has the last word over the raw count.
enum class ScalingHold : std::uint8_t {
  kNone,
  kTolerance,      ///< the ratio is close enough to 1
  kMissingInput,   ///< a value is missing or stale: no lowering
  kNoInstances,    ///< nobody knows (yet) how many instances there are, and it matters
  kStabilizeUp,    ///< not every recommendation of the up window asked for as much
  kStabilizeDown,  ///< a recommendation of the down window asked for more
  kMin,
  kMax,
};
inline constexpr std::array kAllScalingHolds = {
    ScalingHold::kNone,        ScalingHold::kTolerance,   ScalingHold::kMissingInput,
    ScalingHold::kNoInstances, ScalingHold::kStabilizeUp, ScalingHold::kStabilizeDown,
    ScalingHold::kMin,         ScalingHold::kMax};
/// "none", "tolerance", "missing_input", "no_instances", "stabilize_up", "stabilize_down", "min",
/// "max".
std::string_view scaling_hold_name(ScalingHold hold);

struct ScalingDecision {
  std::vector<std::optional<double>> ratios;  ///< per trigger: fleet value / (target × instances)
  std::optional<std::uint64_t> raw;           ///< largest count a trigger asks for
  std::optional<unsigned> desired;            ///< after all rules; none: nothing is known
  ScalingHold hold = ScalingHold::kNone;
  bool active = false;
};

/// Desired number of instances from measured values: the Kubernetes HPA's arithmetic with its words
/// and defaults. Only advice; it scales nothing. Pure but for the memory of its windows. Source:
/// spec/scaling.md, sections 1.1 and 1.4.
class ScalingRule {
 public:
  explicit ScalingRule(ScalingSpec spec) : spec_(std::move(spec)) {}
  /// @param instances  healthy instances of the service; none: nobody knows
  /// @param values     one per trigger; none: missing, stale or not finite. Of scope `instance`
  /// what this
  ///                   instance carries, of scope `service` what every instance reads alike
  /// @param awaited    somebody will know how many instances there are: no count is made up until
  /// then
  ScalingDecision decide(TimePoint now, std::optional<unsigned> instances,
                         const std::vector<std::optional<double>>& values, bool awaited = false);
  [[nodiscard]] const ScalingSpec& spec() const { return spec_; }

 private:
  /// Extreme of what was said within a window, in constant time.
  class Window {
   public:
    void add(TimePoint now, std::uint64_t count, Duration width, bool largest);
    [[nodiscard]] std::uint64_t extreme() const { return kept_.front().second; }

   private:
    std::deque<std::pair<TimePoint, std::uint64_t>> kept_;
  };
  std::uint64_t stabilize(TimePoint now, std::uint64_t current, std::uint64_t proposed,
                          ScalingHold& hold);

  const ScalingSpec spec_;
  bool seeded_ = false;  // with the first count of instances
  Window up_, down_;
  std::optional<std::uint64_t> last_;  // after windows, before limits
  bool active_ = false;
};

/// Evaluates the rules once a second and exports containerpilot_scaling_*. Loop thread only.
class ScalingSignals {
 public:
  /// Healthy instances of a service as the catalog knows them.
  struct Instances {
    std::optional<unsigned> count;
    bool awaited = false;  ///< there is a catalog, and it has not answered yet
  };
  using InstancesOf = std::function<Instances(const std::string& service)>;
  /// `sensors` tells which values are stale and may be null.
  ScalingSignals(Reactor& reactor, Registry& registry, const Sensors* sensors,
                 InstancesOf instances_of);
  ~ScalingSignals();
  ScalingSignals(const ScalingSignals&) = delete;
  ScalingSignals& operator=(const ScalingSignals&) = delete;

  /// Replaces the rules; unchanged ones keep the memory of their windows.
  void set(const std::vector<ScalingSpec>& rules);
  /// The last decision on that service, for status pages; null when there is no rule for it.
  [[nodiscard]] const ScalingDecision* decision(std::string_view service) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace containerpilot::telemetry
