#include <algorithm>

#include "supervisor_impl.h"
#include "text.h"

namespace containerpilot {

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
  if (job.spec().serves_catalog) {
    // Everybody needs it to leave the catalog. Who waits for its end cannot be waited for.
    return std::all_of(jobs_.begin(), jobs_.end(), [&job](const std::unique_ptr<Job>& other) {
      return other.get() == &job || other->complete() ||
             other->waits_for({EventCode::kStopping, job.spec().name}) ||
             other->waits_for({EventCode::kStopped, job.spec().name});
    });
  }
  if (job.spec().ends_agent && !job.process_running()) {
    // It has ended by itself: the catalog hears of it before postStop runs.
    return std::none_of(jobs_.begin(), jobs_.end(), [](const std::unique_ptr<Job>& other) {
      return other->spec().advertised && !other->complete();
    });
  }
  if (job.spec().outlives_main) {
    return std::all_of(jobs_.begin(), jobs_.end(), [](const std::unique_ptr<Job>& other) {
      return other->complete() || !(other->spec().ends_agent || other->is_stop_hook());
    });
  }
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
  // The last event of a job that is complete may still be on its way here.
  const auto has_said_all = [this](const Job& job, const EventKey& key) {
    if (!job.complete()) return false;
    const bool says_stopped = !job.spec().ends_agent || job.has_run_or_runs();
    return key.code != EventCode::kStopped || !says_stopped ||
           seen_.contains({key.code, key.source});
  };
  const auto& events = hook.spec().when.events;
  return std::all_of(events.begin(), events.end(), [&](const EventKey& key) {
    return std::none_of(jobs_.begin(), jobs_.end(), [&](const std::unique_ptr<Job>& job) {
      return job->spec().name == key.source && !has_said_all(*job, key);
    });
  });
}

bool Supervisor::Impl::waits_in_vain(const Job& job, std::set<const Job*> asked) const {
  const Trigger& when = job.spec().when;
  if (!job.at_rest() || when.kind != Trigger::Kind::kWhile) return false;
  if (!asked.insert(&job).second) return true;  // they wait for each other
  const auto source = std::find_if(jobs_.begin(), jobs_.end(), [&when](const auto& one) {
    return one->spec().name == when.condition->source;
  });
  return source != jobs_.end() && ((*source)->complete() || waits_in_vain(**source, asked));
}

void Supervisor::Impl::sweep() {
  if (finished_) return;
  // A replaced job is gone: its successor takes its place.
  const auto gone = [](const std::unique_ptr<Job>& job) { return job->complete(); };
  std::vector<Job*> arrivals;
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
    jobs_.push_back(std::make_unique<Job>(context_, *successor));
    successors_.erase(successor);
    arrivals.push_back(jobs_.back().get());
  }
  if (!arrivals.empty()) {
    reindex();
    admit(arrivals, {});
  }
  if (shutting_down()) {
    stop_stage();
    for (const auto& job : jobs_) {
      job->dependents_gone();
      if (job->is_stop_hook() && will_never_start(*job)) job->stop(shutdown_event_);
    }
  }
  const bool all_complete = std::all_of(jobs_.begin(), jobs_.end(), gone) && retiring_.empty();
  if (!shutting_down()) {
    // What was stopped by hand is to be started again.
    const bool stays = config_.runs_without_jobs || jobs_.empty() ||
                       std::any_of(jobs_.begin(), jobs_.end(),
                                   [](const auto& job) { return job->stopped_by_hand(); });
    const bool over = std::all_of(jobs_.begin(), jobs_.end(), [&](const auto& job) {
      return job->complete() || waits_in_vain(*job);
    });
    if (stays || !over || !retiring_.empty()) return;
    if (!all_complete) return shutdown("all jobs are complete", 0);
  }
  if (!all_complete) return bound_last_hooks();
  finished_ = true;
  hook_limit_ = Watch();
  if (why_.empty()) why_ = "all jobs are complete";
  if (hooks_.finished) hooks_.finished(exit_code_, why_);
}

void Supervisor::Impl::bound_last_hooks() {
  const bool only_hooks =
      std::all_of(jobs_.begin(), jobs_.end(), [](const std::unique_ptr<Job>& job) {
        return job->complete() || job->is_stop_hook() || job->spec().outlives_main;
      });
  if (!only_hooks || hook_limit_.active()) return;
  hook_limit_ = context_.reactor.after(kHookLimit, [this] {
    for (const auto& job : jobs_) {
      if (job->complete() || !job->is_stop_hook()) continue;
      log_warn("supervisor", "job '" + job->spec().name + "' holds up the end for more than " +
                                 format_seconds(kHookLimit) + ", stopping it");
      job->stop(shutdown_event_);
    }
  });
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

}  // namespace containerpilot
