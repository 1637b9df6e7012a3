#include "support/job_world.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/supervisor.h"
#include "support/fake_http.h"
#include "support/fake_launcher.h"
#include "support/sim_reactor.h"

namespace containerpilot::test {

namespace {

using namespace std::chrono_literals;
using Kind = Trigger::Kind;

constexpr std::string_view kQuote = "job '";

std::ptrdiff_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return std::distance(begin(files), end(files));
}

class World {
 public:
  World(std::uint64_t seed, std::function<void(std::string_view)> log)
      : random_(seed), log_(std::move(log)) {
    ::signal(SIGPIPE, SIG_IGN);
    if (prints_) launcher_.use_pipes();
    launcher_.on_start([this](FakeLauncher::Run& run) { on_start(run); });
    launcher_.on_signal([this](FakeLauncher::Run& run, int signo) { on_signal(run, signo); });
    SupervisorHooks hooks;
    hooks.withdraw = [this](const std::string&, std::function<void()> done) {
      answers_.push_back(loop_.after(some(1000) * 1ms, std::move(done)));
    };
    hooks.started = [this](const JobStatus& job) { on_started(job); };
    hooks.exited = [this](const JobStatus& job, ExitStatus, Duration) { ++ends_[job.name]; };
    hooks.finished = [this](int, const std::string&) { finished_ = true; };
    supervisor_.emplace(loop_, launcher_, probes_, bus_, environment_, std::move(hooks));
    record_ = bus_.subscribe([this](const Event& event) {
      ++seen_[key_of(event.key)];
      tell("  event " + std::string(event_code_name(event.key.code)) + " " + event.key.source);
    });
  }

  std::string live(std::uint64_t seed) {
    config_.seed = seed;
    const int jobs = 1 + some(some(4) == 0 ? 50 : 8);
    for (int i = 0; i < jobs; ++i)
      config_.jobs.push_back(random_job("j" + std::to_string(i), jobs));
    config_.stop_timeout = some(5000) * 1ms;
    for (const JobSpec& job : config_.jobs) remember(job);
    supervisor_->start(config_);
    const int steps = 5 + some(20);
    for (int i = 0; i < steps && !finished_ && violation_.empty(); ++i) {
      step();
      check_states();
    }
    end();
    return violation_;
  }

 private:
  // ---- chance ----

  int some(int bound) {
    return bound <= 0 ? 0 : static_cast<int>(random_() % static_cast<std::uint64_t>(bound));
  }
  bool chance(int percent) { return some(100) < percent; }
  template <class T>
  T one_of(std::initializer_list<T> list) {
    return *(list.begin() + some(static_cast<int>(list.size())));
  }

  EventKey random_event(int jobs) {
    const std::string other = "j" + std::to_string(some(jobs));
    switch (some(10)) {
      case 0:
        return {EventCode::kSignal, "SIGHUP"};
      case 1:
        return {one_of({EventCode::kChanged, EventCode::kHealthy, EventCode::kUnhealthy}),
                "watch.w" + std::to_string(some(2))};
      case 2:
        return {one_of({EventCode::kEnterMaintenance, EventCode::kExitMaintenance}), "global"};
      default:
        return {one_of({EventCode::kExitSuccess, EventCode::kExitFailed, EventCode::kHealthy,
                        EventCode::kUnhealthy, EventCode::kReady, EventCode::kStopping,
                        EventCode::kStopped, EventCode::kTimerExpired}),
                other};
    }
  }

  Trigger random_trigger(int jobs) {
    Trigger when;
    if (chance(40)) return when;
    when.kind = one_of({Kind::kOnce, Kind::kEach, Kind::kAll, Kind::kInterval, Kind::kSchedule,
                        Kind::kWhile, Kind::kNever});
    when.overlap = one_of({Overlap::kQueue, Overlap::kSkip, Overlap::kReplace});
    if (chance(20)) when.jitter = some(3000) * 1ms;
    if (chance(20)) when.debounce = some(2000) * 1ms;
    if (chance(20)) when.timeout = (1 + some(60)) * 1s;
    const bool condition =
        when.kind == Kind::kWhile ||
        ((when.kind == Kind::kInterval || when.kind == Kind::kSchedule) && chance(30));
    if (condition) {
      when.condition = HeldCondition{chance(30) ? "watch.w0" : "j" + std::to_string(some(jobs)),
                                     one_of({HeldState::kRunning, HeldState::kHealthy})};
    }
    switch (when.kind) {
      case Kind::kInterval:
        when.interval = (100 + some(20000)) * 1ms;
        break;
      case Kind::kSchedule:
        when.schedule =
            parse_schedule(one_of<const char*>({"* * * * *", "*/2 * * * *", "30 3 * * *"}), "UTC")
                .value();
        break;
      case Kind::kOnce:
      case Kind::kEach:
      case Kind::kAll:
        when.events.clear();
        for (int i = when.kind == Kind::kAll ? 1 + some(3) : 1; i > 0; --i)
          when.events.push_back(random_event(jobs));
        break;
      case Kind::kWhile:
      case Kind::kNever:
        when.events.clear();
        break;
    }
    return when;
  }

  JobSpec random_job(const std::string& name, int jobs) {
    JobSpec spec;
    spec.name = name;
    if (!chance(5)) spec.exec = ProcessSpec{.argv = {"/bin/" + name}};
    spec.when = random_trigger(jobs);
    spec.restarts.limit.count = chance(30) && spec.when.kind != Kind::kEach
                                    ? Limit::kUnlimited
                                    : static_cast<std::uint64_t>(some(4));
    spec.restarts.delay = some(1000) * 1ms;
    spec.restarts.max_delay = spec.restarts.delay + some(10000) * 1ms;
    if (chance(20)) spec.exec_timeout = (1 + some(20)) * 1s;
    // Given, so that hooks of it are bounded by it and not by five minutes.
    spec.stop_timeout = some(10000) * 1ms;
    if (chance(20)) spec.drain = some(5000) * 1ms;
    spec.advertised = chance(40);
    if (chance(5)) spec.on_success = EndAction::kShutdown;
    if (chance(5)) spec.on_failure = EndAction::kShutdown;
    spec.notify = spec.exec && chance(10);
    spec.serves_catalog = spec.exec && chance(3);
    if (chance(50)) {
      HealthSpec health;
      if (chance(70)) health.probe = ProcessSpec{.argv = {"/bin/check"}};
      health.interval = (500 + some(10000)) * 1ms;
      health.timeout = health.interval;
      health.failure_threshold = 1 + static_cast<unsigned>(some(3));
      health.success_threshold = 1 + static_cast<unsigned>(some(2));
      if (chance(30)) health.start_period = some(10000) * 1ms;
      if (chance(30)) health.watchdog = (1 + some(10)) * 1s;
      health.on_failure =
          one_of({UnhealthyAction::kIgnore, UnhealthyAction::kIgnore, UnhealthyAction::kRestart});
      if (chance(3)) health.on_failure = UnhealthyAction::kShutdown;
      spec.health = health;
    }
    return spec;
  }

  ExitStatus random_exit() {
    if (chance(50)) return {};
    return chance(80) ? ExitStatus{.code = 1 + some(255)} : ExitStatus{.signal = SIGSEGV};
  }

  // ---- the processes ----

  void on_start(FakeLauncher::Run& run) {
    FakeLauncher::Run*& last = last_run_[run.name];
    const bool is_job = run.name.starts_with(kQuote);
    // A check that was given up is on its way out, which a job has to wait for.
    const bool given_up = last != nullptr && !is_job && (last->dropped || last->tree_killed);
    if (last != nullptr && last->running && !given_up)
      violate("two runs of " + run.name + " at a time");
    last = &run;
    if (is_job) ++starts_[run.name.substr(kQuote.size(), run.name.size() - kQuote.size() - 1)];
    tell("  start " + run.name);
    if (finished_) violate(run.name + " started after the end");
    if (prints_ && chance(50)) {
      loop_.post([this, name = run.name, to_stderr = chance(50)] {
        launcher_.print(name, "whole\nhalf", to_stderr);
      });
    }
    if (chance(is_job ? 60 : 97)) {
      launcher_.finish_after(run, some(chance(50) ? 200 : 20000) * 1ms, random_exit());
    }
  }

  void on_signal(FakeLauncher::Run& run, int signo) {
    if (signo == SIGTERM && chance(80))
      launcher_.finish_after(run, some(3000) * 1ms, {.signal = SIGTERM});
  }

  // ---- what happens ----

  std::string random_name() {
    return config_.jobs[static_cast<std::size_t>(some(static_cast<int>(config_.jobs.size())))].name;
  }

  void step() {
    loop_.advance(some(chance(50) ? 1000 : 60000) * 1ms);
    const std::string name = random_name();
    const int what = some(14);
    tell("step " + std::to_string(what) + " " + name);
    switch (what) {
      case 0:
        bus_.publish({EventCode::kSignal, "SIGHUP"}, 0);
        break;
      case 1:
      case 2:
        bus_.publish({one_of({EventCode::kChanged, EventCode::kHealthy, EventCode::kUnhealthy}),
                      "watch.w" + std::to_string(some(2))},
                     0);
        break;
      case 3:
        supervisor_->set_maintenance(!supervisor_->maintenance());
        break;
      case 4:
        reload();
        break;
      case 5:
        touched_.insert(name);
        static_cast<void>(supervisor_->start_job(name));
        break;
      case 6:
        touched_.insert(name);
        static_cast<void>(supervisor_->restart_job(name));
        break;
      case 7:
        static_cast<void>(supervisor_->stop_job(name));
        break;
      case 8:
        static_cast<void>(supervisor_->signal_job(name, one_of({SIGHUP, SIGTERM})));
        break;
      case 9:
        launcher_.fail_next(name, Error(Errc::kNotFound, "cannot start"), 1 + some(3));
        break;
      case 10:
        notify(name);
        break;
      case 11:
        loop_.jump_wall((some(7200) - 3600) * 1s);
        break;
      default:
        if (const auto run = last_run_.find("job '" + name + "'");
            run != last_run_.end() && run->second->running) {
          launcher_.finish(*run->second, random_exit());
        }
        break;
    }
    loop_.settle();
  }

  void notify(const std::string& name) {
    const auto run = last_run_.find("job '" + name + "'");
    if (run == last_run_.end() || !run->second->running || !run->second->on_notify) return;
    run->second->on_notify({.ready = chance(60),
                            .stopping = chance(10),
                            .alive = chance(50),
                            .failed = chance(10),
                            .status = "step"});
  }

  void reload() {
    std::vector<JobSpec> next;
    for (JobSpec& job : config_.jobs) {
      if (chance(10)) continue;
      if (chance(20)) job = random_job(job.name, static_cast<int>(config_.jobs.size()));
      next.push_back(std::move(job));
    }
    if (next.empty() || chance(30))
      next.push_back(random_job("r" + std::to_string(reloads_), static_cast<int>(next.size()) + 1));
    ++reloads_;
    config_.jobs = std::move(next);
    for (const JobSpec& job : config_.jobs) {
      touched_.insert(job.name);  // its counts begin anew
      remember(job);
    }
    supervisor_->apply(config_);
  }

  void remember(const JobSpec& job) {
    specs_[job.name] = job;
    const Duration stop = *job.stop_timeout + config_.stop_timeout;
    bound_ += 3 * stop + job.drain + job.exec_timeout + 5s;
  }

  void end() {
    // A clock set back holds up nothing: waiting is by the monotonic one.
    for (int i = 1 + some(3); i > 0 && violation_.empty(); --i) {
      supervisor_->shutdown("the end");
      loop_.advance(some(2000) * 1ms);
    }
    const TimePoint limit = loop_.now() + bound_;
    while (!finished_ && loop_.now() < limit && violation_.empty()) loop_.advance(1s);
    if (!finished_) violate("the shutdown did not end in time");
    check_counts();
    supervisor_.reset();
    record_ = Watch();
    loop_.advance(0s);
    answers_.clear();
    if (launcher_.running() != 0) violate("a process is left");
    if (loop_.timers() != 0) violate("a timer is left");
    if (loop_.fds() != 0) violate("a descriptor is waited for");
    if (open_files() != files_) violate("a descriptor is left");
  }

  // ---- what must always hold ----

  void violate(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  static std::pair<EventCode, std::string> key_of(const EventKey& key) {
    return {key.code, key.source};
  }

  void on_started(const JobStatus& job) {
    if (job.why->empty()) return violate(job.name + " started without a cause");
    const auto found = specs_.find(job.name);
    if (found == specs_.end() || touched_.contains(job.name)) return;
    const JobSpec& spec = found->second;
    if (spec.when.condition) return;  // what made it hold may be anything
    const EventKey& cause = job.why->front().key;
    const bool again = cause.source == job.name && (cause.code == EventCode::kExitSuccess ||
                                                    cause.code == EventCode::kExitFailed ||
                                                    cause.code == EventCode::kUnhealthy);
    const auto& events = spec.when.events;
    if (!again && std::find(events.begin(), events.end(), cause) == events.end()) {
      violate(job.name + " started because of " + std::string(event_code_name(cause.code)) + " " +
              cause.source + ", for which it does not wait");
    }
  }

  void check_states() {
    for (const JobStatus& job : supervisor_->jobs()) {
      if (job.pid != 0 && job.state != JobState::kRunning && job.state != JobState::kStopping)
        violate(job.name + " has a process while " + std::string(job_state_name(job.state)));
      if (job.health == JobHealth::kHealthy &&
          (job.state == JobState::kWaiting || job.state == JobState::kComplete))
        violate(job.name + " is healthy while " + std::string(job_state_name(job.state)));
    }
  }

  void check_counts() {
    for (const auto& [name, spec] : specs_) {
      const int failed = launcher_.failed_starts(name);
      const int starts = starts_[name] + failed;
      if (ends_[name] != starts) {
        violate(name + " had " + std::to_string(starts) + " starts and " +
                std::to_string(ends_[name]) + " ends");
      }
      const bool requested = spec.health && spec.health->on_failure == UnhealthyAction::kRestart;
      if (touched_.contains(name) || requested || spec.restarts.limit.unlimited() ||
          spec.when.kind == Kind::kWhile || spec.when.overlap == Overlap::kReplace) {
        continue;
      }
      int allowed = 1;
      if (spec.when.kind == Kind::kEach) {
        allowed = 0;
        for (const EventKey& key : spec.when.events) allowed += seen_[key_of(key)];
      }
      allowed += static_cast<int>(spec.restarts.limit.count);
      if (starts > allowed) {
        violate(name + " was started " + std::to_string(starts) + " times, allowed are " +
                std::to_string(allowed));
      }
    }
  }

  void tell(const std::string& what) const {
    if (log_) log_(std::to_string(loop_.now().time_since_epoch() / 1ms) + " ms " + what);
  }

  const std::ptrdiff_t files_ = open_files();
  std::mt19937_64 random_;
  std::function<void(std::string_view)> log_;
  const bool prints_ = chance(25);  // real pipes cost real time
  SimReactor loop_;
  FakeLauncher launcher_{loop_};
  FakeHttpClient http_{loop_};
  FakeResolver resolver_{loop_};
  ProbeRunner probes_{loop_, launcher_, http_, resolver_};
  EventBus bus_{loop_};
  Environment environment_;
  SupervisorConfig config_;
  std::map<std::string, JobSpec> specs_;
  std::map<std::string, FakeLauncher::Run*> last_run_;
  std::map<std::string, int> starts_, ends_;
  std::map<std::pair<EventCode, std::string>, int> seen_;
  std::set<std::string> touched_;  // by hand or by a reload: their counts say nothing
  std::vector<Watch> answers_;
  Duration bound_ = 10s + Supervisor::kHookLimit;
  int reloads_ = 0;
  bool finished_ = false;
  std::string violation_;
  std::optional<Supervisor> supervisor_;
  Watch record_;
};

}  // namespace

std::string live_one_life(std::uint64_t seed, const std::function<void(std::string_view)>& log) {
  const auto capture =
      capture_log_for_test([&log](LogLevel, std::string_view, std::string_view message, LogFields) {
        if (log) log(message);
      });
  return World(seed, log).live(seed);
}

}  // namespace containerpilot::test
