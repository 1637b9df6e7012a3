#include "app.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "containerpilot/supervisor/log.h"
#include "live_page.h"
#include "signal_names.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {
constexpr Duration kTelemetryBeat = 5s;     // of 3.x; the entry's TTL is 15 s
constexpr Duration kSelfCheckTimeout = 9s;  // a beat that late still comes before the TTL is over
constexpr Duration kHealthBeat = 1s;        // /healthz is renewed this often
constexpr Duration kHealthValid =
    5s;  // and says 503 when the loop has not come round for this long
constexpr Duration kPublishDelay = 20ms;  // changes in a burst make one document
constexpr Duration kMaxPublishDelay = 1s;
// At most such a part of the loop's time goes into documents, while much happens and while little
// does.
constexpr int kPublishShare = 100;
constexpr int kPublishShareAtRest = 1000;

EventKey pre_start_succeeded(const JobSpec& pre_start) {
  return {EventCode::kExitSuccess, pre_start.name};
}
}  // namespace

App::App(EpollReactor& reactor, Launcher& launcher, Resolver& resolver, HttpClient& http,
         Environment environment, std::string hostname, Load load)
    : reactor_(reactor),
      environment_(std::move(environment)),
      hostname_(std::move(hostname)),
      load_(std::move(load)),
      resolver_(resolver),
      http_(http),
      bus_(reactor),
      probes_(reactor, launcher, http, resolver),
      metrics_(registry_),
      pushed_(registry_),
      sensor_pages_(reactor, documents_),
      sensors_(reactor, probes_, environment_, registry_,
               {[this](const HeldCondition& condition) { return supervisor_.holds(condition); },
                [this](const std::string& job) -> std::optional<pid_t> {
                  const auto status = supervisor_.job(job);
                  return status && status->pid != 0 ? std::optional(status->pid) : std::nullopt;
                },
                [this](const telemetry::SensorState& state) { sensor_pages_.update(state); }}),
      scaling_(reactor, registry_, &sensors_,
               [this](const std::string& service) -> std::optional<unsigned> {
                 const auto count = catalog_->healthy_instances(service);
                 return count ? std::optional(static_cast<unsigned>(*count)) : std::nullopt;
               }),
      supervisor_(reactor, launcher, probes_, bus_, environment_, supervisor_hooks()) {}

App::~App() = default;

// ---- start ----

Status App::start(Plan plan) {
  set_environment(plan);
  if (Status status = open(plan); !status) return status;
  plan_ = std::move(plan);
  pre_start_ = plan_.pre_start;
  declare_metrics(plan_);
  watch_signals();
  events_ = bus_.subscribe([this](const Event& event) { on_event(event); });
  reactor_.observe_turns([this](Duration busy, Duration lag) { metrics_.on_turn(busy, lag); });
  metrics_.on_reload(true, reactor_.wall_now());
  supervisor_.start(supervisor_config());
  if (!pre_start_) begin_periodic();
  publish_live_page(documents_);
  publish_health();
  publish_documents();
  return ok();
}

Status App::open(const Plan& plan) {
  // Everything that can fail for reasons outside comes before the first job.
  auto control = start_control(plan.control_socket);
  if (!control) return std::move(control).error();
  auto catalog = start_catalog(plan);
  if (!catalog) return std::move(catalog).error();
  if (plan.telemetry) {
    auto server = start_server(*plan.telemetry);
    if (!server) return std::move(server).error();
    server_ = std::move(server).value();
  }
  control_ = std::move(control).value();
  catalog_ = std::move(catalog).value();
  return ok();
}

Result<std::unique_ptr<telemetry::MetricsServer>> App::start_server(const TelemetryPlan& plan) {
  auto server = telemetry::MetricsServer::start(
      plan.server, registry_, documents_, [this] { metrics_.before_scrape(); }, &feed_);
  if (!server) return std::move(server).error().during("cannot start telemetry");
  log_info("telemetry", "telemetry: serving at " + plan.server.listen + ":" +
                            std::to_string(server.value()->port()));
  return server;
}

Result<std::unique_ptr<CatalogLink>> App::start_catalog(const Plan& plan) {
  return CatalogLink::create(reactor_, resolver_, bus_, plan, hostname_,
                             {[this](std::string_view operation, bool good, Duration latency) {
                                metrics_.on_call(operation, good, latency);
                                // Beat after good beat shows nothing new.
                                const bool routine = operation == "update" ||
                                                     operation == "query" || operation == "wait";
                                if (std::exchange(last_call_good_, good) && good && routine) return;
                                changed();
                              },
                              [this](const discovery::Change& change) {
                                metrics_.on_change(change);
                                changed();
                              }});
}

Result<std::unique_ptr<ControlServer>> App::start_control(const std::string& path) {
  ControlActions actions;
  actions.put_environment = [this](const auto& pairs) { return put_environment(pairs); };
  actions.put_metrics = [this](const auto& pairs) { return put_metrics(pairs); };
  actions.reload = [this] { return reload(); };
  actions.maintenance = [this](bool on) { set_maintenance(on); };
  actions.status = [this] { return status_json(status_input()); };
  actions.job = [this](const std::string& job, const std::string& action,
                       const std::string& signal) { return job_action(job, action, signal); };
  actions.follow = [this](const std::string& job, std::function<void(std::string_view)> line) {
    return supervisor_.follow_output(job, std::move(line));
  };
  actions.requested = [this](const std::string& requested, int code) {
    metrics_.on_control_request(requested, code);
  };
  auto control = ControlServer::listen(reactor_, path, bus_, std::move(actions));
  if (control) log_info("control", "control: serving at " + path);
  return control;
}

SupervisorHooks App::supervisor_hooks() {
  SupervisorHooks hooks;
  hooks.report = [this](const std::string& job, bool passing, const std::string& output) {
    catalog_->report(job, passing, output);
  };
  hooks.withdraw = [this](const std::string& job, std::function<void()> done) {
    if (supervisor_.shutting_down() && serves_catalog(job)) {
      // Everybody else has left by now; what remains has to go before the catalog does.
      catalog_->withdraw_all(std::move(done));
      catalog_->expect_down();
    } else {
      catalog_->withdraw(job, std::move(done));
    }
  };
  hooks.run_environment = [this](const std::vector<Event>& why,
                                 std::vector<std::string>& environment) {
    catalog_->describe_change(why, environment);
  };
  hooks.started = [this](const JobStatus&) { changed(); };
  hooks.exited = [this](const JobStatus& job, ExitStatus exit, Duration ran) {
    metrics_.on_exit(job, exit, ran);
    if (serves_catalog(job.name)) catalog_->expect_down();
    changed();
  };
  hooks.checked = [this](const std::string& job, const ProbeResult& result) {
    metrics_.on_check(job, result);
  };
  hooks.shutdown_begins = [this] {
    // Nobody shall scrape, or scale by, an agent that is about to go.
    beat_timer_ = Watch();
    self_check_ = Watch();
    catalog_->withdraw_telemetry();
  };
  hooks.finished = [this](int code, const std::string& why) { on_finished(code, why); };
  return hooks;
}

bool App::serves_catalog(const std::string& job) const {
  return std::any_of(plan_.jobs.begin(), plan_.jobs.end(), [&job](const JobPlan& plan) {
    return plan.spec.serves_catalog && plan.spec.name == job;
  });
}

SupervisorConfig App::supervisor_config() const {
  SupervisorConfig config;
  for (const JobPlan& job : plan_.jobs) config.jobs.push_back(job.spec);
  if (pre_start_) {
    // What would start with the agent starts with the success of preStart.
    for (JobSpec& job : config.jobs) {
      std::replace(job.when.events.begin(), job.when.events.end(),
                   EventKey{EventCode::kStartup, "global"}, pre_start_succeeded(*pre_start_));
    }
    config.jobs.insert(config.jobs.begin(), *pre_start_);
    config.jobs.front().survives_reload = true;
  }
  config.stop_timeout = plan_.stop_timeout;
  config.runs_without_jobs = plan_.runs_without_jobs;
  return config;
}

void App::set_environment(const Plan& plan) {
  environment_.set("CONTAINERPILOT_PID", std::to_string(::getpid()));
  for (const auto& [name, value] : plan.environment) environment_.set(name, value);
}

void App::declare_metrics(const Plan& plan) {
  const auto metrics =
      plan.telemetry ? plan.telemetry->metrics : std::vector<telemetry::MetricSpec>();
  if (const Status status = pushed_.set(metrics); !status)
    log_error("telemetry", status.error().text());
}

void App::set_sensors() {
  sensors_.set(plan_.sensors);
  sensor_pages_.replace(sensors_.states());
  scaling_.set(plan_.scaling);
}

// ---- signals, events, time ----

void App::watch_signals() {
  for (const int signo : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) {
    signals_.push_back(reactor_.on_signal(
        signo, [this, signo](const siginfo_t&) { on_signal(signo, signal_name(signo)); }));
  }
}

void App::on_signal(int signo, const std::string& name) {
  switch (signo) {
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:  // what an nginx image asks for by STOPSIGNAL
      supervisor_.shutdown("received " + name);
      break;
    case SIGHUP:
      if (plan_.signals_reload) {
        // Its outcome is in the log; there is nobody else to tell.
        static_cast<void>(reload());
        break;
      }
      [[fallthrough]];
    case SIGUSR2:
      bus_.publish({EventCode::kSignal, name}, 0);
      break;
    case SIGUSR1:
      if (plan_.signals_reload) {
        set_maintenance(!supervisor_.maintenance());
      } else if (const Status status = reopen_log(); !status) {
        log_error("agent", status.error().text());
      }
      break;
    default:
      break;
  }
}

void App::on_event(const Event& event) {
  metrics_.on_event(event);
  if (server_) feed_.publish("event", event_json(event));
  if (pre_start_ && event.key == pre_start_succeeded(*pre_start_)) begin_periodic();
  changed();
}

void App::begin_periodic() {
  if (periodic_) return;
  periodic_ = true;
  catalog_->watch();
  set_sensors();
  beat();
}

/// The telemetry entry is kept alive by what a prober would see: the port accepts, a worker is free
/// and the loop has come round lately (/healthz).
void App::beat() {
  beat_timer_ = reactor_.after(kTelemetryBeat, [this] { beat(); });
  if (supervisor_.maintenance() || !server_ || !catalog_->advertises_telemetry()) return;
  if (self_check_.active()) return;  // its answer will tell
  const telemetry::ServerSpec& server = plan_.telemetry->server;
  const bool any = server.listen == "0.0.0.0" || server.listen == "::";
  const std::string host = any ? "127.0.0.1"
                           : server.listen.find(':') != std::string::npos
                               ? "[" + server.listen + "]"
                               : server.listen;
  HttpRequest request;
  request.url = std::string(server.tls.cert_file.empty() ? "http" : "https") + "://" + host + ":" +
                std::to_string(server_->port()) + "/healthz";
  request.timeout = kSelfCheckTimeout;
  request.tls.verify = false;  // it is ourselves, under a name the certificate need not have
  self_check_ = http_.request(std::move(request), [this](Result<HttpResponse> answer) {
    const Watch over = std::move(self_check_);
    if (supervisor_.maintenance() || supervisor_.shutting_down()) return;
    if (!answer) {
      catalog_->beat_telemetry(Error(answer.error()).during("cannot reach the telemetry port"));
    } else if (answer.value().status != 200) {
      catalog_->beat_telemetry(
          Error(Errc::kUnavailable, "the telemetry port says: " + answer.value().body));
    } else {
      catalog_->beat_telemetry(ok());
    }
  });
}

// ---- what the control socket asks ----

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
  const bool server_changes =
      next.telemetry.has_value() != plan_.telemetry.has_value() ||
      (next.telemetry && !(next.telemetry->server == plan_.telemetry->server));
  if (server_changes && next.telemetry) {
    // The old listener has to go first where both want the same port.
    const bool same_port =
        plan_.telemetry && plan_.telemetry->server.port == next.telemetry->server.port;
    if (same_port) server_.reset();
    auto started = start_server(*next.telemetry);
    if (!started) {
      if (same_port) {
        if (auto again = start_server(*plan_.telemetry)) server_ = std::move(again).value();
      }
      return refuse(std::move(started).error());
    }
    server = std::move(started).value();
  }
  const bool catalog_changes = !(next.catalog == plan_.catalog);
  if (catalog_changes) {
    auto started = start_catalog(next);
    if (!started) return refuse(std::move(started).error());
    catalog = std::move(started).value();
  }
  if (const Status status = configure_log(next.logging); !status)
    return refuse(Error(status.error()));

  if (control) {
    // Not now: the request that asked for this is answered through the old one.
    reactor_.post([old = std::shared_ptr<ControlServer>(std::move(control_))] {});
    control_ = std::move(control);
  }
  if (server_changes) server_ = std::move(server);
  if (catalog_changes) {
    // The entries in the old catalog are taken out behind our back.
    std::shared_ptr<CatalogLink> old = std::move(catalog_);
    old->shutdown([this, old] { reactor_.post([old] {}); });
    catalog_ = std::move(catalog);
    if (periodic_) catalog_->watch();
  } else {
    catalog_->apply(next);
  }
  set_environment(next);
  declare_metrics(next);
  plan_ = std::move(next);
  const ReloadReport report = supervisor_.apply(supervisor_config());
  self_check_ = Watch();  // it may be about the port there was
  if (periodic_) set_sensors();
  if (periodic_) beat();
  metrics_.on_reload(true, reactor_.wall_now());
  publish_documents();
  std::string summary;
  for (const auto& [what, names] :
       {std::pair("added", &report.added), std::pair("removed", &report.removed),
        std::pair("changed", &report.changed)}) {
    if (names->empty()) continue;
    summary += (summary.empty() ? "" : "; ") + std::string(what) + ":";
    for (const std::string& name : *names) summary += " " + name;
  }
  summary = summary.empty() ? "no job changed" : summary;
  summary += "; " + std::to_string(report.unchanged.size()) + " unchanged";
  log_info("agent", "configuration reloaded: " + summary);
  return summary;
}

void App::set_maintenance(bool on) {
  supervisor_.set_maintenance(on);
  sensors_.pause(on);
  metrics_.set_maintenance(on);
  if (on) {
    catalog_->withdraw_telemetry();
  } else if (periodic_) {
    beat();
  }
  changed();
}

Status App::put_environment(const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [name, value] : pairs) {
    if (!environment_.set(name, value)) {
      return Error(Errc::kInvalid,
                   "cannot set '" + name + "': a name is not empty and holds no '=' and no NUL");
    }
  }
  return ok();
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

// ---- the end ----

void App::on_finished(int code, const std::string& why) {
  if (finishing_) return;
  finishing_ = true;
  exit_code_ = code;
  why_ = why;
  sensors_.stop();
  beat_timer_ = Watch();
  self_check_ = Watch();
  // The process hooks of the last job are still on the stack.
  catalog_->shutdown([this] { reactor_.stop(); });
}

// ---- what others see ----

void App::changed() {
  if (!server_ || publish_timer_.active() || finishing_) return;
  // A thousand jobs make long documents: those come less often.
  const Duration delay =
      std::clamp<Duration>(publish_cost_ * kPublishShare, kPublishDelay, kMaxPublishDelay);
  publish_timer_ = reactor_.after(delay, [this] {
    publish_timer_ = Watch();
    const auto start = std::chrono::steady_clock::now();
    publish_documents();
    publish_cost_ = std::chrono::steady_clock::now() - start;
    published_at_ = reactor_.now();
  });
}

StatusInput App::status_input() const {
  std::vector<ScalingState> scaling;
  for (const telemetry::ScalingSpec& rule : plan_.scaling) {
    const telemetry::ScalingDecision* decision = scaling_.decision(rule.service);
    const auto instances = catalog_->healthy_instances(rule.service);
    scaling.push_back(
        {rule, decision ? *decision : telemetry::ScalingDecision(),
         instances ? std::optional(static_cast<unsigned>(*instances)) : std::nullopt});
  }
  return {.plan = plan_,
          .jobs = supervisor_.jobs(),
          .entries = catalog_->entries(),
          .watches = catalog_->watches(),
          .sensors = sensors_.states(),
          .scaling = std::move(scaling),
          .catalog = catalog_->name(),
          .catalog_up = catalog_->up(),
          .maintenance = supervisor_.maintenance(),
          .shutting_down = supervisor_.shutting_down(),
          .now = reactor_.wall_now(),
          .now_monotonic = reactor_.now()};
}

void App::publish_documents() {
  if (!server_) return;
  const StatusInput input = status_input();
  metrics_.update_jobs(input.jobs);
  metrics_.update_catalog(!input.catalog.empty(), input.catalog_up, input.entries, input.watches,
                          input.now, input.now_monotonic);
  documents_.publish(
      "/status", {.status = 200, .content_type = "application/json", .body = status_json(input)});
  documents_.publish(
      "/sd/prometheus",
      {.status = 200, .content_type = "application/json", .body = targets_document()});
  const Readiness ready = readiness(input);
  std::string verbose;
  for (const std::string& condition : ready.conditions) verbose += condition + "\n";
  const int status = ready.ready ? 200 : 503;
  documents_.publish("/readyz", {.status = status,
                                 .content_type = "text/plain; charset=utf-8",
                                 .body = ready.ready ? "ok\n" : verbose});
  documents_.publish(
      "/readyz?verbose",
      {.status = status, .content_type = "text/plain; charset=utf-8", .body = verbose});
}

void App::publish_health() {
  const telemetry::Document alive = {.status = 200,
                                     .content_type = "text/plain; charset=utf-8",
                                     .body = "ok\n",
                                     .valid_for = kHealthValid};
  documents_.publish("/healthz", alive);
  documents_.publish("/healthz?verbose", alive);
  health_timer_ = reactor_.after(kHealthBeat, [this] { publish_health(); });
  // Ages and sensor values move without any event.
  const bool moves = !plan_.sensors.empty() || !plan_.watches.empty();
  if (moves && reactor_.now() - published_at_ >= publish_cost_ * kPublishShareAtRest) changed();
}

std::string App::targets_document() const {
  nlohmann::ordered_json targets = nlohmann::ordered_json::array();
  const auto add = [&](const std::string& address, std::uint16_t port, const std::string& service,
                       const std::string& id, const std::string& path) {
    const std::string host = address.find(':') == address.npos ? address : "[" + address + "]";
    targets.push_back({{"targets", {host + ":" + std::to_string(port)}},
                       {"labels",
                        {{"__metrics_path__", path},
                         {"__meta_containerpilot_service", service},
                         {"__meta_containerpilot_service_id", id}}}});
  };
  const std::vector<discovery::Instance> endpoints = catalog_->telemetry_endpoints();
  for (const discovery::Instance& endpoint : endpoints) {
    const auto path = endpoint.meta.find("metrics_path");
    add(endpoint.address, endpoint.port, endpoint.name, endpoint.id,
        path == endpoint.meta.end() ? "/metrics" : path->second);
  }
  // Without a catalog there is at least this one.
  if (catalog_->name().empty() && plan_.telemetry && server_) {
    add(plan_.telemetry->server.listen, server_->port(), "containerpilot", hostname_,
        plan_.telemetry->server.metrics_path);
  }
  return targets.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace containerpilot::agent
