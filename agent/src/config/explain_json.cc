#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/explain_words.h"
#include "config/masking.h"
#include "containerpilot/agent/duration.h"
#include "containerpilot/agent/explain.h"

namespace containerpilot::agent {

namespace {

using Json = nlohmann::ordered_json;

Json process_json(const ProcessSpec& process) {
  Json out = {{"argv", masked_command(process.argv)}};
  for (const auto& [name, value] : process.env)
    out["env"][name] = is_secret_key(name) ? "***" : value;
  if (!process.env_files.empty()) out["envFile"] = process.env_files;
  if (!process.user.empty()) out["user"] = process.user;
  if (!process.group.empty()) out["group"] = process.group;
  if (!process.cwd.empty()) out["cwd"] = process.cwd;
  return out;
}

Json limit_json(const Limit& limit) {
  return limit.unlimited() ? Json("unlimited") : Json(limit.count);
}

Json service_json(const Advertisement& entry) {
  const discovery::ServiceSpec& service = entry.service;
  Json out = {{"id", service.id},           {"name", service.name},
              {"address", service.address}, {"port", service.port},
              {"why", entry.why},           {"interfaces", entry.interfaces},
              {"tags", service.tags},       {"ttl", format_duration(service.ttl)}};
  if (service.initial_status)
    out["initialStatus"] = discovery::health_name(*service.initial_status);
  return out;
}

Json job_json(const JobPlan& job, const Plan& plan) {
  const JobSpec& spec = job.spec;
  Json out = {{"name", spec.name}, {"starts", trigger_text(spec.when)}};
  if (spec.exec) {
    out["exec"] = process_json(*spec.exec);
    out["restarts"] = limit_json(spec.restarts.limit);
    if (spec.exec_timeout > Duration{0}) out["timeout"] = format_duration(spec.exec_timeout);
    out["stopSignal"] = signal_text(spec.stop_signal);
    out["stopTimeout"] = format_duration(spec.stop_timeout.value_or(plan.stop_timeout));
  }
  if (spec.health) {
    out["health"] = {{"probe", probe_text(spec.health->probe)},
                     {"interval", format_duration(spec.health->interval)},
                     {"timeout", format_duration(spec.health->timeout)},
                     {"failureThreshold", spec.health->failure_threshold},
                     {"successThreshold", spec.health->success_threshold}};
  }
  if (job.advertise) out["service"] = service_json(*job.advertise);
  return out;
}

Json sensor_json(const telemetry::SensorSpec& sensor) {
  return {{"name", sensor.name},
          {"source", source_text(sensor.source)},
          {"type", telemetry::metric_type_name(sensor.metric.type)},
          {"interval", format_duration(sensor.interval)},
          {"timeout", format_duration(sensor.timeout)},
          {"staleAfter", format_duration(sensor.stale_after)}};
}

Json scaling_json(const telemetry::ScalingSpec& scaling) {
  Json out = {{"service", scaling.service}, {"min", scaling.min}, {"max", scaling.max}};
  for (const telemetry::ScalingTrigger& trigger : scaling.triggers) {
    const bool shared = trigger.scope == telemetry::ScalingScope::kService;
    out["triggers"].push_back({{"metric", trigger.metric},
                               {"target", trigger.target},
                               {"scope", shared ? "service" : "instance"}});
  }
  return out;
}

Json telemetry_json(const TelemetryPlan& telemetry) {
  Json out = {{"listen", telemetry.server.listen},
              {"port", telemetry.server.port},
              {"path", telemetry.server.metrics_path}};
  if (telemetry.advertise) out["service"] = service_json(*telemetry.advertise);
  for (const telemetry::MetricSpec& metric : telemetry.metrics) {
    out["metrics"].push_back(
        {{"name", metric.name}, {"type", telemetry::metric_type_name(metric.type)}});
  }
  return out;
}

/// Every string, keys too: a secret may stand anywhere.
void mask_strings(Json& value, const Plan& plan) {
  if (value.is_string()) {
    value = masked(value.get_ref<const std::string&>(), plan.secrets);
  } else if (value.is_structured()) {
    for (Json& child : value) mask_strings(child, plan);
  }
}

}  // namespace

std::string explain_json(const Plan& plan,
                         const std::vector<discovery::InterfaceAddress>& addresses, int indent) {
  Json out = {{"generation", static_cast<int>(plan.generation)},
              {"catalog", catalog_text(plan.catalog)},
              {"controlSocket", plan.control_socket},
              {"stopTimeout", format_duration(plan.stop_timeout)}};
  out["jobs"] = Json::array();
  for (const JobPlan& job : plan.jobs) out["jobs"].push_back(job_json(job, plan));
  out["watches"] = Json::array();
  for (const discovery::WatchSpec& watch : plan.watches) {
    out["watches"].push_back({{"source", watch.source},
                              {"service", watch.name},
                              {"tag", watch.tag},
                              {"dc", watch.dc},
                              {"dns", watch.dns},
                              {"interval", format_duration(watch.interval)}});
  }
  out["sensors"] = Json::array();
  for (const telemetry::SensorSpec& sensor : plan.sensors)
    out["sensors"].push_back(sensor_json(sensor));
  out["scaling"] = Json::array();
  for (const telemetry::ScalingSpec& scaling : plan.scaling)
    out["scaling"].push_back(scaling_json(scaling));
  if (plan.telemetry) out["telemetry"] = telemetry_json(*plan.telemetry);
  out["addresses"] = Json::array();
  for (const discovery::InterfaceAddress& address : addresses) {
    out["addresses"].push_back({{"interface", address.interface}, {"ip", address.ip}});
  }
  mask_strings(out, plan);
  // Bytes that are not UTF-8 (from arguments) become U+FFFD instead of an exception.
  std::string text = out.dump(indent, ' ', false, Json::error_handler_t::replace);
  if (indent >= 0) text += "\n";
  return text;
}

}  // namespace containerpilot::agent
