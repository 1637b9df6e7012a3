#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

#include "containerpilot/telemetry/registry.h"
#include "window_summary.h"

namespace containerpilot::telemetry {

/// One series. Guarded by its family's mutex.
class Series {
 public:
  explicit Series(const MetricSpec& metric);

  std::variant<prometheus::Gauge, prometheus::Counter, std::unique_ptr<prometheus::Histogram>,
               std::unique_ptr<WindowSummary>>
      value;
};

/// How a family looks in OpenMetrics, which ties names to types more tightly than 0.0.4 does. As
/// declared a counter must end in `_total`.
enum class OpenMetricsType : std::uint8_t { kAsDeclared, kUnknown };

/// One metric family: its declaration, its series, their text. Thread-safe.
class Family {
 public:
  explicit Family(const MetricSpec& metric);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] MetricType type() const { return type_; }

  [[nodiscard]] bool is_declared_as(const MetricSpec& metric) const;
  /// Takes help and unit; drops the series if labels, buckets or quantiles differ.
  void redeclare(const MetricSpec& metric);
  Result<std::shared_ptr<Series>> series(const Labels& labels);
  [[nodiscard]] std::shared_ptr<Series> find(const Labels& labels) const;
  void remove_series(const Labels& labels);
  void remove_series_with(std::string_view label, std::string_view value);
  /// Nothing of this family can be seen any more.
  void clear();

  Status record(Series& series, double value);
  Status record_total(Series& series, double total);
  [[nodiscard]] Result<double> value(const Series& series) const;
  [[nodiscard]] Result<FamilyTotal> total() const;

  /// Set by the renderer: `bit` of `flags` is raised whenever the text of this family may have
  /// changed. May be null.
  void set_dirty_flag(std::atomic<std::uint64_t>* flags, unsigned bit);
  void render(TextFormat format, OpenMetricsType open_metrics, std::string& out) const;

 private:
  /// What few families have; the many plain gauges do without.
  struct Rare {
    std::string unit;
    Labels labels;
    std::vector<double> buckets;
    std::vector<Quantile> quantiles;
    bool legacy_name = false;
    friend bool operator==(const Rare&, const Rare&) = default;
  };
  static std::unique_ptr<Rare> rare_of(const MetricSpec& metric);
  [[nodiscard]] const Labels& constant_labels() const;
  [[nodiscard]] std::string key(const Labels& labels) const;
  [[nodiscard]] bool has_unit_suffix(std::string_view base) const;
  void touch();
  void render_header(TextFormat format, std::string_view type, std::string_view base,
                     std::string& out) const;
  void render_series(TextFormat format, const std::string& labels, const Series& series,
                     std::string& out) const;

  const std::string name_;
  const MetricType type_;
  std::uint8_t dirty_bit_ = 0;
  mutable std::mutex mutex_;
  std::string help_;
  std::unique_ptr<Rare> rare_;
  std::map<std::string, std::shared_ptr<Series>, std::less<>> series_;  // by label block
  std::uint64_t records_ = 0;
  std::atomic<std::uint64_t>* dirty_ = nullptr;
};

}  // namespace containerpilot::telemetry
