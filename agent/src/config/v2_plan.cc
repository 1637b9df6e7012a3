#include <algorithm>
#include <chrono>
#include <set>
#include <unordered_map>
#include <utility>

#include "config/plan_context.h"
#include "containerpilot/agent/template.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {

// Names of the jobs a file of generation 1 or 2 becomes. Services keep their own names, so the
// others have a '/' in theirs; what follows it names the variable that tells the pid
// (CONTAINERPILOT_APP_PID).
constexpr const char* kMain = "main/app";
constexpr const char* kPreStart = "main/preStart";
constexpr const char* kPreStop = "main/preStop";
constexpr const char* kPostStop = "main/postStop";

ProcessSpec process(std::vector<std::string> argv) {
  ProcessSpec out;
  out.argv = std::move(argv);
  return out;
}

std::string joined(const Argv& argv) {
  std::string out;
  for (const std::string& word : argv) out += (out.empty() ? "" : " ") + word;
  return out;
}

class Translation {
 public:
  Translation(PlanContext& context, const V2Config& config, Generation generation)
      : context_(context), config_(config), v1_(generation == Generation::kV1) {
    plan_.generation = generation;
    plan_.signals_reload = true;
    plan_.runs_without_jobs = true;
  }

  Plan run() {
    make_catalog();
    plan_.logging = make_logging(context_, *config_.logging);
    check_log_output();
    add_pre_start();
    if (config_.stop_timeout && *config_.stop_timeout != 0s)
      plan_.stop_timeout = *config_.stop_timeout;
    for (const V2ServiceConfig& service : *config_.services) add_service(service);
    for (const V2BackendConfig& backend : *config_.backends) add_backend(backend);
    for (const V2TaskConfig& task : *config_.tasks) add_task(task);
    for (const V2CoprocessConfig& coprocess : *config_.coprocesses) add_coprocess(coprocess);
    if (config_.telemetry) add_telemetry(*config_.telemetry);
    add_main_and_hooks();
    mark_catalog_job(plan_);
    return std::move(plan_);
  }

 private:
  std::string own_name() const { return v1_ ? "containerbuddy" : "containerpilot"; }

  void make_catalog() {
    discovery::CatalogSpec& catalog = plan_.catalog;
    if (config_.consul && config_.etcd) {
      context_.problems.error(*config_.etcd.node, "found both 'consul' and 'etcd'", "one of them");
    }
    if (config_.consul) {
      catalog.kind = discovery::CatalogSpec::Kind::kConsul;
      catalog.consul = make_consul(context_, config_.consul);
    } else if (config_.etcd) {
      catalog.kind = discovery::CatalogSpec::Kind::kEtcd;
      catalog.etcd = make_etcd(context_, *config_.etcd);
      if (config_.etcd->prefix->empty()) catalog.etcd.prefix = "/" + own_name();
    } else if (!attempted("consul") && !attempted("etcd")) {
      context_.problems.error(*config_.node, "no catalog is chosen",
                              R"(consul: "host:port" or etcd: {endpoints: […]})");
    }
  }

  /// A value of the wrong type was reported where it stands.
  bool attempted(std::string_view key) const {
    const Node* node = config_.node->find(key);
    return node != nullptr && !node->is(Node::Kind::kNull);
  }

  void check_log_output() {
    const std::string& output = plan_.logging.output;
    if (output == "stdout" || output == "stderr") return;
    context_.problems.error(*config_.logging->output.node,
                            "found " + describe(*config_.logging->output.node), "stdout, stderr");
  }

  /// `name`, with a number behind it if it is taken.
  std::string unique(const std::string& name, const Node& at) {
    std::string out = name;
    int& number = last_number_.try_emplace(name, 1).first->second;
    while (!names_.insert(out).second) out = name + "#" + std::to_string(++number);
    if (out != name) context_.problems.warning(at, "'" + name + "' is there twice");
    return out;
  }

  JobSpec job(std::string name, const Argv& argv) const {
    JobSpec out;
    out.name = std::move(name);
    if (!argv.empty()) out.exec = process(argv);
    out.counts_for_completion = false;
    out.keeps_pid_variable = true;
    return out;
  }

  Advertisement advertise(const std::string& name,
                          const Value<std::vector<std::string>>& interfaces, const Node& at) {
    Advertisement out =
        make_advertisement(context_, name, *interfaces, interfaces ? *interfaces.node : at, true);
    if (!out.service.address.empty())
      plan_.environment[address_variable(name)] = out.service.address;
    return out;
  }

  void add_service(const V2ServiceConfig& service) {
    if (!service.name) return;
    if (!is_service_name(*service.name)) {
      context_.problems.warning(
          *service.name.node,
          "found " + describe(*service.name.node) + ", which is not a service name",
          "a lower-case letter, then letters, digits and dashes");
    }
    JobPlan& out = plan_.jobs.emplace_back();
    out.spec = job(unique(*service.name, *service.name.node), {});
    out.spec.advertised = true;
    HealthSpec& health = out.spec.health.emplace();
    if (service.health) health.probe = process(*service.health);
    health.interval = *service.poll;
    health.timeout = *service.timeout;
    health.independent_of_process = true;
    if (service.poll && service.ttl) {
      health.failing_at_once = true;
      health.failure_threshold = static_cast<unsigned>(
          std::clamp<std::int64_t>(*service.ttl / *service.poll, 1, 1'000'000));
    }
    Advertisement& entry =
        out.advertise.emplace(advertise(*service.name, service.interfaces, *service.node));
    health.output_fields = {
        {"process", "health"}, {"serviceName", *service.name}, {"serviceID", entry.service.id}};
    entry.service.check_id = entry.service.id;
    if (v1_) entry.service.notes = "TTL for " + *service.name + " set by " + own_name();
    entry.service.port = *service.port;
    entry.service.tags = *service.tags;
    entry.service.ttl = *service.ttl;
    entry.service.enable_tag_override = *service.consul->enable_tag_override;
    entry.service.deregister_critical_after = *service.consul->deregister_after;
  }

  void add_backend(const V2BackendConfig& backend) {
    if (!backend.name) return;
    const std::string source = unique("watch." + *backend.name, *backend.name.node);
    discovery::WatchSpec& watch = plan_.watches.emplace_back();
    watch.name = *backend.name;
    watch.source = source;
    watch.interval = *backend.poll;
    watch.tag = *backend.tag;
    watch.addresses_only = true;
    watch.paused_in_maintenance = true;
    JobSpec& handler = plan_.jobs.emplace_back().spec;
    handler = job("onChange/" + source.substr(6), *backend.on_change);
    handler.when.kind = Trigger::Kind::kEach;
    handler.when.events = {{EventCode::kChanged, source}};
    handler.exec_timeout = *backend.timeout;
    handler.output.fields = {{"process", "onChange"}, {"backend", *backend.name}};
    handler.tells_pid = false;
  }

  void add_task(const V2TaskConfig& task) {
    const std::string name = given_or(task.name, *task.command);
    JobSpec& out = plan_.jobs.emplace_back().spec;
    out = job(unique("task/" + name, *task.node), *task.command);
    out.when.kind = Trigger::Kind::kInterval;
    out.when.interval = *task.frequency;
    out.when.first_run_at_once = false;
    out.exec_timeout = task.timeout ? *task.timeout : *task.frequency;
    out.restarts.limit = Limit{Limit::kUnlimited};
    out.output.fields = {{"process", "task"}, {"task", *task.name}};
    out.tells_pid = false;
    out.paused_in_maintenance = true;
  }

  void add_coprocess(const V2CoprocessConfig& coprocess) {
    const std::string name = given_or(coprocess.name, *coprocess.command);
    JobSpec& out = plan_.jobs.emplace_back().spec;
    out = job(unique("coprocess/" + name, *coprocess.node), *coprocess.command);
    out.pid_alias = "CONTAINERPILOT_COPROCESS[" + name + "]_PID";  // with brackets, as 2.x had it
    out.output.fields = {{"process", "coprocess"}, {"coprocess", name}};
    out.runs_again_at_reload = true;
    out.outlives_main = true;
    if (coprocess.restarts->limit) out.restarts.limit = *coprocess.restarts->limit;
  }

  static std::string given_or(const Value<std::string>& name, const Argv& command) {
    return name->empty() ? joined(command) : *name;
  }

  void add_telemetry(const V2TelemetryConfig& config) {
    TelemetryPlan& out = plan_.telemetry.emplace();
    const std::string name = config.service_name ? *config.service_name : own_name();
    Advertisement& entry = out.advertise.emplace(advertise(name, config.interfaces, *config.node));
    if (config.port) out.server.port = static_cast<std::uint16_t>(*config.port);
    if (config.url) out.server.metrics_path = *config.url;
    out.server.listen = entry.service.address;
    entry.service.port = out.server.port;
    entry.service.tags = *config.tags;
    entry.service.ttl = config.ttl ? *config.ttl : kTelemetryTtl;
    entry.service.check_id = entry.service.id;
    if (v1_) entry.service.notes = "TTL for " + name + " set by " + own_name();
    if (config.poll) out.beat = *config.poll;
    for (const V2SensorConfig& sensor : *config.sensors) add_sensor(sensor);
  }

  void add_sensor(const V2SensorConfig& config) {
    telemetry::SensorSpec out;
    out.name = exported_name(context_, {*config.name_space, *config.subsystem, *config.name},
                             *config.node);
    out.metric.name = out.name;
    out.metric.help = *config.help;
    out.metric.type = *config.type;
    out.source = process(*config.check);
    out.interval = *config.poll;
    out.timeout = *config.timeout;
    out.first_run_at_once = false;
    out.zero_at_start = true;
    out.allow_non_finite = true;
    out.stale_after = 3 * out.interval;
    out.on_stale.kind = telemetry::StalePolicy::Kind::kHold;
    out.paused_in_maintenance = true;
    const auto [at, fresh] = sensor_index_.try_emplace(out.name, plan_.sensors.size());
    if (fresh) {
      plan_.sensors.push_back(std::move(out));
      return;
    }
    telemetry::SensorSpec& earlier = plan_.sensors[at->second];
    report_duplicate_metric(context_, earlier.metric, out.metric, *config.node);
    earlier = std::move(out);
  }

  void add_pre_start() {
    const Value<Argv>& pre_start = config_.pre_start ? config_.pre_start : config_.on_start;
    if (config_.on_start) {
      context_.problems.warning(*config_.on_start.node,
                                config_.pre_start ? "'onStart' is ignored beside 'preStart'"
                                                  : "'onStart' is the old name of 'preStart'");
    }
    if (!pre_start) return;
    JobSpec first = job(kPreStart, *pre_start);
    first.output.raw = true;
    first.on_failure = EndAction::kShutdown;
    plan_.pre_start = std::move(first);
  }

  /// The main application; without a command a job that only waits to be stopped, so that preStop
  /// has something to precede.
  void add_main_and_hooks() {
    JobSpec main = job(kMain, rendered_command());
    main.ends_agent = true;
    main.survives_reload = true;
    main.output.raw = true;
    main.counts_for_completion = true;
    const bool has_application = main.exec.has_value();
    plan_.jobs.push_back({std::move(main), std::nullopt});
    if (config_.pre_stop) add_hook(kPreStop, *config_.pre_stop, EventCode::kStopping);
    if (config_.post_stop && has_application) {
      add_hook(kPostStop, *config_.post_stop, EventCode::kStopped);
      plan_.jobs.back().spec.on_failure = EndAction::kShutdown;  // its code becomes the agent's
    }
  }

  void add_hook(const char* name, const Argv& argv, EventCode code) {
    JobSpec& hook = plan_.jobs.emplace_back().spec;
    hook = job(name, argv);
    hook.when.events = {{code, kMain}};
    hook.output.raw = true;
  }

  /// Each argument is a template of its own (2.1.4 and later); if one fails all are used as they
  /// are.
  Argv rendered_command() {
    const Argv& command = context_.options.command;
    if (v1_) return command;
    auto environment = context_.options.environment;
    environment["CONTAINERPILOT_PID"] = std::to_string(context_.options.agent_pid);
    for (const auto& [name, value] : plan_.environment) environment[name] = value;
    Argv out;
    for (const std::string& argument : command) {
      Result<std::string> rendered = render_template(argument, environment);
      if (!rendered) {
        context_.problems.warning("the arguments of the main application are used as they are: " +
                                  rendered.error().text());
        return command;
      }
      out.push_back(std::move(rendered).value());
    }
    return out;
  }

  PlanContext& context_;
  const V2Config& config_;
  const bool v1_;
  Plan plan_;
  std::set<std::string> names_;
  std::unordered_map<std::string, int> last_number_;
  std::unordered_map<std::string, std::size_t> sensor_index_;
};

}  // namespace

Plan make_v2_plan(PlanContext& context, const V2Config& config, Generation generation) {
  return Translation(context, config, generation).run();
}

}  // namespace containerpilot::agent
