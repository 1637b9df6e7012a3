#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catalog_link.h"
#include "containerpilot/agent/config.h"
#include "containerpilot/supervisor/environment.h"
#include "containerpilot/supervisor/event_bus.h"
#include "containerpilot/supervisor/supervisor.h"
#include "containerpilot/telemetry/pages.h"
#include "containerpilot/telemetry/pushed.h"
#include "containerpilot/telemetry/scaling.h"
#include "containerpilot/telemetry/sensors.h"
#include "containerpilot/telemetry/server.h"
#include "control_server.h"
#include "metrics_link.h"
#include "on_demand.h"
#include "status.h"

namespace containerpilot::agent {

/// The running agent: owns one of everything, wires it, reloads it and ends it. Loop thread only.
class App {
 public:
  /// `load` reads the configuration again, with this environment (for reloads).
  using Load = std::function<LoadResult(const Environment&)>;

  App(EpollReactor& reactor, Launcher& launcher, Resolver& resolver, HttpClient& http,
      Environment environment, std::string hostname, Load load);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  /// Opens every port and socket, then starts the jobs. Errors: what cannot be opened; nothing was
  /// started then.
  Status start(Plan plan);
  /// Valid once the loop has stopped.
  [[nodiscard]] int exit_code() const { return exit_code_; }
  /// The sentence for the log and the termination log.
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  Status open(const Plan& plan);
  Result<std::unique_ptr<telemetry::MetricsServer>> start_server(const TelemetryPlan& plan);
  Result<std::unique_ptr<CatalogLink>> start_catalog(const Plan& plan);
  Result<std::unique_ptr<ControlServer>> start_control(const std::string& path);
  SupervisorHooks supervisor_hooks();
  [[nodiscard]] SupervisorConfig supervisor_config() const;
  [[nodiscard]] bool serves_catalog(const std::string& job) const;
  void watch_signals();
  void on_signal(int signo, const std::string& name);
  void on_event(const Event& event);
  void begin_periodic();
  void beat();
  void set_environment(const Plan& plan);
  /// Declared they are the registry's; a hundred thousand of them need not be kept twice.
  static std::vector<telemetry::MetricSpec> take_metrics(Plan& plan);
  void declare_metrics(const std::vector<telemetry::MetricSpec>& metrics);
  void set_sensors();
  Result<std::string> reload();
  void set_maintenance(bool on);
  void put_environment(const std::vector<std::pair<std::string, std::string>>& pairs);
  Status put_metrics(const std::vector<std::pair<std::string, std::string>>& pairs);
  Status job_action(const std::string& job, const std::string& action, const std::string& signal);
  void on_finished(int code, const std::string& why);
  void make_documents();
  void publish_health();
  void give_back_later();
  [[nodiscard]] std::string targets_document() const;
  [[nodiscard]] StatusInput status_input() const;

  EpollReactor& reactor_;
  Launcher& launcher_;
  Environment environment_;
  const std::string hostname_;
  const Load load_;
  Resolver& resolver_;
  HttpClient& http_;
  EventBus bus_;
  ProbeRunner probes_;
  telemetry::Registry registry_;
  telemetry::Documents documents_;
  OnDemand pages_;  ///< the documents, and the metrics of jobs and catalog
  telemetry::EventFeed feed_;
  MetricsLink metrics_;
  telemetry::PushedMetrics pushed_;
  telemetry::SensorPages sensor_pages_;
  Plan plan_;
  /// preStart of the first plan: a reload neither runs one again nor adds one.
  std::optional<JobSpec> pre_start_;
  std::unique_ptr<CatalogLink> catalog_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<telemetry::MetricsServer> server_;
  telemetry::Sensors sensors_;
  telemetry::ScalingSignals scaling_;
  Supervisor supervisor_;
  Watch events_;
  std::vector<Watch> signals_;
  Watch beat_timer_, self_check_, health_timer_, give_back_timer_;
  bool periodic_ = false;
  bool finishing_ = false;
  int exit_code_ = 0;
  std::string why_;
};

}  // namespace containerpilot::agent
