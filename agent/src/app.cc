#include "app.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "config/masking.h"
#include "containerpilot/supervisor/log.h"
#include "give_back.h"
#include "live_page.h"
#include "signal_names.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {
constexpr Duration kSelfCheckTimeout = 9s;  // a beat that late still comes before a TTL of 15 s
constexpr Duration kSettled = 2s;           // after a start or a reload

EventKey pre_start_succeeded(const JobSpec& pre_start) {
  return {EventCode::kExitSuccess, pre_start.name};
}
}  // namespace

App::App(EpollReactor& reactor, Launcher& launcher, Resolver& resolver, HttpClient& http,
         Environment environment, std::string hostname, Load load)
    : reactor_(reactor),
      launcher_(launcher),
      environment_(std::move(environment)),
      hostname_(std::move(hostname)),
      load_(std::move(load)),
      resolver_(resolver),
      http_(http),
      bus_(reactor),
      probes_(reactor, launcher, http, resolver),
      pages_(reactor, [this] { make_documents(); }),
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
               [this](const std::string& service) -> telemetry::ScalingSignals::Instances {
                 const auto count = catalog_->healthy_instances(service);
                 if (!count) return {std::nullopt, /*awaited=*/!catalog_->name().empty()};
                 return {static_cast<unsigned>(*count)};
               }),
      supervisor_(reactor, launcher, probes_, bus_, environment_, supervisor_hooks()) {}

App::~App() { pages_.close(); }

// ---- start ----

Status App::start(Plan plan) {
  set_environment(plan);
  declare_metrics(take_metrics(plan));  // before the first scrape can come
  if (Status status = open(plan); !status) return status;
  plan_ = std::move(plan);
  pre_start_ = plan_.pre_start;
  watch_signals();
  events_ = bus_.subscribe([this](const Event& event) { on_event(event); });
  reactor_.observe_turns([this](Duration busy, Duration lag) { metrics_.on_turn(busy, lag); });
  metrics_.on_reload(true, reactor_.wall_now());
  supervisor_.start(supervisor_config());
  if (!pre_start_) begin_periodic();
  publish_live_page(documents_);
  publish_health();
  pages_.run();
  give_back_later();
  return ok();
}

void App::give_back_later() {
  give_back_timer_ = reactor_.after(kSettled, [] { give_back_memory(); });
}

Status App::open(const Plan& plan) {
  // Everything that can fail for reasons outside comes before the first job.
  auto control = start_control(plan.control_socket);
  if (!control) {
    // Generations 1 and 2 knew no socket: any user, beside others, on a read-only root.
    if (plan.generation == Generation::kV3) return std::move(control).error();
    log_warn("control", control.error().text() + ", going on without it");
  }
  auto catalog = start_catalog(plan);
  if (!catalog) return std::move(catalog).error();
  if (plan.telemetry) {
    auto server = start_server(*plan.telemetry);
    if (!server) return std::move(server).error();
    server_ = std::move(server).value();
  }
  if (control) control_ = std::move(control).value();
  catalog_ = std::move(catalog).value();
  return ok();
}

Result<std::unique_ptr<telemetry::MetricsServer>> App::start_server(const TelemetryPlan& plan) {
  auto server = telemetry::MetricsServer::start(
      plan.server, registry_, documents_,
      [this](bool scrape) {
        pages_.refresh();
        if (scrape) metrics_.before_scrape();
      },
      &feed_);
  if (!server) return std::move(server).error().during("cannot start telemetry");
  log_info("telemetry", "telemetry: serving at " + plan.server.listen + ":" +
                            std::to_string(server.value()->port()));
  return server;
}

Result<std::unique_ptr<CatalogLink>> App::start_catalog(const Plan& plan) {
  return CatalogLink::create(reactor_, resolver_, bus_, plan, hostname_,
                             {[this](std::string_view operation, bool good, Duration latency) {
                                metrics_.on_call(operation, good, latency);
                                pages_.changed();
                              },
                              [this](const discovery::Change& change) {
                                metrics_.on_change(change);
                                pages_.changed();
                              }});
}

Result<std::unique_ptr<ControlServer>> App::start_control(const std::string& path) {
  ControlActions actions;
  actions.put_environment = [this](const auto& pairs) { return put_environment(pairs); };
  actions.put_metrics = [this](const auto& pairs) { return put_metrics(pairs); };
  actions.reload = [this] { return reload(); };
  actions.maintenance = [this](bool on) { set_maintenance(on); };
  actions.status = [this] { return status_json(status_input()); };
  actions.event = [this](const Event& event) { return event_json(event, plan_.secrets); };
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
    catalog_->report(job, passing, masked(output, plan_.secrets));
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
  hooks.run_environment = [this](const std::vector<Event>& why, EventId since,
                                 std::vector<std::string>& environment) {
    catalog_->describe_change(why, since, environment);
  };
  hooks.started = [this](const JobStatus&) { pages_.changed(); };
  hooks.exited = [this](const JobStatus& job, ExitStatus exit, Duration ran) {
    metrics_.on_exit(job, exit, ran);
    if (serves_catalog(job.name)) catalog_->expect_down();
    pages_.changed();
  };
  hooks.checked = [this](const std::string& job, const ProbeResult& result) {
    metrics_.on_check(job, result);
  };
  hooks.shutdown_begins = [this] {
    // Nobody shall scrape, or scale by, an agent that is about to go.
    beat_timer_ = Watch();
    self_check_ = Watch();
    catalog_->withdraw_telemetry();
    pages_.run();  // not ready, from the start of the drain
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

std::vector<telemetry::MetricSpec> App::take_metrics(Plan& plan) {
  return plan.telemetry ? std::exchange(plan.telemetry->metrics, {})
                        : std::vector<telemetry::MetricSpec>();
}

void App::declare_metrics(const std::vector<telemetry::MetricSpec>& metrics) {
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
  if (log_enabled(LogLevel::kDebug)) {
    log_debug("agent", "event: {" + std::string(event_metric_name(event.key.code)) + " " +
                           event.key.source + "}");
  }
  metrics_.on_event(event);
  if (server_) feed_.publish("event", event_json(event, plan_.secrets));
  if (pre_start_ && event.key == pre_start_succeeded(*pre_start_)) begin_periodic();
  pages_.changed();
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
  if (!plan_.telemetry) return;  // a reload may bring it
  beat_timer_ = reactor_.after(plan_.telemetry->beat, [this] { beat(); });
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

}  // namespace containerpilot::agent
