#include "containerpilot/telemetry/sensors.h"

#include <algorithm>
#include <cmath>
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

}  // namespace

class Sensors::Impl {
 public:
  Impl(Reactor& reactor, ProbeRunner& probes, const Environment& environment, Registry& registry,
       Hooks hooks)
      : context_{reactor,  probes,           environment,
                 registry, std::move(hooks), SensorFamilies(registry)} {
    declare_agent_metrics(registry);
  }

  void retire(const std::vector<SensorSpec>& specs) {
    std::erase_if(runners_, [&](const auto& runner) {
      return std::find(specs.begin(), specs.end(), runner->spec()) == specs.end();
    });
    context_.families.drop_unused();
  }

  void set(const std::vector<SensorSpec>& specs) {
    retire(specs);  // before the new ones start: they may feed the same series
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
  SensorContext context_;
  std::vector<std::unique_ptr<SensorRunner>> runners_;
  std::uint64_t started_ = 0;
  bool paused_ = false;
};

Sensors::Sensors(Reactor& reactor, ProbeRunner& probes, const Environment& environment,
                 Registry& registry, Hooks hooks)
    : impl_(std::make_unique<Impl>(reactor, probes, environment, registry, std::move(hooks))) {}
Sensors::~Sensors() = default;
void Sensors::set(const std::vector<SensorSpec>& sensors) { impl_->set(sensors); }
void Sensors::retire(const std::vector<SensorSpec>& sensors) { impl_->retire(sensors); }
void Sensors::pause(bool paused) { impl_->pause(paused); }
void Sensors::stop() { impl_->stop(); }
std::vector<SensorState> Sensors::states() const { return impl_->states(); }
std::optional<Sensors::Freshness> Sensors::freshness(std::string_view metric) const {
  return impl_->freshness(metric);
}

}  // namespace containerpilot::telemetry
