#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/environment.h"
#include "containerpilot/supervisor/probe.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/telemetry/registry.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

/// What a status page shows of one sensor.
struct SensorState {
  std::string name;
  bool up = false;  ///< last run was good and is not stale
  bool stale = false;
  std::optional<double> value;                         ///< one-number sensors: the last good value
  std::vector<std::pair<std::string, double>> series;  ///< "name{label=...}" and value
  std::optional<WallTime> last_success;
  std::optional<TimePoint> last_success_at;
  std::string last_error;
  std::string idle;  ///< why it is not measured now, which is no failure; empty while it is
  std::uint64_t runs = 0, failures = 0;
};

/// Runs sensors on their own clocks and records what they say. A sensor never overlaps with itself
/// and one hung sensor delays no other. Loop thread only (the registry it writes to is
/// thread-safe).
class Sensors {
 public:
  struct Hooks {
    /// Is this state held now? (`when: {source, while}`)
    std::function<bool(const HeldCondition&)> condition_holds;
    /// pid of a running job, for `process` sensors; nullopt when it does not run.
    std::function<std::optional<pid_t>(const std::string& job)> pid_of;
    /// After each run and when a value grows stale; not from inside set().
    std::function<void(const SensorState&)> updated;
  };
  Sensors(Reactor& reactor, ProbeRunner& probes, const Environment& environment, Registry& registry,
          Hooks hooks);
  ~Sensors();
  Sensors(const Sensors&) = delete;
  Sensors& operator=(const Sensors&) = delete;

  /// Replaces the set; unchanged sensors keep running, their values and their phase.
  void set(const std::vector<SensorSpec>& sensors);
  /// The first half of set(): those that are not among `sensors` are gone, and with them their
  /// series and names.
  void retire(const std::vector<SensorSpec>& sensors);
  /// Maintenance of generations 1 and 2: those with paused_in_maintenance hold still.
  void pause(bool paused);
  /// Kills what runs; `done` is not needed: nothing is left when it returns but processes being
  /// reaped.
  void stop();
  [[nodiscard]] std::vector<SensorState> states() const;

  struct Freshness {
    bool stale = false;     ///< a part of it is: whoever adds it up would get too little
    TimePoint recorded_at;  ///< of its oldest part
  };
  /// Of what sensors feed into this metric; nullopt when none does (now).
  [[nodiscard]] std::optional<Freshness> freshness(std::string_view metric) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace containerpilot::telemetry
