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

class Family;
class Series;

/// A series looked up once: recording through it costs no lookup. Thread-safe; copies mean the same
/// series. When the series is removed the handle stays valid and what it records goes nowhere.
class SeriesHandle {
 public:
  SeriesHandle() = default;
  SeriesHandle(std::shared_ptr<Family> family, std::shared_ptr<Series> series);

  /// Of the family; lives as long as the handle.
  [[nodiscard]] std::string_view name() const;
  [[nodiscard]] MetricType type() const;
  /// gauge: set; counter: add; histogram and summary: observe.
  /// Errors: kInvalid (counter: negative or not finite; histogram, summary: not finite), kNotFound
  /// (an empty handle).
  [[nodiscard]] Status record(double value) const;
  /// Counter as a running total. Errors: as record; kInvalid when it would fall, and for other
  /// types.
  [[nodiscard]] Status record_total(double total) const;
  /// Gauge or counter. Errors: kInvalid for other types, kNotFound for an empty handle.
  [[nodiscard]] Result<double> value() const;

 private:
  std::shared_ptr<Family> family_;
  std::shared_ptr<Series> series_;
};

/// What a family adds up to, for the scaling signals.
struct FamilyTotal {
  double sum = 0;          ///< over the gauge or counter series there are
  std::size_t series = 0;  ///< 0: nothing is known now
  std::uint64_t records =
      0;  ///< how often something was recorded into the family; moves when it does
};

/// All metric families of this process, and their exposition. Values live in prometheus-cpp's
/// types; lookup and text are ours (prometheus-cpp searches linearly and prints `Nan`).
/// Thread-safe; the longest wait for another thread is the rendering of one family.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Declares a family. Same name again: allowed when the type agrees; help and unit are replaced,
  /// and so are labels, buckets and quantiles, at the price of the series there were if they
  /// differ. Errors: kInvalid (name, labels or buckets not legal; type differs; `x_count` beside a
  /// histogram `x`).
  Status declare(const MetricSpec& metric);
  /// Removes a family and its series.
  void remove(std::string_view name);
  [[nodiscard]] bool has(std::string_view name) const;
  /// Declared just so; MetricSpec::push_aliases are not the registry's.
  [[nodiscard]] bool has(const MetricSpec& metric) const;
  [[nodiscard]] std::vector<std::string> names() const;

  /// The series with these labels, made (0 or empty) if need be. `labels` win over the family's
  /// own. Errors: kNotFound (no such family), kInvalid (labels).
  Result<SeriesHandle> series(std::string_view name, const Labels& labels = {});
  /// series() and SeriesHandle::record() in one.
  Status record(std::string_view name, const Labels& labels, double value);
  Status record_total(std::string_view name, const Labels& labels, double total);
  void remove_series(std::string_view name, const Labels& labels);
  /// All series of the family in which that label has that value.
  void remove_series_with(std::string_view name, std::string_view label, std::string_view value);
  /// Current value of the gauge or counter series with exactly these labels.
  [[nodiscard]] Result<double> value(std::string_view name, const Labels& labels) const;
  /// Errors: kNotFound (no such family), kInvalid (histogram or summary).
  [[nodiscard]] Result<FamilyTotal> total(std::string_view name) const;

  /// The whole exposition, appended to `out`: families by name, series by labels, families without
  /// series left out. What did not change since the last call is copied, not rendered again.
  void render(TextFormat format, std::string& out) const;
  /// The same as one gzip member; what did not change is not packed again either. False, and `out`
  /// as it was, when there is no memory for it.
  bool render_gzip(TextFormat format, std::string& out) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace containerpilot::telemetry
