#include "config/explain_words.h"

#include <csignal>
#include <cstring>
#include <type_traits>
#include <variant>

#include "config/masking.h"
#include "containerpilot/agent/duration.h"

namespace containerpilot::agent {

namespace {

std::string event_text(const EventKey& event) {
  if (event.code == EventCode::kSignal) return event.source;
  return std::string(event_code_name(event.code)) + " of '" + event.source + "'";
}

std::string events_text(const std::vector<EventKey>& events, const char* separator) {
  std::string out;
  for (const EventKey& event : events) out += (out.empty() ? "" : separator) + event_text(event);
  return out;
}

std::string condition_text(const HeldCondition& condition) {
  return "'" + condition.source + "' is " + std::string(held_state_name(condition.state));
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string with_condition(std::string text, const Trigger& trigger) {
  if (trigger.condition) text += ", as long as " + condition_text(*trigger.condition);
  return text;
}

}  // namespace

std::string command_text(const std::vector<std::string>& argv) {
  std::string out;
  for (const std::string& word : masked_command(argv)) {
    if (!out.empty()) out += ' ';
    const bool plain =
        !word.empty() && word.find_first_of(" \t\n'\"\\$`*?;&|<>(){}[]#~") == std::string::npos;
    if (plain) {
      out += word;
      continue;
    }
    out += '\'';
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    out += '\'';
  }
  return out;
}

std::string trigger_text(const Trigger& trigger) {
  const bool at_start = trigger.events == Trigger().events;
  switch (trigger.kind) {
    case Trigger::Kind::kOnce:
      return at_start ? "when the agent starts" : "once, at " + events_text(trigger.events, " or ");
    case Trigger::Kind::kEach:
      return "at each " + events_text(trigger.events, " or ");
    case Trigger::Kind::kAll:
      return "once all of these came: " + events_text(trigger.events, ", ");
    case Trigger::Kind::kInterval: {
      std::string out = "every " + format_duration(trigger.interval);
      out += trigger.first_run_at_once ? ", first at once" : ", first after that time";
      if (!at_start) out += ", from " + events_text(trigger.events, " or ");
      return with_condition(std::move(out), trigger);
    }
    case Trigger::Kind::kSchedule: {
      std::string out = "at '" + trigger.schedule.text + "'";
      if (!trigger.schedule.time_zone.empty()) out += " in " + trigger.schedule.time_zone;
      return with_condition(std::move(out), trigger);
    }
    case Trigger::Kind::kWhile:
      return with_condition("and runs", trigger);
    case Trigger::Kind::kNever:
      break;
  }
  return "never by itself";
}

std::string probe_text(const Probe& probe) {
  if (const auto* process = std::get_if<ProcessSpec>(&probe))
    return "runs " + command_text(process->argv);
  if (const auto* http = std::get_if<HttpProbe>(&probe)) return "GET " + http->url;
  if (const auto* tcp = std::get_if<TcpProbe>(&probe)) {
    return "connects to " + tcp->host + ":" + std::to_string(tcp->port);
  }
  if (const auto* local = std::get_if<UnixProbe>(&probe)) return "connects to " + local->path;
  return "";
}

std::string source_text(const telemetry::SensorSource& source) {
  if (const auto* file = std::get_if<telemetry::FileSource>(&source)) return "reads " + file->path;
  if (const auto* cgroup = std::get_if<telemetry::CgroupSource>(&source)) {
    return "cgroup " + joined(cgroup->groups);
  }
  if (const auto* process = std::get_if<telemetry::ProcessSource>(&source)) {
    return "processes of job '" + process->job + "'";
  }
  if (const auto* command = std::get_if<ProcessSpec>(&source)) return probe_text(*command);
  if (const auto* http = std::get_if<HttpProbe>(&source)) return probe_text(*http);
  if (const auto* tcp = std::get_if<TcpProbe>(&source)) return probe_text(*tcp);
  return probe_text(std::get<UnixProbe>(source));
}

std::string catalog_text(const discovery::CatalogSpec& catalog) {
  using CatalogKind = discovery::CatalogSpec::Kind;
  switch (catalog.kind) {
    case CatalogKind::kNone:
      return "none";
    case CatalogKind::kEmbedded:
      return "embedded, at " + catalog.embedded.listen;
    case CatalogKind::kEtcd:
      return "etcd at " + joined(catalog.etcd.endpoints) + ", below " + catalog.etcd.prefix;
    case CatalogKind::kConsul:
      break;
  }
  const discovery::ConsulSpec& consul = catalog.consul;
  if (consul.unix_socket) return "Consul at unix://" + consul.address;
  std::string out = "Consul at " + consul.scheme + "://" + consul.address;
  if (consul.scheme == "https" && !consul.tls.verify) out += " (its certificate is not checked)";
  return out;
}

std::string limit_text(const Limit& limit) {
  if (limit.unlimited()) return "without limit";
  if (limit.count == 0) return "never";
  return limit.count == 1 ? "once" : std::to_string(limit.count) + " times";
}

std::string signal_text(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? "signal " + std::to_string(signal) : "SIG" + std::string(name);
}

}  // namespace containerpilot::agent
