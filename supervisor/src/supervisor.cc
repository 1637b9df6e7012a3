#include "containerpilot/supervisor/supervisor.h"

#include <algorithm>
#include <map>
#include <set>

#include "containerpilot/supervisor/log.h"
#include "job.h"

namespace containerpilot {

namespace {
constexpr std::string_view kGlobal = "global";
}

std::string_view job_state_name(JobState state) {
  switch (state) {
    case JobState::kWaiting:
      return "waiting";
    case JobState::kRunning:
      return "running";
    case JobState::kBackoff:
      return "backoff";
    case JobState::kStopping:
      return "stopping";
    case JobState::kComplete:
      return "complete";
  }
  return {};
}

std::string_view job_health_name(JobHealth health) {
  switch (health) {
    case JobHealth::kUnknown:
      return "unknown";
    case JobHealth::kHealthy:
      return "healthy";
    case JobHealth::kUnhealthy:
      return "unhealthy";
    case JobHealth::kMaintenance:
      return "maintenance";
  }
  return {};
}

std::string env_name(std::string_view job_name) {
  if (const auto slash = job_name.rfind('/'); slash != job_name.npos)
    job_name.remove_prefix(slash + 1);
  if (const auto dot = job_name.find('.'); dot != job_name.npos) job_name = job_name.substr(0, dot);
  std::string result;
  for (const char c : job_name) {
    const bool lower = c >= 'a' && c <= 'z';
    if (lower || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
      result += lower ? static_cast<char>(c - 'a' + 'A') : c;
    } else if (result.empty() || result.back() != '_') {
      result += '_';
    }
  }
  return result;
}

class Supervisor::Impl final : public JobHost {
 public:
  Impl(Reactor& reactor, Launcher& launcher, ProbeRunner& probes, EventBus& bus,
       Environment& environment, SupervisorHooks hooks)
      : context_{reactor, launcher, probes, bus, environment, *this}, hooks_(std::move(hooks)) {}

  void start(SupervisorConfig config) {
    config_ = std::move(config);
    events_ = context_.bus.subscribe([this](const Event& event) { on_event(event); });
    for (JobSpec& spec : config_.jobs) jobs_.push_back(std::make_unique<Job>(context_, spec));
    reindex();
    for (std::size_t i = 0; i < jobs_.size(); ++i) jobs_[i]->activate();
    context_.bus.publish({EventCode::kStartup, std::string(kGlobal)}, 0);
  }

  ReloadReport apply(SupervisorConfig config);
  void shutdown(const std::string& why, EventId cause);

  void set_maintenance(bool on) {
    if (maintenance_ == on) return;
    maintenance_ = on;
    log_info("supervisor", on ? "entering maintenance: out of the catalog, checks paused"
                              : "leaving maintenance");
    for (const auto& job : jobs_) on ? job->enter_maintenance() : job->exit_maintenance();
    context_.bus.publish(
        {on ? EventCode::kEnterMaintenance : EventCode::kExitMaintenance, std::string(kGlobal)}, 0);
  }

  Result<Job*> find(const std::string& name) {
    for (const auto& job : jobs_) {
      if (job->spec().name == name) return job.get();
    }
    std::string known;
    for (const auto& job : jobs_) known += (known.empty() ? "" : ", ") + job->spec().name;
    return Error(Errc::kNotFound, "cannot find a job named '" + name + "'; there are: " + known);
  }

  [[nodiscard]] const std::vector<std::unique_ptr<Job>>& jobs() const { return jobs_; }
  void restart_complete(Job& job);

  // JobHost
  [[nodiscard]] Duration stop_timeout() const override { return config_.stop_timeout; }
  [[nodiscard]] bool shutting_down() const override { return shutdowns_ > 0; }
  [[nodiscard]] bool maintenance() const override { return maintenance_; }
  [[nodiscard]] bool holds(const HeldCondition& condition) const override;
  [[nodiscard]] std::vector<std::string> stop_hooks(const Job& job) const override;
  [[nodiscard]] bool may_signal(const Job& job) const override;
  void state_changed(Job& job) override;
  void completed(Job& job) override;
  void abandon_hook(const std::string& name, EventId cause) override {
    if (const auto hook = find(name)) hook.value()->stop(cause);
  }
  void end_agent(const Job& job, int exit_code, const std::string& why, EventId cause) override;
  [[nodiscard]] const SupervisorHooks& hooks() const override { return hooks_; }

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
  [[nodiscard]] bool will_never_start(const Job& hook) const;
  [[nodiscard]] bool stops_in_second_stage(const Job& job) const;
  [[nodiscard]] bool already_happened(const JobSpec& spec, const std::set<std::string>& kept) const;

  JobContext context_;
  SupervisorHooks hooks_;
  SupervisorConfig config_;
  Watch events_;
  std::vector<std::unique_ptr<Job>> jobs_;
  std::vector<std::unique_ptr<Job>> retiring_;  // replaced by a reload, still stopping
  std::vector<JobSpec> successors_;             // start when the job they replace is gone
  std::multimap<std::pair<EventCode, std::string>, Job*> listeners_;
  std::set<std::pair<EventCode, std::string>> seen_;
  std::map<std::string, bool> outside_;  // watches and locks: does their state hold?
  bool maintenance_ = false;
  int shutdowns_ = 0;
  bool second_stage_ = false;
  EventId shutdown_event_ = 0;
  int exit_code_ = 0;
  std::string why_;
  bool finished_ = false;
  Watch reevaluation_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

void Supervisor::Impl::reindex() {
  listeners_.clear();
  for (const auto& job : jobs_) {
    for (const EventKey& key : job->spec().when.events)
      listeners_.emplace(std::pair(key.code, key.source), job.get());
  }
}

void Supervisor::Impl::on_event(const Event& event) {
  remember(event);
  if (event.key.code == EventCode::kStopped) {
    // Whoever waits for this hook to be done, listed or not.
    for (std::size_t i = 0; i < jobs_.size(); ++i) jobs_[i]->on_event(event);
    for (const auto& job : retiring_) job->on_event(event);
    return;
  }
  std::vector<Job*> targets;  // a copy: a job may stop, and a reload reindex, inside
  const auto [begin, end] = listeners_.equal_range({event.key.code, event.key.source});
  for (auto it = begin; it != end; ++it) targets.push_back(it->second);
  for (Job* job : targets) job->on_event(event);
}

void Supervisor::Impl::remember(const Event& event) {
  const std::string& source = event.key.source;
  if (!source.starts_with("check.")) seen_.emplace(event.key.code, source);
  const bool outside = source.starts_with("watch.") || source.starts_with("lock.");
  if (!outside) return;
  if (event.key.code == EventCode::kHealthy || event.key.code == EventCode::kAcquired) {
    outside_[source] = true;
  } else if (event.key.code == EventCode::kUnhealthy || event.key.code == EventCode::kLost) {
    outside_[source] = false;
  } else {
    return;
  }
  for (const auto& job : jobs_) job->reevaluate_condition(event.id);
}

bool Supervisor::Impl::holds(const HeldCondition& condition) const {
  if (const auto it = outside_.find(condition.source); it != outside_.end()) return it->second;
  for (const auto& job : jobs_) {
    if (job->spec().name != condition.source) continue;
    switch (condition.state) {
      case HeldState::kRunning:
        return job->state() == JobState::kRunning;
      case HeldState::kHealthy:
        return job->health() == JobHealth::kHealthy && job->state() == JobState::kRunning;
      case HeldState::kHeld:
        return false;
    }
  }
  return false;
}

void Supervisor::Impl::state_changed(Job& job) {
  if (std::none_of(jobs_.begin(), jobs_.end(), [&job](const std::unique_ptr<Job>& other) {
        return other->spec().when.condition &&
               other->spec().when.condition->source == job.spec().name;
      })) {
    return;
  }
  // Once per turn and never from inside the job that changed.
  reevaluation_ = context_.reactor.after(Duration(0), [this] {
    for (const auto& other : jobs_) other->reevaluate_condition(0);
  });
}

// ---- the end of jobs, and of the agent ----

std::vector<std::string> Supervisor::Impl::stop_hooks(const Job& job) const {
  std::vector<std::string> result;
  for (const auto& other : jobs_) {
    if (other.get() != &job && !other->complete() && other->spec().exec &&
        other->waits_for({EventCode::kStopping, job.spec().name})) {
      result.push_back(other->spec().name);
    }
  }
  return result;
}

bool Supervisor::Impl::may_signal(const Job& job) const {
  if (!shutting_down()) return true;
  // Who was started by this one's health, or runs while it does, goes first.
  return std::none_of(jobs_.begin(), jobs_.end(), [&job](const std::unique_ptr<Job>& other) {
    if (other.get() == &job || other->complete() || !other->process_running() ||
        other->is_stop_hook())
      return false;
    const Trigger& when = other->spec().when;
    if (when.condition && when.condition->source == job.spec().name) return true;
    return std::any_of(when.events.begin(), when.events.end(), [&job](const EventKey& key) {
      return key.source == job.spec().name &&
             (key.code == EventCode::kHealthy || key.code == EventCode::kReady);
    });
  });
}

void Supervisor::Impl::completed(Job&) {
  // Posted: the job is still on the stack, and what waits for its last event must hear it first.
  sweep_soon();
}

bool Supervisor::Impl::will_never_start(const Job& hook) const {
  if (hook.state() != JobState::kWaiting) return false;
  const auto& events = hook.spec().when.events;
  return std::all_of(events.begin(), events.end(), [this](const EventKey& key) {
    return std::none_of(jobs_.begin(), jobs_.end(), [&key](const std::unique_ptr<Job>& job) {
      return job->spec().name == key.source && !job->complete();
    });
  });
}

void Supervisor::Impl::sweep() {
  if (finished_) return;
  // A replaced job is gone: its successor takes its place.
  const auto gone = [](const std::unique_ptr<Job>& job) { return job->complete(); };
  for (auto it = retiring_.begin(); it != retiring_.end();) {
    if (!gone(*it)) {
      ++it;
      continue;
    }
    const std::string name = (*it)->spec().name;
    it = retiring_.erase(it);
    const auto successor = std::find_if(successors_.begin(), successors_.end(),
                                        [&name](const JobSpec& spec) { return spec.name == name; });
    if (successor == successors_.end()) continue;
    if (!shutting_down()) {
      jobs_.push_back(std::make_unique<Job>(context_, *successor));
      reindex();
      jobs_.back()->activate();
      if (already_happened(*successor, {})) jobs_.back()->trigger(0);
    }
    successors_.erase(successor);
  }
  if (shutting_down()) {
    stop_stage();
    for (const auto& job : jobs_) {
      job->dependents_gone();
      if (job->is_stop_hook() && will_never_start(*job)) job->stop(shutdown_event_);
    }
  }
  const bool all_complete = std::all_of(jobs_.begin(), jobs_.end(), gone) && retiring_.empty();
  if (!all_complete) return;
  if (!shutting_down() && (config_.runs_without_jobs || jobs_.empty())) return;
  finished_ = true;
  if (why_.empty()) why_ = "all jobs are complete";
  if (hooks_.finished) hooks_.finished(exit_code_, why_);
}

void Supervisor::Impl::end_agent(const Job& job, int exit_code, const std::string& why,
                                 EventId cause) {
  // The first to decide gives the code; after that only the main application of generations 1 and
  // 2, and what runs after it, may correct it.
  if (!shutting_down() || job.spec().ends_agent || (job.is_stop_hook() && exit_code != 0)) {
    exit_code_ = exit_code;
    why_ = why;
  }
  if (!shutting_down()) shutdown(why, cause);
}

void Supervisor::Impl::shutdown(const std::string& why, EventId cause) {
  ++shutdowns_;
  if (shutdowns_ == 1) {
    if (why_.empty()) why_ = why;
    std::string waited;
    for (const auto& job : jobs_) {
      if (job->process_running()) waited += (waited.empty() ? "" : ", ") + job->spec().name;
    }
    log_info("supervisor",
             "shutting down: " + why + (waited.empty() ? "" : "; waiting for: " + waited));
    if (hooks_.shutdown_begins) hooks_.shutdown_begins();
    shutdown_event_ =
        context_.bus.publish({EventCode::kShutdown, std::string(kGlobal)}, cause, why);
    successors_.clear();
    stop_stage();
    sweep_soon();
    return;
  }
  log_warn("supervisor",
           (shutdowns_ == 2 ? "hurrying the shutdown: " : "killing what is left: ") + why);
  second_stage_ = true;
  for (const auto* list : {&jobs_, &retiring_}) {
    for (const auto& job : *list) {
      if (shutdowns_ == 2) {
        job->hurry();
        job->stop(shutdown_event_);
      } else {
        job->stop(shutdown_event_);
        job->kill();
      }
    }
  }
}

bool Supervisor::Impl::stops_in_second_stage(const Job& job) const {
  return job.spec().ends_agent ||
         (job.process_running() && job.spec().when.kind == Trigger::Kind::kOnce);
}

void Supervisor::Impl::stop_stage() {
  // Generations 1 and 2: first every service leaves the catalog, then the main application is
  // stopped.
  const bool staged = std::any_of(jobs_.begin(), jobs_.end(), [](const std::unique_ptr<Job>& job) {
    return job->spec().ends_agent && (job->process_running() || !job->spec().exec);
  });
  if (!second_stage_) {
    bool waiting = false;
    for (const auto& job : jobs_) {
      if (job->is_stop_hook() || (staged && stops_in_second_stage(*job))) continue;
      job->stop(shutdown_event_);
      waiting = waiting || (staged && !job->complete());
    }
    if (waiting) return;
    second_stage_ = true;
  }
  for (const auto& job : jobs_) {
    if (!job->is_stop_hook()) job->stop(shutdown_event_);
  }
}

// ---- reload ----

bool Supervisor::Impl::already_happened(const JobSpec& spec,
                                        const std::set<std::string>& kept) const {
  const Trigger& when = spec.when;
  using Kind = Trigger::Kind;
  if (when.kind != Kind::kOnce && when.kind != Kind::kInterval && when.kind != Kind::kSchedule)
    return false;
  return std::any_of(when.events.begin(), when.events.end(), [&](const EventKey& key) {
    if (key.code == EventCode::kStopping || key.code == EventCode::kStopped ||
        key.code == EventCode::kSignal) {
      return false;
    }
    if (key.code == EventCode::kHealthy || key.code == EventCode::kUnhealthy) {
      const bool healthy = holds({key.source, HeldState::kHealthy});
      return key.code == EventCode::kHealthy ? healthy
                                             : !healthy && seen_.contains({key.code, key.source});
    }
    const bool source_stays = key.source == kGlobal || kept.empty() || kept.contains(key.source) ||
                              key.source.starts_with("watch.");
    return source_stays && seen_.contains({key.code, key.source});
  });
}

ReloadReport Supervisor::Impl::apply(SupervisorConfig config) {
  ReloadReport report;
  if (shutting_down()) return report;
  std::vector<std::unique_ptr<Job>> next;
  std::vector<const JobSpec*> fresh;
  std::set<std::string> kept;
  for (const JobSpec& spec : config.jobs) {
    const auto it = std::find_if(
        jobs_.begin(), jobs_.end(),
        [&spec](const std::unique_ptr<Job>& job) { return job && job->spec().name == spec.name; });
    if (it != jobs_.end() && ((*it)->spec() == spec || (*it)->spec().survives_reload)) {
      report.unchanged.push_back(spec.name);
      kept.insert(spec.name);
      next.push_back(std::move(*it));
    } else if (it != jobs_.end()) {
      report.changed.push_back(spec.name);
      retiring_.push_back(std::move(*it));
      successors_.push_back(spec);
    } else {
      report.added.push_back(spec.name);
      fresh.push_back(&spec);
    }
  }
  for (auto& job : jobs_) {
    if (!job) continue;
    report.removed.push_back(job->spec().name);
    retiring_.push_back(std::move(job));
  }
  jobs_ = std::move(next);
  // Events of what is replaced no longer count as having happened.
  for (const auto& job : retiring_) {
    std::erase_if(seen_, [&job](const auto& key) { return key.second == job->spec().name; });
  }
  config_.stop_timeout = config.stop_timeout;
  config_.runs_without_jobs = config.runs_without_jobs;
  std::vector<Job*> created;
  for (const JobSpec* spec : fresh) {
    jobs_.push_back(std::make_unique<Job>(context_, *spec));
    created.push_back(jobs_.back().get());
  }
  reindex();
  for (const auto& job : retiring_) job->stop(0);
  for (Job* job : created) {
    job->activate();
    if (already_happened(job->spec(), kept)) job->trigger(0);
    if (maintenance_) job->enter_maintenance();
  }
  sweep_soon();
  return report;
}

void Supervisor::Impl::restart_complete(Job& job) {
  const JobSpec spec = job.spec();
  for (auto& slot : jobs_) {
    if (slot.get() != &job) continue;
    slot = std::make_unique<Job>(context_, spec);
    reindex();
    slot->activate();
    slot->trigger(0);
    return;
  }
}

// ---- the public face ----

Supervisor::Supervisor(Reactor& reactor, Launcher& launcher, ProbeRunner& probes, EventBus& bus,
                       Environment& environment, SupervisorHooks hooks)
    : impl_(std::make_unique<Impl>(reactor, launcher, probes, bus, environment, std::move(hooks))) {
}
Supervisor::~Supervisor() = default;

void Supervisor::start(SupervisorConfig config) { impl_->start(std::move(config)); }
ReloadReport Supervisor::apply(SupervisorConfig config) { return impl_->apply(std::move(config)); }
void Supervisor::shutdown(const std::string& why) { impl_->shutdown(why, 0); }
bool Supervisor::shutting_down() const { return impl_->shutting_down(); }
void Supervisor::set_maintenance(bool on) { impl_->set_maintenance(on); }
bool Supervisor::maintenance() const { return impl_->maintenance(); }

Status Supervisor::start_job(const std::string& name) {
  if (shutting_down())
    return Error(Errc::kUnavailable, "cannot start job '" + name + "': the agent is shutting down");
  auto job = impl_->find(name);
  if (!job) return std::move(job).error();
  if (job.value()->state() == JobState::kRunning || job.value()->state() == JobState::kStopping) {
    return Error(Errc::kUnavailable, "cannot start job '" + name + "': it is " +
                                         std::string(job_state_name(job.value()->state())));
  }
  if (job.value()->complete()) {
    impl_->restart_complete(*job.value());
  } else {
    job.value()->restart(0);
  }
  return ok();
}

Status Supervisor::stop_job(const std::string& name) {
  auto job = impl_->find(name);
  if (!job) return std::move(job).error();
  job.value()->stop(0);
  return ok();
}

Status Supervisor::restart_job(const std::string& name) {
  if (shutting_down())
    return Error(Errc::kUnavailable,
                 "cannot restart job '" + name + "': the agent is shutting down");
  auto job = impl_->find(name);
  if (!job) return std::move(job).error();
  if (job.value()->complete()) {
    impl_->restart_complete(*job.value());
  } else {
    job.value()->restart(0);
  }
  return ok();
}

Status Supervisor::signal_job(const std::string& name, int signo) {
  auto job = impl_->find(name);
  if (!job) return std::move(job).error();
  return job.value()->signal(signo);
}

std::vector<JobStatus> Supervisor::jobs() const {
  std::vector<JobStatus> result;
  for (const auto& job : impl_->jobs()) result.push_back(job->status());
  return result;
}

std::optional<JobStatus> Supervisor::job(const std::string& name) const {
  for (const auto& job : impl_->jobs()) {
    if (job->spec().name == name) return job->status();
  }
  return std::nullopt;
}

bool Supervisor::holds(const HeldCondition& condition) const { return impl_->holds(condition); }

}  // namespace containerpilot
