#pragma once

#include <optional>
#include <string>
#include <vector>

#include "containerpilot/agent/plan.h"
#include "containerpilot/discovery/registrar.h"
#include "containerpilot/discovery/watcher.h"
#include "containerpilot/supervisor/event_bus.h"
#include "containerpilot/supervisor/supervisor.h"
#include "containerpilot/telemetry/scaling.h"
#include "containerpilot/telemetry/sensors.h"

namespace containerpilot::agent {

/// One scaling rule and what it says now.
struct ScalingState {
  telemetry::ScalingSpec spec;
  telemetry::ScalingDecision decision;
  std::optional<unsigned> instances;
};

/// All that /status is made of.
struct StatusInput {
  const Plan& plan;
  std::vector<JobStatus> jobs;
  std::vector<discovery::EntryState> entries;
  std::vector<discovery::WatchState> watches;
  std::vector<telemetry::SensorState> sensors;
  std::vector<ScalingState> scaling;
  std::string catalog;  ///< "consul at 127.0.0.1:8500"; empty: none
  bool catalog_up = true;
  bool maintenance = false;
  bool shutting_down = false;
  WallTime now;
  TimePoint now_monotonic;
};

/// The /status document: generation 3's keys (spec v3, section 6.5) with more beside them; ends
/// with a newline. Documented in agent/README.md.
std::string status_json(const StatusInput& input);

struct Readiness {
  bool ready = false;
  /// One line per condition: "ok web is healthy", "not ok db is unknown".
  std::vector<std::string> conditions;
};
/// Every advertised job (else every job with a check) is healthy, no maintenance, not shutting
/// down. Looks at nothing else, so that a catalog outage cannot take a fleet out of service.
Readiness readiness(const StatusInput& input);

/// RFC 3339 in UTC with milliseconds.
std::string format_time(WallTime time);
/// {"id","cause","at","code","source","detail"} on one line, without `secrets`.
std::string event_json(const Event& event, const std::vector<std::string>& secrets);

}  // namespace containerpilot::agent
