#include "family.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <utility>

#include "containerpilot/supervisor/utf8.h"
#include "containerpilot/telemetry/number.h"
#include "names.h"

namespace containerpilot::telemetry {
namespace {

using Histogram = std::unique_ptr<prometheus::Histogram>;
using Summary = std::unique_ptr<WindowSummary>;

Error wrong_type(const std::string& name, std::string_view what) {
  return {Errc::kInvalid, "cannot " + std::string(what) + " of '" + name +
                              "': only gauges and counters have one number"};
}

void append_sample(std::string& out, std::string_view name, std::string_view suffix,
                   std::string_view labels, double value) {
  out.append(name).append(suffix).append(labels).push_back(' ');
  append_number(out, value);
  out += '\n';
}

/// OpenMetrics: where values may be negative the sum can fall, so there is neither sum nor count.
bool negative(TextFormat format, double least) {
  return format == TextFormat::kOpenMetrics100 && least < 0;
}

/// As Go writes floats, whose spelling of "le" and "quantile" everybody stores: "2.5", "1e+06",
/// "+Inf".
void append_bound(std::string& out, double bound) {
  constexpr double kScientificFrom = 1e6, kScientificBelow = 1e-4;
  const double size = std::fabs(bound);
  if (!std::isfinite(bound)) return append_number(out, bound);
  const bool scientific = size >= kScientificFrom || (size > 0 && size < kScientificBelow);
  std::array<char, 32> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), bound,
                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  out.append(buffer.data(), end.ptr);
}

/// The label block with one label more, whose value is a number ("le", "quantile").
void append_with_bound(std::string& out, std::string_view name, std::string_view suffix,
                       std::string_view labels, std::string_view label, double bound,
                       TextFormat format) {
  out.append(name).append(suffix);
  if (labels.empty()) {
    out += '{';
  } else {
    out.append(labels.substr(0, labels.size() - 1)) += ',';
  }
  out.append(label) += "=\"";
  append_bound(out, bound);
  // OpenMetrics wants floats here: "1.0".
  if (format == TextFormat::kOpenMetrics100 && std::isfinite(bound) &&
      out.find_first_of(".e", out.rfind('"')) == std::string::npos) {
    out += ".0";
  }
  out += "\"} ";
}

}  // namespace

Series::Series(const MetricSpec& metric) {
  switch (metric.type) {
    case MetricType::kGauge:
      value.emplace<prometheus::Gauge>();
      break;
    case MetricType::kCounter:
      value.emplace<prometheus::Counter>();
      break;
    case MetricType::kHistogram:
      value = std::make_unique<prometheus::Histogram>(metric.buckets.value_or(default_buckets()));
      break;
    case MetricType::kSummary:
      value = std::make_unique<WindowSummary>(metric.quantiles.value_or(default_quantiles()));
      break;
  }
}

Family::Family(const MetricSpec& metric)
    : name_(metric.name), type_(metric.type), help_(metric.help), rare_(rare_of(metric)) {}

std::unique_ptr<Family::Rare> Family::rare_of(const MetricSpec& metric) {
  const bool histogram = metric.type == MetricType::kHistogram;
  const bool summary = metric.type == MetricType::kSummary;
  if (!histogram && !summary && metric.unit.empty() && metric.labels.empty() &&
      !metric.legacy_name) {
    return nullptr;
  }
  return std::make_unique<Rare>(
      Rare{metric.unit, metric.labels,
           histogram ? metric.buckets.value_or(default_buckets()) : std::vector<double>(),
           summary ? metric.quantiles.value_or(default_quantiles()) : std::vector<Quantile>(),
           metric.legacy_name});
}

const Labels& Family::constant_labels() const {
  static const Labels none;
  return rare_ ? rare_->labels : none;
}

std::string Family::key(const Labels& labels) const {
  return label_block(constant_labels(), labels);
}

void Family::touch() {
  if (dirty_ != nullptr)
    dirty_->fetch_or(std::uint64_t{1} << dirty_bit_, std::memory_order_release);
}

bool Family::is_declared_as(const MetricSpec& metric) const {
  const auto rare = rare_of(metric);
  const std::lock_guard lock(mutex_);
  return metric.type == type_ && metric.help == help_ && !rare == !rare_ &&
         (!rare || *rare == *rare_);
}

void Family::redeclare(const MetricSpec& metric) {
  const std::lock_guard lock(mutex_);
  help_ = metric.help;
  auto rare = rare_of(metric);
  static const Rare plain;
  const Rare& before = rare_ ? *rare_ : plain;
  const Rare& after = rare ? *rare : plain;
  if (before.labels != after.labels || before.buckets != after.buckets ||
      before.quantiles != after.quantiles) {
    series_.clear();
  }
  rare_ = std::move(rare);
  touch();
}

Result<std::shared_ptr<Series>> Family::series(const Labels& labels) {
  for (const auto& [label, value] : labels) {
    const bool reserved = (type_ == MetricType::kHistogram && label == "le") ||
                          (type_ == MetricType::kSummary && label == "quantile");
    if (!legal_label_name(label) || reserved) {
      return Error(Errc::kInvalid,
                   "cannot use '" + label + "' as a label of '" + name_ +
                       "': letters, digits and '_' are accepted, not starting with a digit "
                       "or '__', and neither 'le' nor 'quantile' where the type needs them");
    }
    if (!is_valid_utf8(value)) {
      return Error(Errc::kInvalid, "cannot use the value of label '" + label + "' of '" + name_ +
                                       "': it is not UTF-8");
    }
  }
  const std::lock_guard lock(mutex_);
  std::string block = key(labels);
  if (const auto found = series_.find(block); found != series_.end()) return found->second;
  MetricSpec metric;
  metric.type = type_;
  if (rare_) {
    metric.buckets = rare_->buckets;
    metric.quantiles = rare_->quantiles;
  }
  auto made = std::make_shared<Series>(metric);
  series_.emplace(std::move(block), made);
  touch();
  return made;
}

std::shared_ptr<Series> Family::find(const Labels& labels) const {
  const std::lock_guard lock(mutex_);
  const auto found = series_.find(key(labels));
  return found == series_.end() ? nullptr : found->second;
}

void Family::remove_series(const Labels& labels) {
  const std::lock_guard lock(mutex_);
  if (series_.erase(key(labels)) > 0) touch();
}

void Family::remove_series_with(std::string_view label, std::string_view value) {
  // A quote inside a value is escaped, so this text is found only where it is a label.
  std::string pair = label_block({}, {{std::string(label), std::string(value)}});
  pair = pair.substr(1, pair.size() - 2);
  const std::string first = "{" + pair, further = "," + pair;
  const std::lock_guard lock(mutex_);
  const auto gone = std::erase_if(series_, [&](const auto& entry) {
    const std::string& block = entry.first;
    return block.starts_with(first) || block.find(further) != std::string::npos;
  });
  if (gone > 0) touch();
}

void Family::clear() {
  const std::lock_guard lock(mutex_);
  series_.clear();
  touch();
  dirty_ = nullptr;
}

Status Family::record(Series& series, double value) {
  if (type_ != MetricType::kGauge && !std::isfinite(value)) {
    return Error(Errc::kInvalid, "cannot record into '" + name_ + "': a " +
                                     std::string(metric_type_name(type_)) +
                                     " takes no NaN and no infinity, it would never recover");
  }
  if (type_ == MetricType::kCounter && value < 0) {
    std::string text = "cannot add ";
    append_number(text, value);
    return Error(Errc::kInvalid, text + " to counter '" + name_ + "': a counter never falls");
  }
  const std::lock_guard lock(mutex_);
  ++records_;
  switch (type_) {
    case MetricType::kGauge: {
      auto& gauge = std::get<prometheus::Gauge>(series.value);
      // Most values are the last one once more: their text stays.
      if (std::bit_cast<std::uint64_t>(gauge.Value()) == std::bit_cast<std::uint64_t>(value))
        return ok();
      gauge.Set(value);
      break;
    }
    case MetricType::kCounter:
      std::get<prometheus::Counter>(series.value).Increment(value);
      break;
    case MetricType::kHistogram:
      std::get<Histogram>(series.value)->Observe(value);
      break;
    case MetricType::kSummary:
      std::get<Summary>(series.value)->observe(value);
      break;
  }
  touch();
  return ok();
}

Status Family::record_total(Series& series, double total) {
  if (type_ != MetricType::kCounter) return wrong_type(name_, "record a running total");
  if (!std::isfinite(total) || total < 0) {
    return Error(Errc::kInvalid,
                 "cannot set counter '" + name_ + "': a total is finite and not negative");
  }
  const std::lock_guard lock(mutex_);
  auto& counter = std::get<prometheus::Counter>(series.value);
  if (const double now = counter.Value(); total < now) {
    std::string text = "cannot lower counter '" + name_ + "' from ";
    append_number(text, now);
    text += " to ";
    append_number(text, total);
    return Error(Errc::kInvalid, text + ": a counter never falls");
  }
  ++records_;
  if (total == counter.Value()) return ok();
  // A new object, not the difference: adding differences would collect rounding errors.
  series.value.emplace<prometheus::Counter>().Increment(total);
  touch();
  return ok();
}

Result<double> Family::value(const Series& series) const {
  const std::lock_guard lock(mutex_);
  if (const auto* gauge = std::get_if<prometheus::Gauge>(&series.value)) return gauge->Value();
  if (const auto* counter = std::get_if<prometheus::Counter>(&series.value))
    return counter->Value();
  return wrong_type(name_, "read the value");
}

Result<FamilyTotal> Family::total() const {
  if (type_ != MetricType::kGauge && type_ != MetricType::kCounter)
    return wrong_type(name_, "add up series");
  const std::lock_guard lock(mutex_);
  FamilyTotal total{.sum = 0, .series = series_.size(), .records = records_};
  for (const auto& [labels, series] : series_) {
    const auto* gauge = std::get_if<prometheus::Gauge>(&series->value);
    total.sum +=
        gauge != nullptr ? gauge->Value() : std::get<prometheus::Counter>(series->value).Value();
  }
  return total;
}

void Family::set_dirty_flag(std::atomic<std::uint64_t>* flags, unsigned bit) {
  const std::lock_guard lock(mutex_);
  dirty_ = flags;
  dirty_bit_ = static_cast<std::uint8_t>(bit);
}

bool Family::has_unit_suffix(std::string_view base) const {
  if (!rare_ || rare_->unit.empty()) return false;
  const std::string suffix = "_" + rare_->unit;
  return base.ends_with(suffix) && base.size() > suffix.size();
}

void Family::render_header(TextFormat format, std::string_view type, std::string_view base,
                           std::string& out) const {
  if (format == TextFormat::kPrometheus004) {
    if (!help_.empty()) {
      out.append("# HELP ").append(base) += ' ';
      append_help(out, help_, format);
      out += '\n';
    }
    out.append("# TYPE ").append(base).append(" ").append(type) += '\n';
    return;
  }
  out.append("# TYPE ").append(base).append(" ").append(type) += '\n';
  if (has_unit_suffix(base))
    out.append("# UNIT ").append(base).append(" ").append(rare_->unit) += '\n';
  if (!help_.empty()) {
    out.append("# HELP ").append(base) += ' ';
    append_help(out, help_, format);
    out += '\n';
  }
}

void Family::render(TextFormat format, OpenMetricsType open_metrics, std::string& out) const {
  constexpr std::string_view kTotal = "_total";
  const std::lock_guard lock(mutex_);
  if (series_.empty()) return;
  std::string_view type = metric_type_name(type_);
  std::string_view base = name_;
  const bool plain = type_ == MetricType::kGauge || type_ == MetricType::kCounter;
  const bool legacy = plain && rare_ && rare_->legacy_name;
  if (format == TextFormat::kPrometheus004) {
    if (legacy) type = "untyped";
  } else if (legacy || open_metrics == OpenMetricsType::kUnknown) {
    // The samples keep their name in both formats, so that what a server stores does not depend on
    // the format it asked for: a counter that OpenMetrics would rename is of unknown type there.
    type = "unknown";
  } else if (type_ == MetricType::kCounter) {
    base.remove_suffix(kTotal.size());
  }
  render_header(format, type, base, out);
  for (const auto& [labels, series] : series_) render_series(format, labels, *series, out);
}

void Family::render_series(TextFormat format, const std::string& labels, const Series& series,
                           std::string& out) const {
  switch (type_) {
    case MetricType::kGauge:
      append_sample(out, name_, "", labels, std::get<prometheus::Gauge>(series.value).Value());
      return;
    case MetricType::kCounter:
      append_sample(out, name_, "", labels, std::get<prometheus::Counter>(series.value).Value());
      return;
    case MetricType::kHistogram: {
      const auto data = std::get<Histogram>(series.value)->Collect().histogram;
      for (const auto& bucket : data.bucket) {
        append_with_bound(out, name_, "_bucket", labels, "le", bucket.upper_bound, format);
        append_number(out, static_cast<double>(bucket.cumulative_count));
        out += '\n';
      }
      if (negative(format, std::min(rare_->buckets.front(), data.sample_sum))) return;
      append_sample(out, name_, "_sum", labels, data.sample_sum);
      append_sample(out, name_, "_count", labels, static_cast<double>(data.sample_count));
      return;
    }
    case MetricType::kSummary: {
      const auto data = std::get<Summary>(series.value)->collect();
      for (const auto& quantile : data.quantile) {
        append_with_bound(out, name_, "", labels, "quantile", quantile.quantile, format);
        append_number(out, quantile.value);
        out += '\n';
      }
      if (negative(format, data.sample_sum)) return;
      append_sample(out, name_, "_sum", labels, data.sample_sum);
      append_sample(out, name_, "_count", labels, static_cast<double>(data.sample_count));
      return;
    }
  }
}

}  // namespace containerpilot::telemetry
