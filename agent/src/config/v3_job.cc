#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

#include "config/plan_context.h"
#include "config/special_kinds.h"
#include "containerpilot/agent/duration.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {

constexpr Duration kDefaultInterval = 10s;
constexpr std::string_view kTelemetryJob = "containerpilot";  // may be advertised without health

constexpr const char* kEventNames =
    "exitSuccess, exitFailed, stopping, stopped, ready, healthy, unhealthy, changed, timerExpired, "
    "enterMaintenance, exitMaintenance, error, quit, startup, shutdown, acquired, lost, SIGHUP, "
    "SIGUSR2";

bool is_signal_source(std::string_view source) { return source == "SIGHUP" || source == "SIGUSR2"; }

/// The event `name` of `source`, reporting names that are none.
EventKey make_event(PlanContext& context, const Value<std::string>& name,
                    const std::string& source) {
  if (is_signal_source(*name)) return {EventCode::kSignal, source.empty() ? *name : source};
  const std::optional<EventCode> code = parse_event_code(*name);
  if (!code) {
    std::vector<std::string_view> names;
    for (const EventCode known : kAllEventCodes) {
      if (may_be_waited_for(known)) names.push_back(event_code_name(known));
    }
    const std::string_view near = nearest(*name, names);
    context.problems.error(
        *name.node,
        "found " + describe(*name.node) + ", which is not an event" +
            (near.empty() ? "" : ", did you mean \"" + std::string(near) + "\"?"),
        kEventNames);
    return {};
  }
  return {*code, source};
}

/// `all` and `any`: every element names one event.
std::vector<EventKey> make_events(PlanContext& context,
                                  const Value<std::vector<SourceConfig>>& list) {
  std::vector<EventKey> out;
  if (list->empty())
    context.problems.error(*list.node, "found " + describe(*list.node), "at least one source");
  for (const SourceConfig& one : *list) {
    const bool signal = is_signal_source(*one.source);
    if (signal && !one.once && !one.each) {
      out.push_back({EventCode::kSignal, *one.source});
      continue;
    }
    if (one.once.node != nullptr && one.each.node != nullptr) {
      context.problems.error(*one.node, "found both 'once' and 'each'", "one of them");
      continue;
    }
    const Value<std::string>& name = one.once ? one.once : one.each;
    if (!name) {
      context.problems.error(*one.node, "no event is named", R"({source: "…", once: "healthy"})");
      continue;
    }
    const std::string source = one.source ? *one.source : "global";
    out.push_back(signal ? EventKey{EventCode::kSignal, source}
                         : make_event(context, name, source));
  }
  return out;
}

/// `any`: at the first of these events only? They agree on that, or it is an error.
bool is_for_once(PlanContext& context, const Value<std::vector<SourceConfig>>& list) {
  const auto once = [](const SourceConfig& one) { return one.once.node != nullptr; };
  const auto count = std::count_if(list->begin(), list->end(), once);
  if (count == 0) return false;
  const auto other = std::find_if_not(list->begin(), list->end(), once);
  if (other != list->end())
    context.problems.error(*other->node, "found 'once' and 'each' in one list of 'any'",
                           "the same for all: start at the first of these events, or at every one");
  return true;
}

bool given(const Value<std::string>& value) { return value && !value->empty(); }

/// Reports more than one way to start; true if all is well.
bool check_exclusive(PlanContext& context, const WhenConfig& when) {
  std::vector<std::string> ways;
  if (when.interval) ways.emplace_back("interval");
  if (given(when.once)) ways.emplace_back("once");
  if (given(when.each)) ways.emplace_back("each");
  if (when.schedule) ways.emplace_back("schedule");
  if (when.all) ways.emplace_back("all");
  if (when.any) ways.emplace_back("any");
  const bool condition = when.interval || when.schedule;
  if (when.while_state && !condition) ways.emplace_back("while");
  if (ways.size() < 2) return true;
  context.problems.error(
      *when.node, "found both '" + ways[0] + "' and '" + ways[1] + "'",
      "one of interval, schedule, once, each, while, all, any ('while' may be added to "
      "interval and schedule)");
  return false;
}

void make_wait_timeout(PlanContext& context, const WhenConfig& when, Trigger& out) {
  if (when.timeout) duration().parse(context.problems, **when.timeout, out.timeout);
}

Schedule make_schedule(PlanContext& context, const WhenConfig& when) {
  if (when.time_zone) {
    if (const Status known = check_time_zone(*when.time_zone); !known)
      context.problems.error(*when.time_zone.node, known.error().text());
  }
  auto schedule = parse_schedule(*when.schedule, *when.time_zone);
  if (!schedule) {
    context.problems.error(*when.schedule.node, schedule.error().text());
    return {};
  }
  return std::move(schedule).value();
}

Trigger make_trigger(PlanContext& context, const Value<WhenConfig>& value) {
  Trigger out;
  if (!value) return out;
  const WhenConfig& when = *value;
  if (!check_exclusive(context, when)) return out;
  out.jitter = *when.jitter;
  out.debounce = *when.debounce;
  if (when.overlap) out.overlap = *when.overlap;
  if (when.while_state) {
    if (!given(when.source)) {
      context.problems.error(*when.node, "'while' needs a 'source'",
                             "the job, watch.NAME or lock.NAME meant");
    }
    out.condition = HeldCondition{*when.source, *when.while_state};
  }
  if (when.time_zone && !when.schedule) {
    context.problems.error(*when.time_zone.node, "'timeZone' without 'schedule'", "both or none");
  }
  if (when.interval) {
    out.kind = Trigger::Kind::kInterval;
    out.interval = *when.interval;
    return out;
  }
  if (when.schedule) {
    out.kind = Trigger::Kind::kSchedule;
    out.schedule = make_schedule(context, when);
    return out;
  }
  make_wait_timeout(context, when, out);
  if (when.while_state) {
    out.kind = Trigger::Kind::kWhile;
    out.events.clear();
  } else if (when.all || when.any) {
    out.kind = when.all                         ? Trigger::Kind::kAll
               : is_for_once(context, when.any) ? Trigger::Kind::kOnce
                                                : Trigger::Kind::kEach;
    out.events = make_events(context, when.all ? when.all : when.any);
  } else if (is_signal_source(*when.source)) {
    for (const Value<std::string>* name : {&when.once, &when.each}) {
      if (given(*name)) make_event(context, *name, *when.source);  // of no effect, but no nonsense
    }
    out.kind = Trigger::Kind::kEach;
    out.events = {{EventCode::kSignal, *when.source}};
  } else if (given(when.once) || given(when.each)) {
    out.kind = given(when.once) ? Trigger::Kind::kOnce : Trigger::Kind::kEach;
    const Value<std::string>& name = given(when.once) ? when.once : when.each;
    out.events = {make_event(context, name, *when.source)};
    if (!given(when.source) && !is_signal_source(*name)) {
      context.problems.warning(
          *name.node, "without a source this event never comes, so the job never starts",
          R"(source: "global" for startup and maintenance, else a job's name)");
    }
  } else {
    out.kind = Trigger::Kind::kNever;
    out.events.clear();
    context.problems.warning(*when.node,
                             "this says nothing to wait for, so the job never starts by itself",
                             "source with once or each; interval; schedule; all; any");
  }
  return out;
}

RestartPolicy make_restarts(PlanContext& context, const JobConfig& job, const Trigger& trigger) {
  RestartPolicy out;
  const bool periodic =
      trigger.kind == Trigger::Kind::kInterval || trigger.kind == Trigger::Kind::kSchedule;
  out.limit = Limit{periodic ? Limit::kUnlimited : 0};
  const RestartsConfig& written = *job.restarts;
  if (written.limit) out.limit = *written.limit;
  if (written.delay) out.delay = *written.delay;
  if (written.max_delay) out.max_delay = *written.max_delay;
  if (written.reset_after) out.reset_after = *written.reset_after;
  out.max_delay = std::max(out.delay, out.max_delay);
  const bool each =
      given(job.when->each) || (job.when->any && trigger.kind == Trigger::Kind::kEach);
  if (each && out.limit.unlimited()) {
    context.problems.error(*job.restarts.node, "restarts without end do not go with 'when.each'",
                           "a number of restarts, or \"never\"");
  }
  return out;
}

HealthSpec make_health(PlanContext& context, const HealthConfig& health) {
  HealthSpec out;
  out.probe = make_probe(context, health.process, health.probe, *health.node);
  out.interval = health.interval ? *health.interval : kDefaultInterval;
  out.timeout = health.timeout ? *health.timeout : out.interval;
  if (out.timeout < 0s) {
    context.problems.warning(*health.timeout.node,
                             "found " + describe(*health.timeout.node) + ", taken as no limit",
                             "a duration that is not negative; 0 for no limit");
    out.timeout = 0s;
  }
  out.start_period = *health.start_period;
  out.raw_output = *health.logging->raw;
  if (health.on_failure) out.on_failure = *health.on_failure;
  if (health.success_threshold)
    out.success_threshold = static_cast<unsigned>(*health.success_threshold);
  if (health.failure_threshold) {
    out.failure_threshold = static_cast<unsigned>(*health.failure_threshold);
  } else if (health.ttl) {
    // The old program told the catalog nothing until the TTL ran out: never be stricter, never
    // slower. Its events came with each failure.
    out.failing_at_once = true;
    out.failure_threshold =
        static_cast<unsigned>(std::clamp<std::int64_t>(*health.ttl / out.interval, 1, 1'000'000));
  }
  return out;
}

std::optional<discovery::Health> make_initial_status(PlanContext& context,
                                                     const Value<std::string>& value,
                                                     bool advertised) {
  if (!given(value)) return std::nullopt;
  const std::optional<discovery::Health> status = discovery::parse_health(*value);
  if (status) return status;
  const std::string message = "found " + describe(*value.node);
  constexpr const char* kAccepted = R"("passing", "warning" or "critical")";
  if (advertised) {
    context.problems.error(*value.node, message, kAccepted);
  } else {
    context.problems.warning(*value.node, message + " (of no effect without a port)", kAccepted);
  }
  return std::nullopt;
}

Advertisement advertise(PlanContext& context, const JobConfig& job, bool needs_address) {
  const Node& at = job.interfaces ? *job.interfaces.node : job.port ? *job.port.node : *job.node;
  if (!is_service_name(*job.name)) {
    context.problems.error(
        *job.name.node, "found " + describe(*job.name.node) + ", which is not a service name",
        "a lower-case letter, then letters, digits and dashes; at least two characters");
  }
  Advertisement out = make_advertisement(context, *job.name, *job.interfaces, at, needs_address);
  out.service.port = *job.port;
  if (*job.port < 0 || *job.port > 65535) {
    context.problems.warning(
        *job.port.node,
        "found " + describe(*job.port.node) + ", which is no TCP port; it is registered as it is");
  }
  out.service.tags = *job.tags;
  for (const auto& [key, value] : *job.meta) out.service.meta[key] = value;
  out.service.initial_status = make_initial_status(context, job.initial_status, true);
  out.service.enable_tag_override = *job.consul->enable_tag_override;
  out.service.deregister_critical_after = *job.consul->deregister_after;
  if (given(job.consul->deregister_after) && !parse_go_duration(*job.consul->deregister_after)) {
    context.problems.error(*job.consul->deregister_after.node,
                           "found " + describe(*job.consul->deregister_after.node),
                           "a duration with a unit, like \"10m\"");
  }
  if (job.health) {
    const HealthConfig& health = *job.health;
    const Duration interval = health.interval ? *health.interval : kDefaultInterval;
    out.service.ttl = health.ttl ? *health.ttl : 3 * interval;
  } else if (*job.name != kTelemetryJob) {
    context.problems.error(*job.node, "a job with a port needs 'health'",
                           R"(health: {exec: "…", interval: 5, ttl: 15})");
  }
  return out;
}

mode_t parse_octal(const std::string& digits) {
  unsigned value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  return static_cast<mode_t>(value);
}

}  // namespace

ProcessSpec make_process(const ProcessConfig& config) {
  ProcessSpec out;
  out.argv = *config.exec;
  out.env = *config.env;
  out.env_files = *config.env_file;
  out.clear_env = *config.clear_env;
  out.cwd = *config.cwd;
  out.user = *config.user;
  out.group = *config.group;
  out.groups = *config.groups;
  if (config.umask) out.umask = parse_octal(*config.umask);
  out.rlimits = *config.rlimits;
  if (config.oom_score_adj) out.oom_score_adj = static_cast<int>(*config.oom_score_adj);
  out.no_new_privileges = *config.no_new_privileges;
  return out;
}

Probe make_probe(PlanContext& context, const ProcessConfig& process, const ProbeConfig& probe,
                 const Node& owner) {
  const int count = (process.exec ? 1 : 0) + (probe.http ? 1 : 0) + (probe.tcp ? 1 : 0) +
                    (probe.unix_socket ? 1 : 0);
  if (count > 1) {
    context.problems.error(owner, "more than one way to ask is given",
                           "one of exec, http, tcp, unix");
  }
  if (process.exec) return make_process(process);
  if (probe.http) return *probe.http;
  if (probe.tcp) return *probe.tcp;
  if (probe.unix_socket) return *probe.unix_socket;
  return std::monostate();
}

JobPlan make_v3_job(PlanContext& context, const JobConfig& config, bool needs_address) {
  JobPlan out;
  JobSpec& spec = out.spec;
  spec.name = *config.name;
  if (config.process.exec) spec.exec = make_process(config.process);
  spec.when = make_trigger(context, config.when);
  spec.restarts = make_restarts(context, config, spec.when);
  if (config.timeout) {
    spec.exec_timeout = *config.timeout;
  } else if (spec.when.kind == Trigger::Kind::kInterval) {
    spec.exec_timeout = spec.when.interval;
  }
  if (config.health) spec.health = make_health(context, *config.health);
  if (config.stop_signal) spec.stop_signal = *config.stop_signal;
  if (config.stop_timeout) spec.stop_timeout = *config.stop_timeout;
  spec.drain = *config.drain;
  if (config.on_success) spec.on_success = *config.on_success;
  if (config.on_failure) spec.on_failure = *config.on_failure;
  const JobLoggingConfig& logging = *config.logging;
  spec.output = {logging.raw ? *logging.raw : !logging.file->empty(), *logging.file,
                 *logging.merge_json, static_cast<unsigned>(*logging.max_rate)};
  spec.notify = *config.notify;
  if (spec.notify && !spec.exec) {
    context.problems.error(*config.notify.node, "'notify' without 'exec'",
                           "a job that runs something");
  }
  const bool watched = spec.notify && spec.health && config.health->ttl &&
                       std::holds_alternative<std::monostate>(spec.health->probe);
  if (watched) spec.health->watchdog = *config.health->ttl;
  const bool advertised = *config.port != 0 || *config.advertise;
  spec.advertised = advertised;
  if (advertised && config.name) {
    out.advertise = advertise(context, config, needs_address);
  } else {
    make_initial_status(context, config.initial_status, false);
  }
  if (config.advertise && !*config.advertise && *config.port != 0) {
    context.problems.error(*config.advertise.node, "a job with a port is advertised",
                           "true, or no port");
  }
  return out;
}

}  // namespace containerpilot::agent
