#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/result.h"
#include "containerpilot/telemetry/registry.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

/// Metrics that somebody pushes values for, by the control socket (generation 3's
/// `telemetry.metrics`). They exist with 0 or empty from the start. Loop thread only.
class PushedMetrics {
 public:
  explicit PushedMetrics(Registry& registry);

  /// Replaces the set. Unchanged ones keep their values, those not named any more are gone. Errors:
  /// kInvalid for the first that cannot be declared; the others are in force all the same.
  Status set(const std::vector<MetricSpec>& metrics);
  /// Whether set() with these would change nothing.
  [[nodiscard]] bool is(const std::vector<MetricSpec>& metrics) const;
  /// Adds to a counter, sets a gauge, observes into a histogram or summary.
  /// @param key    the exported name, or one of MetricSpec::push_aliases
  /// @param value  a number as text (parse_metric_value)
  /// Errors: kNotFound (no such metric; some are named), kInvalid (no number; a counter would
  /// fall).
  Status push(std::string_view key, std::string_view value);

 private:
  [[nodiscard]] const SeriesHandle* find(std::string_view name) const;
  Status apply(std::string_view key, std::string_view value);
  [[nodiscard]] Error unknown(std::string_view key) const;

  Registry& registry_;
  std::vector<SeriesHandle> metrics_;  ///< by name; there may be a hundred thousand
  std::map<std::string, SeriesHandle, std::less<>> aliases_;
  SeriesHandle good_, unknown_, invalid_;
};

}  // namespace containerpilot::telemetry
