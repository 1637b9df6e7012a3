#include "containerpilot/telemetry/pushed.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "containerpilot/telemetry/agent_metrics.h"
#include "containerpilot/telemetry/number.h"

namespace containerpilot::telemetry {

PushedMetrics::PushedMetrics(Registry& registry) : registry_(registry) {
  declare_agent_metrics(registry);
  const auto series = [&](const char* result) {
    auto handle = registry.series(kPushes, {{"result", result}});
    return handle ? std::move(handle).value() : SeriesHandle();
  };
  good_ = series("ok");
  unknown_ = series("unknown");
  invalid_ = series("invalid");
}

Status PushedMetrics::set(const std::vector<MetricSpec>& metrics) {
  std::map<std::string_view, const MetricSpec*> wanted;
  for (const MetricSpec& metric : metrics) wanted.insert_or_assign(metric.name, &metric);
  const auto before = std::exchange(metrics_, {});
  std::set<std::string_view> kept;
  for (const SeriesHandle& series : before) {
    const auto found = wanted.find(series.name());
    if (found != wanted.end() && found->second->type == series.type()) {
      kept.insert(series.name());
    } else {
      registry_.remove(series.name());
    }
  }
  aliases_.clear();
  Status first_error = ok();
  for (const auto& [name, metric] : wanted) {
    Status status = ok();
    if (!kept.contains(name) && registry_.has(name)) {
      status = Error(Errc::kInvalid,
                     "cannot declare metric '" + metric->name + "': the name is already in use");
    } else {
      status = registry_.declare(*metric);
    }
    auto series = status ? registry_.series(name) : Result<SeriesHandle>(std::move(status).error());
    if (!series) {
      if (first_error) first_error = std::move(series).error();
      continue;
    }
    for (const std::string& alias : metric->push_aliases)
      aliases_.try_emplace(alias, series.value());
    metrics_.push_back(std::move(series).value());
  }
  metrics_.shrink_to_fit();
  return first_error;
}

bool PushedMetrics::is(const std::vector<MetricSpec>& metrics) const {
  std::size_t aliases = 0;
  const bool same = std::all_of(metrics.begin(), metrics.end(), [&](const MetricSpec& metric) {
    aliases += metric.push_aliases.size();
    const auto leads_here = [&](const std::string& alias) {
      const auto found = aliases_.find(alias);
      return found != aliases_.end() && found->second.name() == metric.name;
    };
    return find(metric.name) != nullptr && registry_.has(metric) &&
           std::all_of(metric.push_aliases.begin(), metric.push_aliases.end(), leads_here);
  });
  return same && metrics.size() == metrics_.size() && aliases == aliases_.size();
}

const SeriesHandle* PushedMetrics::find(std::string_view name) const {
  const auto found = std::lower_bound(
      metrics_.begin(), metrics_.end(), name,
      [](const SeriesHandle& series, std::string_view wanted) { return series.name() < wanted; });
  return found != metrics_.end() && found->name() == name ? &*found : nullptr;
}

Status PushedMetrics::push(std::string_view key, std::string_view value) {
  auto status = apply(key, value);
  const SeriesHandle& counter = status                                     ? good_
                                : status.error().code() == Errc::kNotFound ? unknown_
                                                                           : invalid_;
  static_cast<void>(counter.record(1));
  return status;
}

Error PushedMetrics::unknown(std::string_view key) const {
  constexpr std::size_t kNamed = 5;
  std::string text = "cannot push to metric '" + std::string(key) + "': ";
  if (metrics_.empty()) return {Errc::kNotFound, text + "the configuration declares none"};
  text += "declared are ";
  for (std::size_t i = 0; i < std::min(kNamed, metrics_.size()); ++i)
    text.append(i > 0 ? ", '" : "'").append(metrics_[i].name()) += "'";
  if (metrics_.size() > kNamed)
    text += " and " + std::to_string(metrics_.size() - kNamed) + " more";
  return {Errc::kNotFound, text};
}

Status PushedMetrics::apply(std::string_view key, std::string_view value) {
  const SeriesHandle* series = find(key);
  if (series == nullptr) {
    const auto alias = aliases_.find(key);
    if (alias == aliases_.end()) return unknown(key);
    series = &alias->second;
  }
  const auto number = parse_metric_value(value);
  if (!number)
    return Error(number.error()).during("cannot push to metric '" + std::string(key) + "'");
  return series->record(number.value());
}

}  // namespace containerpilot::telemetry
