#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "containerpilot/telemetry/number.h"
#include "names.h"
#include "sensor_runner.h"

namespace containerpilot::telemetry {

Labels SensorSeries::labels_of(const Sample& sample) const {
  Labels labels = sample.labels;
  for (const auto& [name, value] : spec_.metric.labels) labels.insert_or_assign(name, value);
  return labels;
}

SensorSeries::Map::iterator SensorSeries::make(const Sample& sample, Labels labels,
                                               std::string& error) {
  MetricSpec metric = spec_.metric;
  metric.name = sample.name;
  if (!sample.help.empty()) metric.help = sample.help;
  metric.type = sample.type;
  metric.labels.clear();  // they are the sensor's, not the family's: another sensor may feed it too
  metric.legacy_name = sample.untyped;
  std::string block = label_block({}, labels);
  const bool of_agent = std::holds_alternative<CgroupSource>(spec_.source) ||
                        std::holds_alternative<ProcessSource>(spec_.source);
  if (auto claimed = context_.families.claim(metric, block, of_agent); !claimed) {
    error = claimed.error().text();
    return series_.end();
  }
  auto handle = context_.registry.series(sample.name, labels);
  if (!handle) {
    error = handle.error().text();
    context_.families.release(sample.name, block);
    return series_.end();
  }
  Entry entry{.metric = sample.name,
              .labels = std::move(labels),
              .handle = std::move(handle).value(),
              .type = sample.type};
  return series_.emplace(sample.name + block, std::move(entry)).first;
}

SensorSeries::Map::iterator SensorSeries::erase(Map::iterator it) {
  const Entry& entry = it->second;
  context_.registry.remove_series(entry.metric, entry.labels);
  context_.families.release(entry.metric, label_block({}, entry.labels));
  return series_.erase(it);
}

Status SensorSeries::record_one(Entry& entry, const Sample& sample, double value) {
  if (!sample.total) return entry.handle.record(value);
  auto recorded = entry.handle.record_total(value);
  const bool total = std::isfinite(value) && value >= 0;
  if (recorded || sample.type != MetricType::kCounter || !total) return recorded;
  // Its program began anew, and so does the counter: what reads it knows a fall for a reset.
  context_.registry.remove_series(entry.metric, entry.labels);
  auto fresh = context_.registry.series(entry.metric, entry.labels);
  if (!fresh) return std::move(fresh).error();
  entry.handle = std::move(fresh).value();
  return entry.handle.record_total(value);
}

SensorSeries::Recorded SensorSeries::record(Parsed& parsed) {
  struct Accepted {
    const Sample& sample;
    double value;
    Labels labels;
    std::string key;
  };
  Recorded result;
  std::vector<Accepted> accepted;
  for (const Sample& sample : parsed.samples) {
    const double value = sample.value * spec_.multiply;
    const bool too_far = (spec_.range_min && value < *spec_.range_min) ||
                         (spec_.range_max && value > *spec_.range_max) ||
                         (!std::isfinite(value) && !spec_.allow_non_finite);
    if (too_far) {
      std::string text = "cannot accept ";
      append_number(text, value);
      parsed.add_error(text + " for '" + sample.name + "': out of range");
      result.out_of_range = true;
      continue;
    }
    Labels labels = labels_of(sample);
    std::string key = sample.name + label_block({}, labels);
    accepted.push_back({sample, value, std::move(labels), std::move(key)});
  }
  // One number that failed keeps its series until it grows stale; of many, those left out are gone,
  // and make room for the new ones.
  if (!parsed.samples.empty() && parsed.errors.empty()) {
    lost_.clear();
    std::set<std::string_view> said;
    for (const Accepted& each : accepted) said.insert(each.key);
    for (auto it = series_.begin(); it != series_.end();)
      it = said.contains(it->first) ? std::next(it) : erase(it);
  }
  for (Accepted& each : accepted) {
    auto it = series_.find(each.key);
    const bool fresh = it == series_.end();
    if (fresh && series_.size() >= spec_.max_series) {
      ++result.dropped;
      continue;
    }
    std::string error;
    if (fresh) it = make(each.sample, std::move(each.labels), error);
    if (it == series_.end()) {
      ++result.dropped;
      parsed.add_error(std::move(error));
      continue;
    }
    Entry& entry = it->second;
    if (auto recorded = record_one(entry, each.sample, each.value); !recorded) {
      parsed.add_error(recorded.error().text());
      result.out_of_range = true;
      if (fresh) erase(it);  // a 0 would be made up
      continue;
    }
    entry.value = each.value;
    entry.at = context_.reactor.now();
    lost_.erase(each.key);
    ++result.good;
  }
  return result;
}

void SensorSeries::make_empty() {
  Sample sample;
  sample.name = spec_.metric.name;
  sample.help = spec_.metric.help;
  sample.type = spec_.metric.type;
  std::string error;
  make(sample, labels_of(sample), error);
}

void SensorSeries::drop() {
  while (!series_.empty()) erase(series_.begin());
  lost_.clear();
}

void SensorSeries::expire(TimePoint newest) {
  if (spec_.on_stale.kind == StalePolicy::Kind::kHold) return;
  for (auto it = series_.begin(); it != series_.end();) {
    Entry& entry = it->second;
    if (!entry.at || *entry.at > newest) {
      ++it;
    } else if (spec_.on_stale.kind == StalePolicy::Kind::kFixed &&
               entry.type == MetricType::kGauge) {
      if (entry.handle.record(spec_.on_stale.value)) entry.value = spec_.on_stale.value;
      ++it;
    } else {
      if (lost_.size() < spec_.max_series) lost_.emplace(it->first, Lost{entry.metric, *entry.at});
      it = erase(it);
    }
  }
}

std::optional<Sensors::Freshness> SensorSeries::freshness(std::string_view metric) const {
  std::optional<TimePoint> oldest;
  bool lost = false;
  for (const auto& [key, entry] : series_) {
    if (entry.metric != metric || !entry.at) continue;
    oldest = std::min(oldest.value_or(*entry.at), *entry.at);
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
    if (!entry.at) continue;
    const auto now = entry.handle.value();  // a counter adds up; a histogram has no one number
    out.emplace_back(key, now ? now.value() : entry.value);
  }
  return out;
}

}  // namespace containerpilot::telemetry
