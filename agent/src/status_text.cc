#include "status_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace containerpilot::agent {

namespace {

using Json = nlohmann::json;

Json parse(const std::string& text) { return Json::parse(text, nullptr, false); }

std::vector<const Json*> all_jobs(const Json& status) {
  std::vector<const Json*> result;
  for (const char* list : {"Services", "Jobs"}) {
    if (!status.contains(list) || !status[list].is_array()) continue;
    for (const Json& job : status[list]) {
      if (job.is_object()) result.push_back(&job);
    }
  }
  return result;
}

std::string text(const Json& object, const char* key, const std::string& otherwise = "") {
  if (!object.contains(key)) return otherwise;
  const Json& value = object[key];
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? otherwise : value.dump();
}

/// Columns as wide as their widest cell.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string result;
  for (const auto& row : rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    result += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return result;
}

std::string one_line(std::string value) {
  std::replace(value.begin(), value.end(), '\n', ' ');
  if (value.size() > 100) value = value.substr(0, 97) + "...";
  return value;
}

std::string why_in_short(const Json& job) {
  if (!job.contains("Why") || job["Why"].empty()) return "";
  const Json& event = job["Why"].front();
  const std::string source = text(event, "source");
  return text(event, "code") + (source == "global" ? "" : " of " + source);
}

bool healthy(const Json& job) {
  const std::string status = text(job, "Status");
  if (status == "unhealthy" || job.value("CrashLoop", false)) return false;
  const bool failed = text(job, "State") == "complete" && job.contains("LastExit") &&
                      job["LastExit"].value("Code", 0) != 0;
  return !failed;
}

}  // namespace

std::string status_screen(const std::string& status_json) {
  const Json status = parse(status_json);
  if (!status.is_object()) return "cannot read the agent's answer\n";
  std::string screen = "containerpilot " + text(status, "Version") +
                       (status.value("Maintenance", false) ? ", in maintenance" : "") +
                       (status.value("Stopping", false) ? ", shutting down" : "") + "\n";
  std::vector<std::vector<std::string>> rows = {
      {"JOB", "STATUS", "STATE", "SINCE", "RESTARTS", "LAST EXIT", "BECAUSE OF", "CHECK"}};
  for (const Json* job : all_jobs(status)) {
    std::string check;
    if (job->contains("Check")) {
      const Json& last = (*job)["Check"];
      check = last.value("Ok", false) ? "ok"
                                      : one_line(text(last, "Reason") + " " + text(last, "Output"));
    }
    rows.push_back({text(*job, "Name"), text(*job, "Status"), text(*job, "State", "-"),
                    text(*job, "Since", "-"), text(*job, "Restarts", "-"),
                    job->contains("LastExit") ? text((*job)["LastExit"], "Reason") : "-",
                    why_in_short(*job), check});
  }
  if (rows.size() > 1) screen += "\nJobs\n" + table(rows);
  if (status.contains("Catalog") && status["Catalog"].is_object()) {
    const Json& catalog = status["Catalog"];
    screen += "\nCatalog: " + text(catalog, "Name") +
              (catalog.value("Up", false) ? ", answers\n" : ", does not answer\n");
    rows = {};
    for (const Json& entry : catalog.value("Entries", Json::array())) {
      rows.push_back({text(entry, "Id"),
                      entry.value("Registered", false) ? "registered" : "not registered",
                      text(entry, "Health"), text(entry, "Error")});
    }
    screen += table(rows);
  }
  rows = {{"WATCH", "INSTANCES", "CHANGES", "AGE"}};
  for (const Json& watch : status.value("WatchDetails", Json::array())) {
    rows.push_back(
        {text(watch, "Name"), std::to_string(watch.value("Instances", Json::array()).size()),
         text(watch, "Changes"), text(watch, "AgeSeconds", "never"), text(watch, "Error")});
  }
  if (rows.size() > 1) screen += "\nWatches\n" + table(rows);
  rows = {{"SENSOR", "STATE", "VALUE", "AGE", "RUNS", "FAILURES", "ERROR"}};
  for (const Json& sensor : status.value("Sensors", Json::array())) {
    rows.push_back(
        {text(sensor, "Name"),
         sensor.value("Stale", false) ? "stale" : (sensor.value("Up", false) ? "up" : "down"),
         text(sensor, "Value", "-"), text(sensor, "AgeSeconds", "never"), text(sensor, "Runs"),
         text(sensor, "Failures"), one_line(text(sensor, "Error"))});
  }
  if (rows.size() > 1) screen += "\nSensors\n" + table(rows);
  return screen;
}

bool status_all_healthy(const std::string& status_json) {
  const Json status = parse(status_json);
  if (!status.is_object()) return false;
  const auto jobs = all_jobs(status);
  const bool catalog_down = status.contains("Catalog") && status["Catalog"].is_object() &&
                            !status["Catalog"].value("Up", false);
  return !catalog_down &&
         std::all_of(jobs.begin(), jobs.end(), [](const Json* job) { return healthy(*job); });
}

Result<std::string> why_text(const std::string& status_json, const std::string& job, bool json) {
  const Json status = parse(status_json);
  if (!status.is_object()) return Error(Errc::kInvalid, "cannot read the agent's answer");
  std::string known;
  for (const Json* candidate : all_jobs(status)) {
    const std::string name = text(*candidate, "Name");
    known += (known.empty() ? "" : ", ") + name;
    if (name != job) continue;
    const Json chain = candidate->value("Why", Json::array());
    if (json) return chain.dump() + "\n";
    if (chain.empty()) return "job '" + job + "' has not run because of an event\n";
    std::string result;
    for (const Json& event : chain) {
      result += text(event, "at") + "  " + text(event, "code") + " of " + text(event, "source");
      if (event.contains("detail")) result += "  (" + text(event, "detail") + ")";
      result += "\n";
    }
    return result;
  }
  return Error(Errc::kNotFound, "cannot find a job named '" + job + "'; there are: " + known);
}

}  // namespace containerpilot::agent
