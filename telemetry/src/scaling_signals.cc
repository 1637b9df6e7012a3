#include <algorithm>
#include <utility>

#include "containerpilot/telemetry/agent_metrics.h"
#include "containerpilot/telemetry/scaling.h"
#include "containerpilot/telemetry/sensors.h"

namespace containerpilot::telemetry {
namespace {

constexpr Duration kEvery = std::chrono::seconds(1);

}  // namespace

class ScalingSignals::Impl {
 public:
  Impl(Reactor& reactor, Registry& registry, const Sensors* sensors, InstancesOf instances_of)
      : reactor_(reactor),
        registry_(registry),
        sensors_(sensors),
        instances_of_(std::move(instances_of)) {
    declare_agent_metrics(registry);
  }

  void set(const std::vector<ScalingSpec>& specs) {
    std::vector<Entry> before = std::exchange(rules_, {});
    for (const ScalingSpec& spec : specs) {
      const auto same = std::find_if(before.begin(), before.end(), [&](const Entry& entry) {
        return entry.rule && entry.rule->spec() == spec;
      });
      if (same != before.end()) {
        rules_.push_back(std::move(*same));
      } else {
        rules_.push_back(Entry{
            std::make_unique<ScalingRule>(spec), {}, std::vector<Input>(spec.triggers.size())});
      }
    }
    for (const Entry& entry : before) {
      if (entry.rule) withdraw(entry.rule->spec());
    }
    timer_ = rules_.empty() ? Watch() : reactor_.after(Duration(0), [this] { evaluate(); });
  }

  [[nodiscard]] const ScalingDecision* decision(std::string_view service) const {
    for (const Entry& entry : rules_) {
      if (entry.rule->spec().service == service) return &entry.decision;
    }
    return nullptr;
  }

 private:
  /// What was seen of one trigger's metric.
  struct Input {
    std::uint64_t records = 0;
    TimePoint recorded_at{};
  };
  struct Entry {
    std::unique_ptr<ScalingRule> rule;
    ScalingDecision decision;
    std::vector<Input> inputs;
  };

  void evaluate() {
    timer_ = reactor_.after(kEvery, [this] { evaluate(); });
    for (Entry& entry : rules_) evaluate(entry);
  }

  void evaluate(Entry& entry) {
    const ScalingSpec& spec = entry.rule->spec();
    const Instances known = instances_of_ ? instances_of_(spec.service) : Instances{};
    std::vector<std::optional<double>> values;
    for (std::size_t i = 0; i < spec.triggers.size(); ++i) {
      values.push_back(value_of(spec.service, spec.triggers[i], entry.inputs[i]));
    }
    entry.decision = entry.rule->decide(reactor_.now(), known.count, values, known.awaited);
    const Labels service = {{"service", spec.service}};
    show(kScalingInstances, service,
         known.count ? std::optional<double>(*known.count) : std::nullopt);
    const ScalingDecision& decision = entry.decision;
    show(kScalingRaw, service,
         decision.raw ? std::optional(static_cast<double>(*decision.raw)) : std::nullopt);
    show(kScalingDesired, service,
         decision.desired ? std::optional<double>(*decision.desired) : std::nullopt);
    show(kScalingActive, service, decision.active ? 1 : 0);
    for (const ScalingHold hold : kAllScalingHolds) {
      show(kScalingHeld,
           {{"service", spec.service}, {"reason", std::string(scaling_hold_name(hold))}},
           hold == decision.hold ? 1 : 0);
    }
    for (std::size_t i = 0; i < spec.triggers.size(); ++i) {
      show(kScalingRatio, labels_of(spec.service, spec.triggers[i]), decision.ratios[i]);
    }
  }

  /// What the metric says now; none when it was never recorded, is gone or is stale.
  std::optional<double> value_of(const std::string& service, const ScalingTrigger& trigger,
                                 Input& input) {
    const auto total = registry_.total(trigger.metric);
    const auto freshness = sensors_ != nullptr ? sensors_->freshness(trigger.metric) : std::nullopt;
    std::optional<TimePoint> recorded_at;
    std::optional<double> value;
    if (total && total.value().series > 0 && total.value().records > 0) {
      if (input.records != total.value().records) {
        input = {total.value().records, reactor_.now()};
      }
      recorded_at = input.recorded_at;
      if (!freshness || !freshness->stale) value = total.value().sum;
    }
    if (freshness) recorded_at = freshness->recorded_at;  // also of what grew stale and was dropped
    show(kScalingInputAge, labels_of(service, trigger),
         recorded_at
             ? std::optional(std::chrono::duration<double>(reactor_.now() - *recorded_at).count())
             : std::nullopt);
    show(kScalingValue, labels_of(service, trigger), value);
    show(kScalingTarget, labels_of(service, trigger), trigger.target);
    return value;
  }

  static Labels labels_of(const std::string& service, const ScalingTrigger& trigger) {
    return {{"service", service},
            {"metric", trigger.metric},
            {"scope", trigger.scope == ScalingScope::kInstance ? "instance" : "service"}};
  }

  /// What is not known is not exported: a made-up 0 would shrink a fleet.
  void show(std::string_view metric, const Labels& labels, std::optional<double> value) {
    if (value) {
      static_cast<void>(registry_.record(metric, labels, *value));
    } else {
      registry_.remove_series(metric, labels);
    }
  }

  void withdraw(const ScalingSpec& spec) {
    const Labels service = {{"service", spec.service}};
    for (const auto metric : {kScalingInstances, kScalingRaw, kScalingDesired, kScalingActive}) {
      show(metric, service, std::nullopt);
    }
    for (const ScalingHold hold : kAllScalingHolds) {
      show(kScalingHeld,
           {{"service", spec.service}, {"reason", std::string(scaling_hold_name(hold))}},
           std::nullopt);
    }
    for (const ScalingTrigger& trigger : spec.triggers) {
      for (const auto metric : {kScalingValue, kScalingTarget, kScalingRatio, kScalingInputAge}) {
        show(metric, labels_of(spec.service, trigger), std::nullopt);
      }
    }
  }

  Reactor& reactor_;
  Registry& registry_;
  const Sensors* const sensors_;
  const InstancesOf instances_of_;
  std::vector<Entry> rules_;
  Watch timer_;
};

ScalingSignals::ScalingSignals(Reactor& reactor, Registry& registry, const Sensors* sensors,
                               InstancesOf instances_of)
    : impl_(std::make_unique<Impl>(reactor, registry, sensors, std::move(instances_of))) {}
ScalingSignals::~ScalingSignals() = default;
void ScalingSignals::set(const std::vector<ScalingSpec>& rules) { impl_->set(rules); }
const ScalingDecision* ScalingSignals::decision(std::string_view service) const {
  return impl_->decision(service);
}

}  // namespace containerpilot::telemetry
