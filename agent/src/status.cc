#include "status.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "config/masking.h"
#include "containerpilot/agent/version.h"

namespace containerpilot::agent {

namespace {

using Json = nlohmann::ordered_json;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Every string: what a job prints and what an error quotes may hold a secret.
void mask_strings(Json& value, const std::vector<std::string>& secrets) {
  if (value.is_string()) {
    value = masked(value.get_ref<const std::string&>(), secrets);
  } else if (value.is_structured()) {
    for (Json& child : value) mask_strings(child, secrets);
  }
}

std::string dump(Json json, const std::vector<std::string>& secrets) {
  mask_strings(json, secrets);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json event_object(const Event& event) {
  Json object = {{"id", event.id},
                 {"cause", event.cause},
                 {"at", format_time(event.at)},
                 {"code", event_code_name(event.key.code)},
                 {"source", event.key.source}};
  if (!event.detail.empty()) object["detail"] = event.detail;
  return object;
}

void add_job_details(Json& entry, const JobStatus& job) {
  entry["State"] = job_state_name(job.state);
  entry["Since"] = format_time(job.since);
  if (job.pid != 0) entry["Pid"] = job.pid;
  if (!job.note.empty()) entry["Note"] = job.note;
  if (job.ready) entry["Ready"] = true;
  if (job.suppressed_lines > 0) entry["SuppressedLines"] = job.suppressed_lines;
  entry["Starts"] = job.starts;
  entry["Restarts"] = job.restarts;
  if (job.last_exit) {
    entry["LastExit"] = {
        {"Code", job.last_exit->shell_code()},
        {"Reason", job.last_start_error.empty() ? describe(*job.last_exit) : job.last_start_error},
        {"RanSeconds", seconds(job.last_run)}};
  }
  if (job.failures_in_a_row > 0) entry["FailuresInARow"] = job.failures_in_a_row;
  if (job.crash_loop) entry["CrashLoop"] = true;
  if (job.next_start) entry["NextStart"] = format_time(*job.next_start);
  if (job.check) {
    Json check = {{"Ok", job.check->ok},
                  {"At", format_time(job.check->at)},
                  {"Seconds", seconds(job.check->duration)}};
    if (!job.check->ok) {
      check["Reason"] = job.check->reason;
      check["Output"] = job.check->last_lines;
      check["FailuresInARow"] = job.check->failures_in_a_row;
    }
    entry["Check"] = std::move(check);
  }
  if (!job.why || job.why->empty()) return;
  Json why = Json::array();
  for (const Event& event : *job.why) why.push_back(event_object(event));
  entry["Why"] = std::move(why);
}

// Empty lists are null, as they always were.
Json list_or_null(Json list) { return list.empty() ? Json(nullptr) : std::move(list); }

Json jobs_of(const StatusInput& input) {
  Json jobs = Json::array();
  for (const JobStatus& job : input.jobs) {
    if (job.advertised) continue;
    Json entry = {{"Name", job.name}, {"Status", job_health_name(job.health)}};
    add_job_details(entry, job);
    jobs.push_back(std::move(entry));
  }
  return list_or_null(std::move(jobs));
}

Json services_of(const StatusInput& input) {
  Json services = Json::array();
  for (const JobStatus& job : input.jobs) {
    if (!job.advertised) continue;
    Json entry = {{"Name", job.name}};
    for (const JobPlan& plan : input.plan.jobs) {
      if (plan.spec.name != job.name || !plan.advertise) continue;
      entry["Address"] = plan.advertise->service.address;
      entry["Port"] = plan.advertise->service.port;
    }
    entry["Status"] = job_health_name(job.health);
    add_job_details(entry, job);
    services.push_back(std::move(entry));
  }
  if (input.plan.telemetry && input.plan.telemetry->advertise) {
    const discovery::ServiceSpec& service = input.plan.telemetry->advertise->service;
    services.push_back({{"Name", service.name},
                        {"Address", service.address},
                        {"Port", service.port},
                        {"Status", "healthy"}});
  }
  return list_or_null(std::move(services));
}

Json watch_details(const StatusInput& input) {
  Json list = Json::array();
  for (const discovery::WatchState& watch : input.watches) {
    Json instances = Json::array();
    for (const discovery::Instance& instance : watch.instances) {
      instances.push_back(
          {{"Id", instance.id}, {"Address", instance.address}, {"Port", instance.port}});
    }
    Json entry = {{"Name", watch.watch.name},
                  {"Known", watch.known},
                  {"Instances", std::move(instances)},
                  {"Changes", watch.changes}};
    if (watch.last_answer) entry["AgeSeconds"] = seconds(input.now_monotonic - *watch.last_answer);
    if (!watch.last_error.empty()) entry["Error"] = watch.last_error;
    list.push_back(std::move(entry));
  }
  return list;
}

Json sensors_of(const StatusInput& input) {
  Json list = Json::array();
  for (const telemetry::SensorState& sensor : input.sensors) {
    Json entry = {{"Name", sensor.name}, {"Up", sensor.up}, {"Stale", sensor.stale}};
    if (sensor.value) entry["Value"] = *sensor.value;
    Json series = Json::object();
    for (const auto& [name, value] : sensor.series) series[name] = value;
    if (!series.empty()) entry["Series"] = std::move(series);
    if (sensor.last_success_at)
      entry["AgeSeconds"] = seconds(input.now_monotonic - *sensor.last_success_at);
    entry["Runs"] = sensor.runs;
    entry["Failures"] = sensor.failures;
    if (!sensor.last_error.empty()) entry["Error"] = sensor.last_error;
    list.push_back(std::move(entry));
  }
  return list;
}

Json scaling_of(const StatusInput& input) {
  Json list = Json::array();
  for (const ScalingState& state : input.scaling) {
    const auto& [spec, decision, instances] = state;
    Json triggers = Json::array();
    for (std::size_t i = 0; i < spec.triggers.size(); ++i) {
      const telemetry::ScalingTrigger& trigger = spec.triggers[i];
      Json entry = {
          {"Metric", trigger.metric},
          {"Target", trigger.target},
          {"Scope", trigger.scope == telemetry::ScalingScope::kInstance ? "instance" : "service"}};
      if (i < decision.ratios.size() && decision.ratios[i]) entry["Ratio"] = *decision.ratios[i];
      triggers.push_back(std::move(entry));
    }
    Json entry = {{"Service", spec.service}, {"Min", spec.min}, {"Max", spec.max}};
    if (instances) entry["Instances"] = *instances;
    if (decision.desired) entry["Desired"] = *decision.desired;
    entry["Hold"] = telemetry::scaling_hold_name(decision.hold);
    entry["Triggers"] = std::move(triggers);
    list.push_back(std::move(entry));
  }
  return list;
}

Json catalog_of(const StatusInput& input) {
  if (input.catalog.empty()) return nullptr;
  Json entries = Json::array();
  for (const discovery::EntryState& entry : input.entries) {
    Json object = {{"Id", entry.service.id},
                   {"Registered", entry.registered},
                   {"Health", discovery::health_name(entry.health)}};
    if (entry.withdrawn) object["Withdrawn"] = true;
    if (!entry.last_error.empty()) object["Error"] = entry.last_error;
    entries.push_back(std::move(object));
  }
  return {{"Name", input.catalog}, {"Up", input.catalog_up}, {"Entries", std::move(entries)}};
}

}  // namespace

std::string format_time(WallTime time) {
  const auto since_epoch = time.time_since_epoch();
  const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch - whole).count();
  const time_t stamp = whole.count();
  tm parts{};
  gmtime_r(&stamp, &parts);
  char buffer[64];
  const std::size_t length = std::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(buffer + length, sizeof buffer - length, ".%03dZ", static_cast<int>(millis));
  return buffer;
}

std::string event_json(const Event& event, const std::vector<std::string>& secrets) {
  return dump(event_object(event), secrets);
}

std::string status_json(const StatusInput& input) {
  Json watches = Json::array();
  for (const discovery::WatchSpec& watch : input.plan.watches) watches.push_back(watch.name);
  Json document = {
      {"Version", version()},
      {"Jobs", jobs_of(input)},
      {"Services", services_of(input)},
      {"Watches", list_or_null(std::move(watches))},
      {"Maintenance", input.maintenance},
      {"Stopping", input.shutting_down},
      {"Catalog", catalog_of(input)},
      {"WatchDetails", watch_details(input)},
      {"Sensors", sensors_of(input)},
      {"Scaling", scaling_of(input)},
      {"MetricsPath",
       input.plan.telemetry ? Json(input.plan.telemetry->server.metrics_path) : Json(nullptr)}};
  return dump(std::move(document), input.plan.secrets) + "\n";
}

Readiness readiness(const StatusInput& input) {
  Readiness result;
  result.ready = true;
  const auto condition = [&result](bool good, const std::string& text) {
    result.conditions.push_back((good ? "ok " : "not ok ") + text);
    result.ready = result.ready && good;
  };
  const bool any_advertised = std::any_of(input.jobs.begin(), input.jobs.end(),
                                          [](const JobStatus& job) { return job.advertised; });
  for (const JobStatus& job : input.jobs) {
    if (any_advertised ? !job.advertised : !job.has_check) continue;
    condition(job.health == JobHealth::kHealthy,
              job.name + " is " + std::string(job_health_name(job.health)));
  }
  if (input.maintenance) condition(false, "maintenance is on");
  if (input.shutting_down) condition(false, "the agent is shutting down");
  return result;
}

}  // namespace containerpilot::agent
