#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

std::optional<MetricType> parse_metric_type(std::string_view name) {
  for (const MetricType type :
       {MetricType::kGauge, MetricType::kCounter, MetricType::kHistogram, MetricType::kSummary}) {
    if (metric_type_name(type) == name) return type;
  }
  return std::nullopt;
}

std::string_view metric_type_name(MetricType type) {
  switch (type) {
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kCounter:
      return "counter";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kSummary:
      return "summary";
  }
  return {};
}

const std::vector<double>& default_buckets() {
  static const std::vector<double> buckets = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
  return buckets;
}

const std::vector<Quantile>& default_quantiles() {
  static const std::vector<Quantile> quantiles = {{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
  return quantiles;
}

}  // namespace containerpilot::telemetry
