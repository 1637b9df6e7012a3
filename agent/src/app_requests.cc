// What the control socket asks the running agent for.

#include <utility>

#include "app.h"
#include "containerpilot/supervisor/log.h"
#include "signal_names.h"

namespace containerpilot::agent {

namespace {

/// "; watches and sensors changed": what else than jobs a reload changes.
std::string other_changes(const Plan& before, const Plan& after, bool metrics_changed) {
  std::vector<std::string> blocks;
  const auto compare = [&blocks](const char* name, const auto& a, const auto& b,
                                 bool differs = false) {
    if (differs || !(a == b)) blocks.emplace_back(name);
  };
  compare("catalog", before.catalog, after.catalog);
  compare("watches", before.watches, after.watches);
  compare("sensors", before.sensors, after.sensors);
  compare("scaling", before.scaling, after.scaling);
  compare("telemetry", before.telemetry, after.telemetry, metrics_changed);
  compare("logging", before.logging, after.logging);
  compare("control", before.control_socket, after.control_socket);
  std::string text;
  for (const std::string& block : blocks) text += (text.empty() ? "; " : ", ") + block;
  return text.empty() ? text : text + " changed, too";
}

}  // namespace

Result<std::string> App::reload() {
  LoadResult loaded = load_(environment_);
  for (const Problem& warning : loaded.warnings) log_warn("agent", one_line(warning));
  std::string problems;
  for (const Problem& error : loaded.errors) {
    log_error("agent", one_line(error));
    problems += (problems.empty() ? "" : "\n") + one_line(error);
  }
  const auto refuse = [this](Error error) -> Result<std::string> {
    metrics_.on_reload(false, reactor_.wall_now());
    log_error("agent", error.text() + "; everything stays as it was");
    return error;
  };
  if (!loaded.plan)
    return refuse(Error(Errc::kInvalid, "cannot reload the configuration: " + problems));
  if (supervisor_.shutting_down())
    return refuse(Error(Errc::kUnavailable, "cannot reload: the agent is shutting down"));
  Plan& next = *loaded.plan;
  if (next.signals_reload != plan_.signals_reload) {
    return refuse(
        Error(Errc::kInvalid, "cannot reload: the configuration is of another generation now"));
  }

  // First everything that can fail, then everything that cannot.
  std::unique_ptr<ControlServer> control;
  std::unique_ptr<CatalogLink> catalog;
  std::unique_ptr<telemetry::MetricsServer> server;
  if (next.control_socket != plan_.control_socket) {
    auto started = start_control(next.control_socket);
    if (!started) return refuse(std::move(started).error());
    control = std::move(started).value();
  }
  const bool catalog_changes = !(next.catalog == plan_.catalog);
  if (catalog_changes) {
    auto started = start_catalog(next);
    if (!started) return refuse(std::move(started).error());
    catalog = std::move(started).value();
  }
  if (const Status status = configure_log(next.logging); !status)
    return refuse(Error(status.error()));
  const bool server_changes =
      next.telemetry.has_value() != plan_.telemetry.has_value() ||
      (next.telemetry && !(next.telemetry->server == plan_.telemetry->server));
  if (server_changes && next.telemetry) {
    // The old listener has to go first where both want the same port: nothing may fail after that.
    const bool same_port =
        plan_.telemetry && plan_.telemetry->server.port == next.telemetry->server.port;
    if (same_port) server_.reset();
    auto started = start_server(*next.telemetry);
    if (!started) {
      if (same_port) {
        if (auto again = start_server(*plan_.telemetry)) server_ = std::move(again).value();
      }
      static_cast<void>(configure_log(plan_.logging));
      return refuse(std::move(started).error());
    }
    server = std::move(started).value();
  }

  if (control) {
    // Not now: the request that asked for this is answered through the old one.
    reactor_.post([old = std::shared_ptr<ControlServer>(std::move(control_))] {});
    control_ = std::move(control);
  } else if (control_) {
    log_info("control", "control: serving at " + next.control_socket);  // as 3.8.0 said again
  }
  if (server_changes) server_ = std::move(server);
  if (catalog_changes) {
    // The entries in the old catalog are taken out behind our back.
    std::shared_ptr<CatalogLink> old = std::move(catalog_);
    old->shutdown([this, old] { reactor_.post([old] {}); });
    catalog_ = std::move(catalog);
    catalog_->pause_watches(supervisor_.maintenance());
    if (periodic_) catalog_->watch();
  } else {
    catalog_->apply(next);
  }
  const std::vector<telemetry::MetricSpec> metrics = take_metrics(next);
  const std::string others = other_changes(plan_, next, !pushed_.is(metrics));
  set_environment(next);
  if (periodic_) sensors_.retire(next.sensors);  // a metric may take over a name of theirs
  declare_metrics(metrics);
  metrics_.update_jobs(supervisor_.jobs(), plan_.jobs);  // what those counted that go now
  plan_ = std::move(next);
  const ReloadReport report = supervisor_.apply(supervisor_config());
  self_check_ = Watch();  // it may be about the port there was
  if (periodic_) set_sensors();
  if (periodic_) beat();
  metrics_.on_reload(true, reactor_.wall_now());
  pages_.run();
  give_back_later();
  const std::string summary = describe(report) + others;
  log_info("agent", "configuration reloaded: " + summary);
  log_debug("control", "control: reloaded app via control plane");  // scripts wait for these words
  return summary;
}

void App::set_maintenance(bool on) {
  supervisor_.set_maintenance(on);
  sensors_.pause(on);
  catalog_->pause_watches(on);
  metrics_.set_maintenance(on);
  if (on) {
    catalog_->withdraw_telemetry();
  } else if (periodic_) {
    beat();
  }
  pages_.run();  // who asked for it may look at once
}

void App::put_environment(const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [name, value] : pairs) {
    if (environment_.set(name, value)) continue;
    log_warn("control", "cannot set '" + name +
                            "': a name is not empty and holds no '=' and no NUL, ignoring");
  }
}

Status App::put_metrics(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string problems;
  for (const auto& [key, text] : pairs) {
    if (const Status status = pushed_.push(key, text); !status) {
      problems += (problems.empty() ? "" : "; ") + status.error().text();
    }
  }
  if (problems.empty()) return ok();
  log_warn("telemetry", problems);
  return Error(Errc::kInvalid, problems);
}

Status App::job_action(const std::string& job, const std::string& action,
                       const std::string& signal) {
  if (action == "start") return supervisor_.start_job(job);
  if (action == "stop") return supervisor_.stop_job(job);
  if (action == "restart") return supervisor_.restart_job(job);
  const std::optional<int> signo = parse_signal(signal);
  if (!signo) {
    return Error(Errc::kInvalid,
                 "cannot send '" + signal + "': expected a signal like SIGHUP, HUP or 1");
  }
  return supervisor_.signal_job(job, *signo);
}

}  // namespace containerpilot::agent
