#include "containerpilot/supervisor/supervisor.h"

#include <algorithm>

#include "supervisor_impl.h"

namespace containerpilot {

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

void Supervisor::Impl::reindex() {
  listeners_.clear();
  conditional_on_.clear();
  for (const auto& job : jobs_) {
    if (job->spec().when.condition) conditional_on_.insert(job->spec().when.condition->source);
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
    outside_[source] = {true, event.id};
  } else if (event.key.code == EventCode::kUnhealthy || event.key.code == EventCode::kLost) {
    outside_[source] = {false, event.id};
  } else {
    return;
  }
  for (const auto& job : jobs_) job->reevaluate_condition(event.id);
}

bool Supervisor::Impl::holds(const HeldCondition& condition) const {
  if (const auto it = outside_.find(condition.source); it != outside_.end())
    return it->second.holds;
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

void Supervisor::Impl::printed(const Job& job, std::string_view line) {
  for (std::size_t i = 0; i < followers_.size(); ++i) {
    if (followers_[i].job != job.spec().name) continue;
    const auto fn = followers_[i].fn;  // a copy: it may unsubscribe
    fn(line);
  }
}

void Supervisor::Impl::state_changed(Job& job) {
  // It may have been the last that there was to wait for.
  if (job.state() == JobState::kWaiting && !ticks(job.spec().when)) sweep_soon();
  if (!conditional_on_.contains(job.spec().name)) return;
  // Once per turn and never from inside the job that changed.
  reevaluation_ = context_.reactor.after(Duration(0), [this] {
    for (const auto& other : jobs_) {
      if (other->spec().when.condition)
        other->reevaluate_condition(cause_of(*other->spec().when.condition));
    }
  });
}

std::shared_ptr<const std::vector<Event>> Supervisor::Impl::why(const std::string& name) const {
  const auto job = find(name);
  return job ? job.value()->why() : nullptr;
}

EventId Supervisor::Impl::cause_of(const HeldCondition& condition) const {
  if (const auto it = outside_.find(condition.source); it != outside_.end())
    return it->second.since;
  for (const auto& job : jobs_) {
    if (job->spec().name == condition.source) return job->cause_of(condition.state);
  }
  return 0;
}

// ---- the public face ----

Supervisor::Supervisor(Reactor& reactor, Launcher& launcher, ProbeRunner& probes, EventBus& bus,
                       Environment& environment, SupervisorHooks hooks)
    : impl_(std::make_unique<Impl>(reactor, launcher, probes, bus, environment, std::move(hooks))) {
}
Supervisor::~Supervisor() = default;

void Supervisor::start(SupervisorConfig config) { impl_->start(std::move(config)); }
ReloadReport Supervisor::apply(const SupervisorConfig& config) { return impl_->apply(config); }
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
  impl_->start_by_hand(*job.value(), "a start by hand");
  return ok();
}

Status Supervisor::stop_job(const std::string& name) {
  auto job = impl_->find(name);
  if (!job) return std::move(job).error();
  impl_->stop_by_hand(*job.value());
  return ok();
}

Status Supervisor::restart_job(const std::string& name) {
  if (shutting_down())
    return Error(Errc::kUnavailable,
                 "cannot restart job '" + name + "': the agent is shutting down");
  auto job = impl_->find(name);
  if (!job) return std::move(job).error();
  impl_->start_by_hand(*job.value(), "a restart by hand");
  return ok();
}

Status Supervisor::signal_job(const std::string& name, int signo) {
  auto job = impl_->find(name);
  if (!job) return std::move(job).error();
  return job.value()->signal(signo);
}

Result<Watch> Supervisor::follow_output(const std::string& name,
                                        std::function<void(std::string_view)> fn) {
  if (auto job = impl_->find(name); !job) return std::move(job).error();
  return impl_->follow_output(name, std::move(fn));
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
