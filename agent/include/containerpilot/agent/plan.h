#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/job_spec.h"
#include "containerpilot/supervisor/log.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::agent {

/// Which program a configuration was written for. 1: Containerbuddy 1.x, 2: ContainerPilot 2.x,
/// 3: 3.x and ours.
enum class Generation : std::uint8_t { kV1 = 1, kV2 = 2, kV3 = 3 };

/// What one job (or the telemetry endpoint) wants in the catalog. The address is chosen when the
/// plan is made; `why` says which rule matched, for -explain.
struct Advertisement {
  discovery::ServiceSpec service;
  std::vector<std::string> interfaces;
  std::string why;
  friend bool operator==(const Advertisement& a, const Advertisement& b) {
    return a.service == b.service && a.interfaces == b.interfaces;  // `why` is only a comment
  }
};

struct JobPlan {
  JobSpec spec;
  std::optional<Advertisement> advertise;
  friend bool operator==(const JobPlan&, const JobPlan&) = default;
};

struct TelemetryPlan {
  telemetry::ServerSpec server;
  std::optional<Advertisement> advertise;
  Duration beat = std::chrono::seconds(5);     ///< of the entry in the catalog
  std::vector<telemetry::MetricSpec> metrics;  ///< fed by the control socket
  friend bool operator==(const TelemetryPlan&, const TelemetryPlan&) = default;
};

/// The whole configuration, validated, typed, no strings left to parse. The engine knows only this.
struct Plan {
  Generation generation = Generation::kV3;
  discovery::CatalogSpec catalog;
  std::vector<JobPlan> jobs;
  std::vector<discovery::WatchSpec> watches;
  std::vector<telemetry::SensorSpec> sensors;
  std::vector<telemetry::ScalingSpec> scaling;
  std::optional<TelemetryPlan> telemetry;
  LogConfig logging;
  std::string control_socket = "/var/run/containerpilot.socket";
  /// From the stop signal to SIGKILL, for jobs without one of their own. Negative: SIGKILL at once.
  Duration stop_timeout = std::chrono::seconds(5);
  /// Environment set for every child: CONTAINERPILOT_<NAME>_IP.
  std::map<std::string, std::string> environment;
  /// Generations 1 and 2: runs first and alone. Until it ended with 0 nothing else happens (no
  /// registration, no job, no sensor); another end ends the agent with its code.
  std::optional<JobSpec> pre_start;
  /// Values read from secret files: to be masked wherever text of the configuration is shown.
  std::vector<std::string> secrets;
  /// Generations 1 and 2: SIGHUP reloads and SIGUSR1 toggles maintenance; they run for ever without
  /// a main app.
  bool signals_reload = false;
  bool runs_without_jobs = false;
};

}  // namespace containerpilot::agent
