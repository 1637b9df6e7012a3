#include "containerpilot/telemetry/pushed.h"

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
  for (const auto& [name, metric] : metrics_) {
    const auto kept = wanted.find(name);
    if (kept == wanted.end() || kept->second->type != metric.type) registry_.remove(name);
  }
  const auto before = std::exchange(metrics_, {});
  aliases_.clear();
  Status first_error = ok();
  for (const auto& [name, metric] : wanted) {
    Status status = ok();
    if (!before.contains(name) && registry_.has(name)) {
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
    metrics_.emplace(name, Metric{metric->type, std::move(series).value()});
  }
  return first_error;
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
  std::size_t count = 0;
  for (const auto& [name, metric] : metrics_) {
    if (count == kNamed) break;
    text += (count++ > 0 ? ", '" : "'") + name + "'";
  }
  if (metrics_.size() > kNamed)
    text += " and " + std::to_string(metrics_.size() - kNamed) + " more";
  return {Errc::kNotFound, text};
}

Status PushedMetrics::apply(std::string_view key, std::string_view value) {
  const SeriesHandle* series = nullptr;
  if (const auto found = metrics_.find(key); found != metrics_.end()) {
    series = &found->second.series;
  } else if (const auto alias = aliases_.find(key); alias != aliases_.end()) {
    series = &alias->second;
  } else {
    return unknown(key);
  }
  const auto number = parse_metric_value(value);
  if (!number)
    return Error(number.error()).during("cannot push to metric '" + std::string(key) + "'");
  return series->record(number.value());
}

}  // namespace containerpilot::telemetry
