#include "sensor_runner.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <functional>
#include <system_error>
#include <utility>

#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/random_seed.h"
#include "containerpilot/telemetry/agent_metrics.h"
#include "containerpilot/telemetry/number.h"
#include "proc.h"
#include "process_tree.h"

namespace containerpilot::telemetry {
namespace {

constexpr std::string_view kModule = "telemetry";

constexpr SensorResult kAllResults[] = {
    SensorResult::kOk,      SensorResult::kExit,  SensorResult::kSignal,
    SensorResult::kTimeout, SensorResult::kStart, SensorResult::kUnavailable,
    SensorResult::kParse,   SensorResult::kRange, SensorResult::kOverlap};

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "; ") + part;
  return out;
}

SensorResult result_of(const ProbeResult& result, bool exec) {
  switch (result.kind) {
    case ProbeResult::Kind::kOk:
      return SensorResult::kOk;
    case ProbeResult::Kind::kTimeout:
      return SensorResult::kTimeout;
    case ProbeResult::Kind::kCannotStart:
      return exec ? SensorResult::kStart : SensorResult::kUnavailable;
    case ProbeResult::Kind::kFailed:
      break;
  }
  if (!exec) return SensorResult::kUnavailable;
  return result.exit.signal != 0 ? SensorResult::kSignal : SensorResult::kExit;
}

/// What ProbeRunner asks; monostate for sources that are read on the spot.
Probe probe_of(const SensorSource& source) {
  if (const auto* exec = std::get_if<ProcessSpec>(&source)) return *exec;
  if (const auto* http = std::get_if<HttpProbe>(&source)) return *http;
  if (const auto* tcp = std::get_if<TcpProbe>(&source)) return *tcp;
  if (const auto* unix_socket = std::get_if<UnixProbe>(&source)) return *unix_socket;
  return {};
}

/// A regular file (those of /proc and /sys are); anything else could make the loop wait.
Result<std::string> read_file(const std::string& path) {
  const auto failed = [&path](Errc kind, int code) {
    return Error(kind, "cannot read file '" + path + "': " + std::generic_category().message(code),
                 code);
  };
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return failed(Errc::kNotFound, errno);
  if (!S_ISREG(info.st_mode)) {
    return Error(Errc::kInvalid, "cannot read '" + path + "': a regular file is expected");
  }
  auto text = read_small_file(path);
  if (!text) return failed(Errc::kIo, errno);
  if (text->size() >= kMostRead) {
    return Error(Errc::kInvalid,
                 "cannot read all of file '" + path + "': it has a megabyte or more");
  }
  return std::move(*text);
}

Parsed parse(std::string_view output, const SensorSpec& spec) {
  switch (spec.format) {
    case SensorFormat::kNumber:
      return parse_number_output(output, spec);
    case SensorFormat::kJson:
      return parse_json_output(output, spec);
    case SensorFormat::kPrometheus:
      return parse_prometheus_output(output);
  }
  return {};
}

}  // namespace

std::string_view sensor_result_name(SensorResult result) {
  switch (result) {
    case SensorResult::kOk:
      return "ok";
    case SensorResult::kExit:
      return "exit";
    case SensorResult::kSignal:
      return "signal";
    case SensorResult::kTimeout:
      return "timeout";
    case SensorResult::kStart:
      return "start";
    case SensorResult::kUnavailable:
      return "unavailable";
    case SensorResult::kParse:
      return "parse";
    case SensorResult::kRange:
      return "range";
    case SensorResult::kOverlap:
      return "overlap";
  }
  return {};
}

SensorRunner::SensorRunner(SensorContext& context, SensorSpec spec, Duration first_delay)
    : context_(context),
      spec_(std::move(spec)),
      health_labels_{{"sensor", spec_.name}},
      usable_(check_pointers(spec_)),
      probe_(probe_of(spec_.source)),
      series_(context, spec_),
      random_(static_cast<std::minstd_rand::result_type>(std::hash<std::string>()(spec_.name)) ^
              random_seed()) {
  state_.name = spec_.name;
  if (const auto* source = std::get_if<CgroupSource>(&spec_.source)) {
    cgroup_ = std::make_unique<CgroupReader>(*source);
  }
  declare_health();
  if (!usable_) {
    report(SensorResult::kParse, usable_.error().text());
    return;
  }
  if (spec_.zero_at_start) series_.make_empty();
  schedule(context_.reactor.now() + first_delay);
}

SensorRunner::~SensorRunner() {
  for (const std::string_view metric :
       {kSensorDuration, kSensorUp, kSensorStale, kSensorSeries, kSensorDropped, kSensorInterval,
        kSensorTimeout, kSensorLastSuccess}) {
    context_.registry.remove_series(metric, health_labels_);
  }
  for (const auto& [result, handle] : results_) {
    Labels labels = health_labels_;
    labels.emplace("result", sensor_result_name(result));
    context_.registry.remove_series(kSensorRuns, labels);
  }
}

void SensorRunner::declare_health() {
  const auto series = [&](std::string_view metric) {
    auto handle = context_.registry.series(metric, health_labels_);
    return handle ? std::move(handle).value() : SeriesHandle();
  };
  const bool exec = std::holds_alternative<ProcessSpec>(spec_.source);
  for (const SensorResult result : kAllResults) {
    const bool only_exec = result == SensorResult::kExit || result == SensorResult::kSignal ||
                           result == SensorResult::kStart;
    if (exec ? result == SensorResult::kUnavailable : only_exec) continue;
    Labels labels = health_labels_;
    labels.emplace("result", sensor_result_name(result));
    if (auto handle = context_.registry.series(kSensorRuns, labels))
      results_[result] = std::move(handle).value();
  }
  duration_ = series(kSensorDuration);
  up_gauge_ = series(kSensorUp);
  stale_gauge_ = series(kSensorStale);
  count_gauge_ = series(kSensorSeries);
  dropped_ = series(kSensorDropped);
  static_cast<void>(
      context_.registry.record(kSensorInterval, health_labels_, seconds(spec_.interval)));
  if (spec_.timeout > Duration(0)) {
    static_cast<void>(
        context_.registry.record(kSensorTimeout, health_labels_, seconds(spec_.timeout)));
  }
}

bool SensorRunner::feeds(std::string_view metric) const {
  const bool own_names = cgroup_ || std::holds_alternative<ProcessSource>(spec_.source);
  switch (spec_.format) {
    case SensorFormat::kNumber:
      return !own_names && metric == spec_.metric.name;
    case SensorFormat::kJson:
      return spec_.values.contains(std::string(metric));
    case SensorFormat::kPrometheus:
      break;
  }
  return false;
}

void SensorRunner::schedule(TimePoint due) {
  due_ = due;
  timer_ = context_.reactor.at(due_, [this] { on_due(); });
}

void SensorRunner::on_due() {
  // From the last deadline, not from now: the phase stays. What was missed is skipped.
  TimePoint next = due_ + spec_.interval;
  const TimePoint now = context_.reactor.now();
  if (next <= now) next += spec_.interval * ((now - next) / spec_.interval + 1);
  schedule(next);
  if (idle()) return;
  if (running_) {
    static_cast<void>(results_[SensorResult::kOverlap].record(1));
    return;
  }
  if (spec_.jitter <= Duration(0)) return start();
  std::uniform_int_distribution<Duration::rep> delay(0, spec_.jitter.count() - 1);
  running_ = true;  // also while it waits: the next tick must not start a second one
  jitter_timer_ = context_.reactor.after(Duration(delay(random_)), [this] {
    running_ = false;
    if (!idle()) start();
  });
}

bool SensorRunner::idle() {
  const auto& condition = spec_.condition;
  if (paused_ && spec_.paused_in_maintenance) {
    rest("in maintenance");
  } else if (condition && context_.hooks.condition_holds &&
             !context_.hooks.condition_holds(*condition)) {
    rest("'" + condition->source + "' is not " + std::string(held_state_name(condition->state)));
  } else {
    state_.idle.clear();
  }
  return !state_.idle.empty();
}

void SensorRunner::rest(std::string why) {
  if (why == state_.idle) return;
  state_.idle = std::move(why);
  state_.up = false;
  show_health();
}

void SensorRunner::start() {
  running_ = true;
  started_ = std::chrono::steady_clock::now();
  if (!std::holds_alternative<std::monostate>(probe_)) return start_probe();
  if (const auto* file = std::get_if<FileSource>(&spec_.source)) {
    auto text = read_file(file->path);
    if (!text) return finish(SensorResult::kUnavailable, text.error().text(), since_start());
    return take_output(text.value(), since_start());
  }
  if (cgroup_) return take(cgroup_->read(context_.reactor.now()), since_start());
  const auto& job = std::get<ProcessSource>(spec_.source).job;
  const auto pid = context_.hooks.pid_of ? context_.hooks.pid_of(job) : std::nullopt;
  if (pid != last_pid_) {
    series_.drop();  // another process, other counters
    cpu_ = 0;
  }
  auto parsed = pid ? read_process_tree(*pid, job, cpu_) : std::nullopt;
  if (!parsed) series_.drop();
  last_pid_ = parsed ? pid : std::nullopt;
  if (!parsed) {
    // Not a failure: a job that does not run has nothing to measure.
    running_ = false;
    return rest("job '" + job + "' does not run");
  }
  take(std::move(*parsed), since_start());
}

void SensorRunner::start_probe() {
  ProbeRun run{.probe = probe_,
               .environment = {},
               .timeout = spec_.timeout,
               .name = "sensor '" + spec_.name + "'"};
  if (std::holds_alternative<ProcessSpec>(probe_)) {
    run.environment = context_.environment.to_strings();
    run.on_line = [this](pid_t pid, bool from_stderr, std::string_view line) {
      if (from_stderr)
        log_child_line({.job = {}, .check = {}, .sensor = spec_.name, .pid = pid}, line);
    };
  }
  run_ = context_.probes.run(std::move(run), [this](const ProbeResult& result) {
    const SensorResult how = result_of(result, std::holds_alternative<ProcessSpec>(probe_));
    if (how != SensorResult::kOk) return finish(how, result.reason, result.duration);
    // Not all of it was kept: what is left may look like something else.
    if (!result.reason.empty()) return finish(SensorResult::kParse, result.reason, result.duration);
    if (std::holds_alternative<TcpProbe>(probe_) || std::holds_alternative<UnixProbe>(probe_)) {
      Parsed latency;
      Sample sample;
      sample.name = spec_.metric.name;
      sample.help = spec_.metric.help;
      sample.type = spec_.metric.type;
      sample.value = seconds(result.duration);
      latency.samples.push_back(std::move(sample));
      return take(std::move(latency), result.duration);
    }
    take_output(result.output, result.duration);
  });
}

void SensorRunner::take_output(std::string_view output, Duration took) {
  take(parse(output, spec_), took);
}

void SensorRunner::take(Parsed parsed, Duration took) {
  const bool unreadable = !parsed.errors.empty();
  const SensorSeries::Recorded recorded = series_.record(parsed);
  if (recorded.dropped > 0)
    static_cast<void>(dropped_.record(static_cast<double>(recorded.dropped)));
  if (recorded.good > 0 && spec_.stale_after > Duration(0)) {
    state_.stale = false;
    series_.expire(context_.reactor.now() - spec_.stale_after);
    stale_timer_ = context_.reactor.after(spec_.stale_after, [this] { grow_stale(); });
  }
  SensorResult result = SensorResult::kOk;
  if (!parsed.errors.empty()) {
    result = !unreadable && recorded.out_of_range ? SensorResult::kRange : SensorResult::kParse;
  }
  std::string errors = join(parsed.errors);
  if (parsed.more_errors > 0) errors += "; and " + std::to_string(parsed.more_errors) + " more";
  finish(result, errors, took);
}

void SensorRunner::finish(SensorResult result, const std::string& error, Duration took) {
  running_ = false;
  ++state_.runs;
  static_cast<void>(results_[result].record(1));
  static_cast<void>(duration_.record(seconds(took)));
  report(result, error);
  state_.up = result == SensorResult::kOk;
  if (state_.up) {
    if (!state_.last_success) {
      // Not before the first success: nothing is better than a time that never was.
      auto handle = context_.registry.series(kSensorLastSuccess, health_labels_);
      if (handle) last_success_ = std::move(handle).value();
    }
    state_.last_success = context_.reactor.wall_now();
    state_.last_success_at = context_.reactor.now();
    static_cast<void>(last_success_.record(seconds(state_.last_success->time_since_epoch())));
  } else {
    ++state_.failures;
  }
  show_health();
}

void SensorRunner::grow_stale() {
  state_.stale = true;
  state_.up = false;
  if (state_.idle.empty()) {
    std::string text = "sensor '" + spec_.name + "' is stale: no good value for ";
    append_number(text, seconds(spec_.stale_after));
    log_warn(kModule, text + " s", {{"sensor", spec_.name}});
  }
  series_.expire(context_.reactor.now());
  show_health();
}

void SensorRunner::report(SensorResult result, const std::string& error) {
  const std::string what = "sensor '" + spec_.name + "': ";
  if (result == SensorResult::kOk) {
    if (failing_) log_info(kModule, what + "works again", {{"sensor", spec_.name}});
    failing_ = false;
    state_.last_error.clear();
    return;
  }
  const bool news = !failing_ || error != state_.last_error;
  state_.last_error = error;
  if (!failing_) {
    log_warn(kModule, what + error,
             {{"sensor", spec_.name}, {"result", sensor_result_name(result)}});
  } else if (news) {
    log_debug(kModule, what + error,
              {{"sensor", spec_.name}, {"result", sensor_result_name(result)}});
  }
  failing_ = true;
}

void SensorRunner::show_health() {
  static_cast<void>(up_gauge_.record(state_.up ? 1 : 0));
  static_cast<void>(stale_gauge_.record(state_.stale && state_.idle.empty() ? 1 : 0));
  static_cast<void>(count_gauge_.record(static_cast<double>(series_.size())));
  if (context_.hooks.updated) context_.hooks.updated(state());
}

SensorState SensorRunner::state() const {
  SensorState state = state_;
  state.series = series_.values();
  if (state.series.size() == 1) state.value = state.series.front().second;
  return state;
}

}  // namespace containerpilot::telemetry
