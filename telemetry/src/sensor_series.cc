#include <algorithm>
#include <cmath>
#include <utility>

#include "containerpilot/telemetry/number.h"
#include "names.h"
#include "sensor_runner.h"

namespace containerpilot::telemetry {

SensorSeries::Entry* SensorSeries::find_or_make(const Sample& sample, std::string& error,
                                                bool& no_room) {
  Labels labels = sample.labels;
  for (const auto& [name, value] : spec_.metric.labels) labels.insert_or_assign(name, value);
  const std::string key = sample.name + label_block({}, labels);
  if (const auto found = series_.find(key); found != series_.end()) return &found->second;
  if (series_.size() >= spec_.max_series) {
    no_room = true;
    return nullptr;
  }
  MetricSpec metric = spec_.metric;
  metric.name = sample.name;
  if (!sample.help.empty()) metric.help = sample.help;
  metric.type = sample.type;
  metric.labels.clear();  // they are the sensor's, not the family's: another sensor may feed it too
  metric.legacy_name = sample.untyped;
  if (auto claimed = context_.claim(metric); !claimed) {
    error = claimed.error().text();
    return nullptr;
  }
  auto handle = context_.registry.series(sample.name, labels);
  if (!handle) {
    error = handle.error().text();
    return nullptr;
  }
  Entry entry{sample.name, std::move(labels), std::move(handle).value(), 0, sample.type, {}, 0};
  return &series_.emplace(key, std::move(entry)).first->second;
}

Status SensorSeries::record_one(Entry& entry, const Sample& sample, double value) {
  if (!sample.total) return entry.handle.record(value);
  auto recorded = entry.handle.record_total(value);
  if (recorded || sample.type != MetricType::kCounter || !(value >= 0)) return recorded;
  // Its program began anew, and so does the counter: what reads it knows a fall for a reset.
  context_.registry.remove_series(entry.metric, entry.labels);
  auto fresh = context_.registry.series(entry.metric, entry.labels);
  if (!fresh) return std::move(fresh).error();
  entry.handle = std::move(fresh).value();
  return entry.handle.record_total(value);
}

SensorSeries::Recorded SensorSeries::record(Parsed& parsed) {
  ++run_;
  Recorded result;
  for (const Sample& sample : parsed.samples) {
    const double value = sample.value * spec_.multiply;
    const bool too_far = (spec_.range_min && value < *spec_.range_min) ||
                         (spec_.range_max && value > *spec_.range_max) ||
                         (!std::isfinite(value) && !spec_.allow_non_finite);
    if (too_far) {
      std::string text = "cannot accept ";
      append_number(text, value);
      parsed.errors.push_back(text + " for '" + sample.name + "': out of range");
      result.out_of_range = true;
      continue;
    }
    std::string error;
    bool no_room = false;
    Entry* entry = find_or_make(sample, error, no_room);
    if (entry == nullptr) {
      ++result.dropped;
      if (!no_room) parsed.errors.push_back(std::move(error));
      continue;
    }
    entry->seen = run_;
    if (auto recorded = record_one(*entry, sample, value); !recorded) {
      parsed.errors.push_back(recorded.error().text());
      result.out_of_range = true;
      continue;
    }
    entry->value = value;
    entry->at = context_.reactor.now();
    lost_.erase(entry->metric + label_block({}, entry->labels));
    ++result.good;
  }
  // One number that failed keeps its series until it grows stale; of many, those left out are gone.
  if (!parsed.samples.empty() && parsed.errors.empty()) {
    lost_.clear();
    for (auto it = series_.begin(); it != series_.end();) {
      if (it->second.seen == run_) {
        ++it;
        continue;
      }
      context_.registry.remove_series(it->second.metric, it->second.labels);
      it = series_.erase(it);
    }
  }
  return result;
}

void SensorSeries::make_empty() {
  Sample sample;
  sample.name = spec_.metric.name;
  sample.help = spec_.metric.help;
  sample.type = spec_.metric.type;
  std::string error;
  bool no_room = false;
  find_or_make(sample, error, no_room);
}

void SensorSeries::drop() {
  for (const auto& [key, entry] : series_)
    context_.registry.remove_series(entry.metric, entry.labels);
  series_.clear();
  lost_.clear();
}

void SensorSeries::expire(TimePoint newest) {
  if (spec_.on_stale.kind == StalePolicy::Kind::kHold) return;
  for (auto it = series_.begin(); it != series_.end();) {
    Entry& entry = it->second;
    if (entry.seen == 0 || entry.at > newest) {
      ++it;
    } else if (spec_.on_stale.kind == StalePolicy::Kind::kFixed &&
               entry.type == MetricType::kGauge) {
      if (entry.handle.record(spec_.on_stale.value)) entry.value = spec_.on_stale.value;
      ++it;
    } else {
      context_.registry.remove_series(entry.metric, entry.labels);
      if (lost_.size() < spec_.max_series) lost_.emplace(it->first, Lost{entry.metric, entry.at});
      it = series_.erase(it);
    }
  }
}

std::optional<Sensors::Freshness> SensorSeries::freshness(std::string_view metric) const {
  std::optional<TimePoint> oldest;
  bool lost = false;
  for (const auto& [key, entry] : series_) {
    if (entry.metric != metric || entry.seen == 0) continue;
    oldest = std::min(oldest.value_or(entry.at), entry.at);
  }
  for (const auto& [key, gone] : lost_) {
    if (gone.metric != metric) continue;
    oldest = std::min(oldest.value_or(gone.at), gone.at);
    lost = true;
  }
  if (!oldest) return std::nullopt;
  const bool old =
      spec_.stale_after > Duration(0) && context_.reactor.now() - *oldest >= spec_.stale_after;
  return Sensors::Freshness{.stale = lost || old, .recorded_at = *oldest};
}

std::vector<std::pair<std::string, double>> SensorSeries::values() const {
  std::vector<std::pair<std::string, double>> out;
  for (const auto& [key, entry] : series_) {
    if (entry.seen > 0) out.emplace_back(key, entry.value);
  }
  return out;
}

}  // namespace containerpilot::telemetry
