#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/result.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

using Labels = std::map<std::string, std::string>;

enum class TextFormat : std::uint8_t { kPrometheus004, kOpenMetrics100 };

/// All metric families of this process, and their exposition. Values live in prometheus-cpp's types;
/// lookup and text are ours (prometheus-cpp searches linearly and prints `Nan`). Thread-safe.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Declares a family. Same name again: allowed when the type agrees; help, unit and buckets are replaced.
  /// Errors: kInvalid (name, help or labels not legal; type differs).
  Status declare(const MetricSpec& metric);
  /// Removes a family and its series.
  void remove(std::string_view name);
  [[nodiscard]] bool has(std::string_view name) const;

  /// gauge: set; counter: add; histogram and summary: observe. Creates the series if need be.
  /// Errors: kNotFound (no such family), kInvalid (negative counter increment, NaN for a counter).
  Status record(std::string_view name, const Labels& labels, double value);
  /// Counter as a running total. Errors: as record; kInvalid when it would fall.
  Status record_total(std::string_view name, const Labels& labels, double total);
  void remove_series(std::string_view name, const Labels& labels);
  /// Current value of a gauge or counter series (first match of `labels` exactly).
  [[nodiscard]] Result<double> value(std::string_view name, const Labels& labels) const;

  /// The whole exposition, appended to `out`. Cached while nothing changed.
  void render(TextFormat format, std::string& out) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace containerpilot::telemetry
