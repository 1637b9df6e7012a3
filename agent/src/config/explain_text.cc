#include <string>
#include <utility>
#include <vector>

#include "config/explain_words.h"
#include "config/masking.h"
#include "containerpilot/agent/duration.h"
#include "containerpilot/agent/explain.h"

namespace containerpilot::agent {

namespace {

constexpr std::size_t kLabelWidth = 12;

/// "  label        value\n"; nothing for an empty value.
void line(std::string& out, std::string label, const std::string& value) {
  if (value.empty()) return;
  label.resize(std::max(label.size(), kLabelWidth), ' ');
  out += "  " + label + " " + value + "\n";
}

std::string endpoint(const discovery::ServiceSpec& service) {
  const std::string host = service.address.empty() ? "no address" : service.address;
  return service.port == 0 ? host : host + ":" + std::to_string(service.port);
}

std::string advertised_text(const Advertisement& entry) {
  const discovery::ServiceSpec& service = entry.service;
  std::string out =
      service.id + " at " + endpoint(service) + ", TTL " + format_duration(service.ttl);
  if (!service.tags.empty()) {
    out += ", tags";
    for (const std::string& tag : service.tags) out += " " + tag;
  }
  return out;
}

std::string health_text(const HealthSpec& health) {
  std::string out = probe_text(health.probe);
  if (out.empty()) return "as long as it runs, told every " + format_duration(health.interval);
  out += " every " + format_duration(health.interval);
  if (health.timeout > Duration{0}) out += ", at most " + format_duration(health.timeout);
  if (health.start_period > Duration{0}) {
    out += ", failures in the first " + format_duration(health.start_period) + " do not count";
  }
  out += ", unhealthy after " + std::to_string(health.failure_threshold) +
         (health.failure_threshold == 1 ? " failure" : " failures");
  return out;
}

std::string attributes_text(const ProcessSpec& process) {
  std::string out;
  const auto add = [&](const std::string& what) { out += (out.empty() ? "" : ", ") + what; };
  if (!process.user.empty()) add("user " + process.user);
  if (!process.group.empty()) add("group " + process.group);
  if (!process.cwd.empty()) add("in " + process.cwd);
  for (const auto& [name, value] : process.env)
    add(name + "=" + (is_secret_key(name) ? "***" : value));
  for (const std::string& file : process.env_files) add("variables of " + file);
  for (const auto& [name, limit] : process.rlimits) {
    add(name + " " + (limit.soft == UINT64_MAX ? "unlimited" : std::to_string(limit.soft)));
  }
  return out;
}

std::string stop_text(const JobSpec& job, const Plan& plan) {
  const Duration timeout = job.stop_timeout.value_or(plan.stop_timeout);
  std::string out;
  if (job.drain > Duration{0})
    out = "leaves the catalog, " + format_duration(job.drain) + " later ";
  if (timeout < Duration{0}) return out + "SIGKILL";
  return out + signal_text(job.stop_signal) + ", SIGKILL after " + format_duration(timeout);
}

void explain_job(std::string& out, const JobPlan& job, const Plan& plan) {
  const JobSpec& spec = job.spec;
  out += "\njob '" + spec.name + "'\n";
  line(out, "runs",
       spec.exec ? command_text(spec.exec->argv) : "nothing; it only stands for a service");
  if (spec.exec) line(out, "as", attributes_text(*spec.exec));
  line(out, "starts", trigger_text(spec.when));
  if (spec.exec) {
    line(out, "restarts", limit_text(spec.restarts.limit));
    if (spec.exec_timeout > Duration{0}) {
      line(out, "timeout", "killed after " + format_duration(spec.exec_timeout));
    }
    line(out, "stops", stop_text(spec, plan));
  }
  if (spec.health) line(out, "health", health_text(*spec.health));
  if (job.advertise) {
    line(out, "in catalog", advertised_text(*job.advertise));
    line(out, "address", job.advertise->why);
  }
  if (spec.ends_agent) line(out, "its end", "ends the agent with its code");
  if (spec.on_failure == EndAction::kShutdown) line(out, "if it fails", "the agent ends");
  if (spec.on_success == EndAction::kShutdown) line(out, "if it ends", "the agent ends");
}

void explain_telemetry(std::string& out, const TelemetryPlan& telemetry) {
  out += "\ntelemetry\n";
  const telemetry::ServerSpec& server = telemetry.server;
  line(out, "serves",
       (server.tls.cert_file.empty() ? "http://" : "https://") + server.listen + ":" +
           std::to_string(server.port) + server.metrics_path);
  if (!server.bearer_token.empty()) line(out, "token", "***");
  if (telemetry.advertise) {
    line(out, "in catalog", advertised_text(*telemetry.advertise));
    line(out, "address", telemetry.advertise->why);
  }
  for (const telemetry::MetricSpec& metric : telemetry.metrics) {
    line(out, "pushed", std::string(telemetry::metric_type_name(metric.type)) + " " + metric.name);
  }
}

}  // namespace

std::string explain_text(const Plan& plan,
                         const std::vector<discovery::InterfaceAddress>& addresses) {
  std::string out = "generation " + std::to_string(static_cast<int>(plan.generation)) + "\n";
  line(out, "catalog", catalog_text(plan.catalog));
  line(out, "control", plan.control_socket);
  for (const JobPlan& job : plan.jobs) explain_job(out, job, plan);
  for (const discovery::WatchSpec& watch : plan.watches) {
    out += "\nwatch '" + watch.source + "'\n";
    line(out, "watches", watch.dns.empty() ? "service " + watch.name : "DNS name " + watch.dns);
    line(out, "tag", watch.tag);
    line(out, "datacenter", watch.dc);
    line(out, "at least", "every " + format_duration(watch.interval));
  }
  for (const telemetry::SensorSpec& sensor : plan.sensors) {
    out += "\nsensor '" + sensor.name + "'\n";
    line(out, "measures",
         source_text(sensor.source) + " every " + format_duration(sensor.interval));
    line(out, "type", std::string(telemetry::metric_type_name(sensor.metric.type)));
  }
  for (const telemetry::ScalingSpec& scaling : plan.scaling) {
    out += "\nscaling of '" + scaling.service + "'\n";
    line(out, "instances", std::to_string(scaling.min) + " to " + std::to_string(scaling.max));
    for (const telemetry::ScalingTrigger& trigger : scaling.triggers)
      line(out, "by", trigger.metric);
  }
  if (plan.telemetry) explain_telemetry(out, *plan.telemetry);
  out += "\naddresses seen\n";
  for (const discovery::InterfaceAddress& address : addresses)
    line(out, address.interface, address.ip);
  return masked(out, plan.secrets);
}

}  // namespace containerpilot::agent
