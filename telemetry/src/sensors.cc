#include "containerpilot/telemetry/sensors.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "containerpilot/supervisor/log.h"
#include "containerpilot/telemetry/agent_metrics.h"
#include "sensor_runner.h"

namespace containerpilot::telemetry {
namespace {

/// First runs are spread over this much, or over the interval where that is shorter.
constexpr Duration kSpread = std::chrono::seconds(1);

/// Evenly spread whatever their number: multiples of the golden ratio. Exact for the first: 0.
Duration phase(std::uint64_t index, Duration interval) {
  constexpr double kGoldenRatio = 0.6180339887498949;
  const double fraction = std::fmod(static_cast<double>(index) * kGoldenRatio, 1.0);
  const auto width = static_cast<double>(std::min(interval, kSpread).count());
  return Duration(static_cast<Duration::rep>(fraction * width));
}

/// Families of the agent's own table that sensors (cgroup, process) write to.
bool shared_family(std::string_view name) {
  return name.starts_with("containerpilot_cgroup_") || name.starts_with("containerpilot_process_");
}

}  // namespace

class Sensors::Impl {
 public:
  Impl(Reactor& reactor, ProbeRunner& probes, const Environment& environment, Registry& registry,
       Hooks hooks)
      : registry_(registry), context_{reactor,
                                      probes,
                                      environment,
                                      registry,
                                      std::move(hooks),
                                      [this](const MetricSpec& metric) { return claim(metric); }} {
    declare_agent_metrics(registry);
  }

  void set(const std::vector<SensorSpec>& specs) {
    std::vector<std::unique_ptr<SensorRunner>> before = std::exchange(runners_, {});
    std::vector<const SensorSpec*> fresh;
    for (const SensorSpec& spec : specs) {
      const auto same = std::find_if(before.begin(), before.end(), [&](const auto& runner) {
        return runner != nullptr && runner->spec() == spec;
      });
      if (same != before.end()) {
        runners_.push_back(std::move(*same));
      } else {
        fresh.push_back(&spec);
      }
    }
    before.clear();  // before the new ones start: they may feed the same series
    drop_unused_families(specs);
    for (const SensorSpec* spec : fresh) {
      const Duration offset = phase(started_++, spec->interval);
      const Duration delay = spec->first_run_at_once ? offset : spec->interval + offset;
      runners_.push_back(std::make_unique<SensorRunner>(context_, *spec, delay));
      runners_.back()->pause(paused_);
    }
  }

  void pause(bool paused) {
    paused_ = paused;
    for (const auto& runner : runners_) runner->pause(paused);
  }

  void stop() { runners_.clear(); }

  [[nodiscard]] std::optional<Freshness> freshness(std::string_view metric) const {
    std::optional<Freshness> oldest;
    bool missing = false;
    for (const auto& runner : runners_) {
      const auto part = runner->freshness(metric);
      missing = missing || (!part && runner->feeds(metric));
      if (!part) continue;
      missing = missing || part->stale;
      if (!oldest || part->recorded_at < oldest->recorded_at) oldest = part;
    }
    if (oldest) oldest->stale = missing;
    return oldest;
  }

  [[nodiscard]] std::vector<SensorState> states() const {
    std::vector<SensorState> states;
    for (const auto& runner : runners_) states.push_back(runner->state());
    return states;
  }

 private:
  Status claim(const MetricSpec& metric) {
    if (shared_family(metric.name)) return ok();
    const auto owned = families_.find(metric.name);
    if (owned != families_.end() && owned->second == metric) return ok();
    if (owned == families_.end() && registry_.has(metric.name)) {
      return Error(Errc::kInvalid,
                   "cannot write to metric '" + metric.name + "': it belongs to somebody else");
    }
    auto declared = registry_.declare(metric);
    if (declared) families_.insert_or_assign(metric.name, metric);
    return declared;
  }

  /// A family of a sensor that is gone would stay as a claim on its name (and type) for ever.
  void drop_unused_families(const std::vector<SensorSpec>& specs) {
    std::set<std::string_view> wanted;
    bool foreign = false;
    for (const SensorSpec& spec : specs) {
      wanted.insert(spec.metric.name);
      for (const auto& [name, pointer] : spec.values) wanted.insert(name);
      foreign = foreign || spec.format == SensorFormat::kPrometheus;
    }
    if (foreign) return;  // those name their families only when they run
    for (auto it = families_.begin(); it != families_.end();) {
      if (wanted.contains(it->first)) {
        ++it;
        continue;
      }
      registry_.remove(it->first);
      it = families_.erase(it);
    }
  }

  Registry& registry_;
  SensorContext context_;
  std::map<std::string, MetricSpec, std::less<>> families_;
  std::vector<std::unique_ptr<SensorRunner>> runners_;
  std::uint64_t started_ = 0;
  bool paused_ = false;
};

Sensors::Sensors(Reactor& reactor, ProbeRunner& probes, const Environment& environment,
                 Registry& registry, Hooks hooks)
    : impl_(std::make_unique<Impl>(reactor, probes, environment, registry, std::move(hooks))) {}
Sensors::~Sensors() = default;
void Sensors::set(const std::vector<SensorSpec>& sensors) { impl_->set(sensors); }
void Sensors::pause(bool paused) { impl_->pause(paused); }
void Sensors::stop() { impl_->stop(); }
std::vector<SensorState> Sensors::states() const { return impl_->states(); }
std::optional<Sensors::Freshness> Sensors::freshness(std::string_view metric) const {
  return impl_->freshness(metric);
}

}  // namespace containerpilot::telemetry
