#pragma once

#include <map>
#include <string>
#include <vector>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/telemetry/sensors.h"
#include "containerpilot/telemetry/server.h"

namespace containerpilot::telemetry {

/// The sensors as JSON documents: /sensors/NAME, for autoscalers that read one number (KEDA's
/// metrics-api), and /sensors, all of them. A value that is missing or stale is a 503 with the
/// reason, never 0 or null. The paths are API; telemetry/README.md has the schema. Loop thread
/// only.
class SensorPages {
 public:
  SensorPages(Reactor& reactor, Documents& documents);
  ~SensorPages();
  SensorPages(const SensorPages&) = delete;
  SensorPages& operator=(const SensorPages&) = delete;

  /// For Sensors::Hooks::updated: the sensor's own page at once, the list at most once a second.
  void update(const SensorState& state);
  /// After Sensors::set(): pages of all of them, none of those that are gone.
  void replace(const std::vector<SensorState>& states);

 private:
  void publish_one(const SensorState& state);
  void publish_list();

  Reactor& reactor_;
  Documents& documents_;
  std::map<std::string, std::string> pages_;  ///< JSON of each, by name
  Watch list_timer_;
};

}  // namespace containerpilot::telemetry
