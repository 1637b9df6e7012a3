#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/result.h"
#include "containerpilot/telemetry/registry.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

/// One number a sensor said, before multiply, range and static labels.
struct Sample {
  std::string name;  ///< of the metric
  Labels labels;
  double value = 0;
  MetricType type = MetricType::kGauge;
  bool total = false;    ///< a counter's running total, which may start again at any value
  bool untyped = false;  ///< its type is not known or cannot be kept
  std::string help;
};

/// What could be read, and what could not: one bad value does not take the good ones along.
struct Parsed {
  static constexpr std::size_t kMaxErrors = 5;
  std::vector<Sample> samples;
  std::vector<std::string> errors;  ///< the first ones; for people
  std::size_t more_errors = 0;
  void add_error(std::string text) {
    if (errors.size() < kMaxErrors) {
      errors.push_back(std::move(text));
    } else {
      ++more_errors;
    }
  }
};

/// The whole output is one number.
Parsed parse_number_output(std::string_view text, const SensorSpec& sensor);
/// `sensor.values` and `sensor.value_labels` point into one JSON document. Numbers, booleans (1 and
/// 0) and strings that hold a number are values; label values are strings, numbers or booleans.
Parsed parse_json_output(std::string_view text, const SensorSpec& sensor);
/// Prometheus text 0.0.4. Counters keep their type and are totals; the samples of histograms and
/// summaries become untyped series of the same names. Timestamps are ignored. Labels `job` and
/// `instance`, which a scrape sets, are renamed `exported_...` as Prometheus does.
Parsed parse_prometheus_output(std::string_view text);

/// Errors: kInvalid (a JSON pointer is not one).
Status check_pointers(const SensorSpec& sensor);

}  // namespace containerpilot::telemetry
