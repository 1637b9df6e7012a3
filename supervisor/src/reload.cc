#include <algorithm>

#include "supervisor_impl.h"

namespace containerpilot {

std::string describe(const ReloadReport& report) {
  std::string text;
  for (const auto& [what, names] :
       {std::pair("added", &report.added), std::pair("removed", &report.removed),
        std::pair("changed", &report.changed)}) {
    if (names->empty()) continue;
    text += (text.empty() ? "" : "; ") + std::string(what) + ":";
    for (const std::string& name : *names) text += " " + name;
  }
  return (text.empty() ? "no job changed" : text) + "; " + std::to_string(report.unchanged.size()) +
         " unchanged";
}

bool Supervisor::Impl::happened(const EventKey& key, const std::set<std::string>& kept) const {
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
}

bool Supervisor::Impl::may_start_for_what_happened(Job& job,
                                                   const std::set<std::string>& kept) const {
  using Kind = Trigger::Kind;
  const Kind kind = job.spec().when.kind;
  if (kind != Kind::kOnce && kind != Kind::kAll && !ticks(job.spec().when)) return false;
  bool enough = false;
  for (const EventKey& key : job.spec().when.events) {
    if (happened(key, kept)) enough = job.need_not_wait_for(key) || enough;
  }
  return enough;
}

ReloadReport Supervisor::Impl::apply(const SupervisorConfig& config) {
  ReloadReport report;
  if (shutting_down()) return report;
  std::vector<std::unique_ptr<Job>> next;
  std::vector<const JobSpec*> fresh;
  std::set<std::string> kept;
  successors_.clear();
  for (const JobSpec& spec : config.jobs) {
    const auto it = std::find_if(
        jobs_.begin(), jobs_.end(),
        [&spec](const std::unique_ptr<Job>& job) { return job && job->spec().name == spec.name; });
    const bool again = spec.runs_again_at_reload && it != jobs_.end() && (*it)->complete();
    if (it != jobs_.end() && !again && ((*it)->spec() == spec || (*it)->spec().survives_reload)) {
      report.unchanged.push_back(spec.name);
      kept.insert(spec.name);
      next.push_back(std::move(*it));
    } else if (it != jobs_.end()) {
      report.changed.push_back(spec.name);
      retiring_.push_back(std::move(*it));
      successors_.push_back(spec);
    } else if (std::any_of(retiring_.begin(), retiring_.end(),
                           [&spec](const std::unique_ptr<Job>& job) {
                             return job->spec().name == spec.name;
                           })) {
      // The one before last is not even gone.
      report.changed.push_back(spec.name);
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
  reload_event_ =
      context_.bus.publish({EventCode::kReloaded, std::string(kGlobal)}, 0, describe(report));
  for (const auto& job : retiring_) job->stop(reload_event_);
  admit(created, kept);
  sweep_soon();
  return report;
}

void Supervisor::Impl::admit(const std::vector<Job*>& jobs, const std::set<std::string>& kept) {
  for (Job* job : jobs) {
    // One that cannot start may end the agent; the others are then stopped with all.
    if (shutting_down()) return;
    job->activate(reload_event_);
    if (may_start_for_what_happened(*job, kept)) job->trigger(reload_event_);
    if (maintenance_) job->enter_maintenance();
  }
}

void Supervisor::Impl::start_by_hand(Job& job, std::string what) {
  const EventId cause =
      context_.bus.publish({EventCode::kRequested, job.spec().name}, 0, std::move(what));
  if (!job.complete()) return job.restart(cause);
  const JobSpec spec = job.spec();
  for (auto& slot : jobs_) {
    if (slot.get() != &job) continue;
    slot = std::make_unique<Job>(context_, spec);
    reindex();
    if (maintenance_) slot->enter_maintenance();
    slot->activate(cause);
    if (slot->state() == JobState::kWaiting) slot->trigger(cause);
    // By a schedule or a condition it would start later.
    if (slot->state() == JobState::kWaiting) slot->restart(cause);
    return;
  }
}

void Supervisor::Impl::stop_by_hand(Job& job) {
  job.stop_by_hand(
      context_.bus.publish({EventCode::kRequested, job.spec().name}, 0, "a stop by hand"));
}

}  // namespace containerpilot
