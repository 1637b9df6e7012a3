#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/agent/plan.h"
#include "containerpilot/discovery/catalog.h"
#include "containerpilot/discovery/embedded_catalog.h"
#include "containerpilot/discovery/registrar.h"
#include "containerpilot/discovery/watcher.h"
#include "containerpilot/supervisor/event_bus.h"
#include "containerpilot/supervisor/http.h"
#include "watch_changes.h"

namespace containerpilot::agent {

/// What is said of a telemetry port beside its address: for Prometheus' consul_sd
/// (__meta_consul_service_metadata_*) and for our own /sd/prometheus.
std::map<std::string, std::string> endpoint_meta(const telemetry::ServerSpec& server);

/// Everything between this agent and a catalog: the embedded one if asked for, the connections, the
/// entries of jobs and telemetry, the watches and their events. With CatalogSpec::kNone only DNS
/// watches do anything. Loop thread only.
class CatalogLink {
 public:
  /// How long the end of a job, or of the agent, waits for a catalog that does not answer.
  static constexpr Duration kWithdrawBound = std::chrono::seconds(1);
  static constexpr Duration kHeadStart = std::chrono::milliseconds(250);

  struct Observers {
    discovery::CallObserver call;
    std::function<void(const discovery::Change&)> change;
  };

  static Result<std::unique_ptr<CatalogLink>> create(Reactor& reactor, Resolver& resolver,
                                                     EventBus& bus, const Plan& plan,
                                                     const std::string& hostname,
                                                     Observers observers);
  ~CatalogLink();
  CatalogLink(const CatalogLink&) = delete;
  CatalogLink& operator=(const CatalogLink&) = delete;

  /// Begins to watch, once.
  void watch();
  /// A reload with the same catalog: other entries, other watches.
  void apply(const Plan& plan);
  /// Maintenance of generations 1 and 2: see Watcher::pause().
  void pause_watches(bool on);
  void report(const std::string& job, bool passing, const std::string& output);
  /// `done` runs once, later, within kWithdrawBound, and kHeadStart more while the telemetry entry
  /// is on its way out: nobody shall scrape a service that has gone already.
  void withdraw(const std::string& job, std::function<void()> done);
  /// For a catalog that is a job of this agent. Before that job starts, and before it is stopped:
  /// nobody is warned that it does not answer, and it is tried often until it does.
  void expect_down();
  /// Takes every entry out, before that job is stopped. `done` runs once, later, within
  /// kWithdrawBound.
  void withdraw_all(std::function<void()> done);
  /// The telemetry endpoint's own entry: a beat that says whether it answers, or out of the
  /// catalog.
  [[nodiscard]] bool advertises_telemetry() const { return telemetry_ && registrar_; }
  void beat_telemetry(const Status& answers);
  void withdraw_telemetry();
  /// What a run that begins because of a watch's change shall know of it; see WatchChanges.
  void describe_change(const std::vector<Event>& why, EventId since,
                       std::vector<std::string>& environment);
  void shutdown(std::function<void()> done);

  [[nodiscard]] std::string name() const;
  [[nodiscard]] bool up() const;
  [[nodiscard]] std::vector<discovery::EntryState> entries() const;
  [[nodiscard]] std::vector<discovery::WatchState> watches() const;
  /// Where the embedded catalog listens; empty without one.
  [[nodiscard]] std::string embedded_address() const;
  /// Healthy instances of a service that is watched or scaled; nullopt when not known yet.
  [[nodiscard]] std::optional<std::size_t> healthy_instances(const std::string& service) const;
  /// Healthy telemetry endpoints in the catalog, this one's first answer included.
  [[nodiscard]] std::vector<discovery::Instance> telemetry_endpoints() const;

 private:
  CatalogLink(Reactor& reactor, EventBus& bus, Observers observers)
      : reactor_(reactor), bus_(bus), observers_(std::move(observers)) {}
  void on_change(const discovery::Change& change);

  Reactor& reactor_;
  EventBus& bus_;
  Observers observers_;
  std::unique_ptr<discovery::EmbeddedCatalog> embedded_;
  std::unique_ptr<HttpClient> calls_, polls_;
  std::unique_ptr<discovery::Catalog> catalog_;
  std::unique_ptr<discovery::Registrar> registrar_;
  std::unique_ptr<discovery::Watcher> watcher_;
  std::map<std::string, discovery::ServiceSpec> services_;  // by job
  std::optional<discovery::ServiceSpec> telemetry_;
  std::vector<discovery::WatchSpec> watches_;
  bool watching_ = false;
  unsigned telemetry_failures_ = 0;  ///< in a row
  bool telemetry_leaves_ = false;
  std::vector<std::function<void()>> after_telemetry_;  ///< withdrawals that wait for it
  WatchChanges changes_;
};

}  // namespace containerpilot::agent
