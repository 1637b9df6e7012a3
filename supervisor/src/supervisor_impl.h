#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/random_seed.h"
#include "containerpilot/supervisor/supervisor.h"
#include "job.h"

namespace containerpilot {

inline constexpr std::string_view kGlobal = "global";

/// What one job cannot decide. supervisor.cc: events and the public face; shutdown.cc: the order in
/// which jobs end, and the agent's end; reload.cc: from one plan to the next.
class Supervisor::Impl final : public JobHost {
 public:
  Impl(Reactor& reactor, Launcher& launcher, ProbeRunner& probes, EventBus& bus,
       Environment& environment, SupervisorHooks hooks)
      : context_{reactor, launcher, probes, bus, environment, *this}, hooks_(std::move(hooks)) {}

  void start(SupervisorConfig config) {
    config_ = std::move(config);
    if (config_.seed != 0) random_.seed(static_cast<std::minstd_rand::result_type>(config_.seed));
    events_ = context_.bus.subscribe([this](const Event& event) { on_event(event); });
    for (JobSpec& spec : config_.jobs) jobs_.push_back(std::make_unique<Job>(context_, spec));
    reindex();
    for (std::size_t i = 0; i < jobs_.size(); ++i) jobs_[i]->activate();
    // After the I/O of the first turn: an entry with an initial status is with a near catalog
    // before the first process takes its share of the machine.
    context_.reactor.post([this] {
      context_.bus.publish({EventCode::kStartup, std::string(kGlobal)}, 0);
    });
  }

  ReloadReport apply(const SupervisorConfig& config);
  void shutdown(const std::string& why, EventId cause);

  void set_maintenance(bool on) {
    if (std::exchange(maintenance_, on) != on) {
      log_info("supervisor", on ? "entering maintenance: out of the catalog, checks paused"
                                : "leaving maintenance");
      for (const auto& job : jobs_) on ? job->enter_maintenance() : job->exit_maintenance();
    }
    // Each request is an event, also one that changes nothing: jobs may wait for it.
    context_.bus.publish(
        {on ? EventCode::kEnterMaintenance : EventCode::kExitMaintenance, std::string(kGlobal)}, 0);
  }

  [[nodiscard]] Result<Job*> find(const std::string& name) const {
    for (const auto& job : jobs_) {
      if (job->spec().name == name) return job.get();
    }
    std::string known;
    for (const auto& job : jobs_) known += (known.empty() ? "" : ", ") + job->spec().name;
    return Error(Errc::kNotFound, "cannot find a job named '" + name + "'; there are: " + known);
  }

  [[nodiscard]] const std::vector<std::unique_ptr<Job>>& jobs() const { return jobs_; }
  void start_by_hand(Job& job, std::string what);
  void stop_by_hand(Job& job);
  Watch follow_output(const std::string& name, std::function<void(std::string_view)> fn) {
    const std::uint64_t id = next_follower_++;
    followers_.push_back({id, name, std::move(fn)});
    return Watch([this, alive = std::weak_ptr<char>(alive_), id] {
      if (!alive.expired())
        std::erase_if(followers_, [id](const Follower& one) { return one.id == id; });
    });
  }

  // JobHost
  [[nodiscard]] Duration stop_timeout() const override { return config_.stop_timeout; }
  [[nodiscard]] bool shutting_down() const override { return shutdowns_ > 0 || finished_; }
  [[nodiscard]] bool maintenance() const override { return maintenance_; }
  [[nodiscard]] bool holds(const HeldCondition& condition) const override;
  [[nodiscard]] std::shared_ptr<const std::vector<Event>> why(
      const std::string& job) const override;
  [[nodiscard]] std::vector<std::string> stop_hooks(const Job& job) const override;
  [[nodiscard]] bool may_signal(const Job& job) const override;
  void state_changed(Job& job) override;
  void printed(const Job& job, std::string_view line) override;
  void completed(Job& job) override;
  void hook_idle(const Job& hook) override {
    for (const auto* list : {&jobs_, &retiring_}) {
      for (const auto& job : *list) job->hook_done(hook.spec().name);
    }
  }
  void abandon_hook(const std::string& name, EventId cause) override {
    if (const auto hook = find(name)) hook.value()->stop(cause);
  }
  void end_agent(const Job& job, int exit_code, const std::string& why, EventId cause) override;
  [[nodiscard]] const SupervisorHooks& hooks() const override { return hooks_; }
  std::minstd_rand& random() override { return random_; }
  Duration next_phase(Duration interval) override {
    constexpr Duration kApart = std::chrono::milliseconds(5);
    return phases_++ * kApart % std::max(interval / 2, kApart);
  }

 private:
  void reindex();
  void on_event(const Event& event);
  void remember(const Event& event);
  void sweep();
  void sweep_soon() {
    context_.reactor.post([this, alive = std::weak_ptr<char>(alive_)] {
      if (!alive.expired()) sweep();
    });
  }
  void stop_stage();
  /// New jobs begin; what they wait for may have happened already, unless its source is not `kept`
  /// (empty: all are).
  void admit(const std::vector<Job*>& jobs, const std::set<std::string>& kept);
  void bound_last_hooks();
  [[nodiscard]] bool will_never_start(const Job& hook) const;
  [[nodiscard]] bool stops_in_second_stage(const Job& job) const;
  [[nodiscard]] bool happened(const EventKey& key, const std::set<std::string>& kept) const;
  [[nodiscard]] bool may_start_for_what_happened(Job& job, const std::set<std::string>& kept) const;
  /// The event that made a condition hold.
  [[nodiscard]] EventId cause_of(const HeldCondition& condition) const;
  /// It runs while another job is in some state, which is complete or waits in vain itself. (One
  /// that waits for an event keeps the agent, as in 3.x.)
  [[nodiscard]] bool waits_in_vain(const Job& job, std::set<const Job*> asked = {}) const;

  struct Follower {
    std::uint64_t id;
    std::string job;
    std::function<void(std::string_view)> fn;
  };

  JobContext context_;
  SupervisorHooks hooks_;
  std::vector<Follower> followers_;  // outlive the jobs, whose last lines come when they go
  std::uint64_t next_follower_ = 1;
  SupervisorConfig config_;
  std::minstd_rand random_{random_seed()};
  int phases_ = 0;
  Watch events_;
  std::vector<std::unique_ptr<Job>> jobs_;
  std::vector<std::unique_ptr<Job>> retiring_;  // replaced by a reload, still stopping
  std::vector<JobSpec> successors_;             // start when the job they replace is gone
  std::multimap<std::pair<EventCode, std::string>, Job*> listeners_;
  std::set<std::string> conditional_on_;  // sources of some job's `while`
  std::set<std::pair<EventCode, std::string>> seen_;
  struct Outside {
    bool holds = false;
    EventId since = 0;
  };
  std::map<std::string, Outside> outside_;  // watches and locks
  bool maintenance_ = false;
  int shutdowns_ = 0;
  bool second_stage_ = false;
  EventId shutdown_event_ = 0;
  EventId reload_event_ = 0;
  int exit_code_ = 0;
  std::string why_;
  bool finished_ = false;
  Watch reevaluation_;
  Watch hook_limit_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace containerpilot
