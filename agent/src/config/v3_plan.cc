#include <algorithm>
#include <chrono>
#include <set>
#include <unordered_map>
#include <utility>

#include "config/plan_context.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {

/// Reports sources of events that nothing in this configuration can produce.
class SourceCheck {
 public:
  SourceCheck(PlanContext& context, const V3Config& config) : context_(context) {
    for (const JobConfig& job : *config.jobs) add(*job.name);
    for (const WatchConfig& watch : *config.watches) add("watch." + *watch.name);
    if (config.telemetry) add("containerpilot");
    add("global");
    for (const JobConfig& job : *config.jobs) check(*job.when);
    for (const SensorConfig& sensor : *config.sensors) {
      check(sensor.when->source);
      check(sensor.job);
    }
  }

 private:
  void add(std::string name) { known_.insert(std::move(name)); }

  void check(const WhenConfig& when) {
    if (!when.interval || when.while_state) check(when.source);
    for (const auto* list : {&when.all, &when.any}) {
      for (const SourceConfig& source : **list) check(source.source);
    }
  }

  void check(const Value<std::string>& source) {
    if (!source || source->empty() || *source == "SIGHUP" || *source == "SIGUSR2") return;
    if (known_.count(*source) > 0 || known_.count("check." + *source) > 0) return;
    if (source->compare(0, 6, "check.") == 0 && known_.count(source->substr(6)) > 0) return;
    // Comparing every name with every other is for people's configurations, not for huge ones.
    std::string_view near;
    if (suggestions_++ < kMostSuggestions) {
      near = nearest(*source, std::vector<std::string_view>(known_.begin(), known_.end()));
    }
    context_.problems.warning(
        *source.node,
        "nothing is called " + describe(*source.node) + " here" +
            (near.empty() ? "" : ", did you mean \"" + std::string(near) + "\"?"),
        "a job, watch.NAME, global, SIGHUP or SIGUSR2");
  }

  static constexpr int kMostSuggestions = 20;

  PlanContext& context_;
  std::set<std::string> known_;
  int suggestions_ = 0;
};

template <class E>
bool find_word(const std::vector<std::pair<std::string_view, E>>& words,
               const Value<std::string>& value, PlanContext& context, E& out) {
  if (!value || value->empty()) return true;
  const std::string wanted = lower_case(*value);
  std::string accepted;
  for (const auto& [word, meaning] : words) {
    accepted += (accepted.empty() ? "" : ", ") + std::string(word);
    if (word != wanted) continue;
    out = meaning;
    return true;
  }
  context.problems.error(*value.node, "found " + describe(*value.node), accepted);
  return false;
}

/// 3.x let two jobs have one name, and files in the wild do; inside the agent names are unique.
void make_names_unique(PlanContext& context, const V3Config& config, std::vector<JobPlan>& jobs) {
  std::unordered_map<std::string, int> last_number;
  std::set<std::string> taken;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    std::string& name = jobs[i].spec.name;
    const std::string written = name;
    int& number = last_number.try_emplace(written, 1).first->second;
    while (!taken.insert(name).second) name = written + "#" + std::to_string(++number);
    if (name == written) continue;
    const JobConfig& job = (*config.jobs)[i];
    context.problems.warning(job.name ? *job.name.node : *job.node,
                             "another job is called \"" + written + "\", too; this one runs as \"" +
                                 name + "\", and events of \"" + written + "\" mean the first",
                             "a name of its own for each job");
  }
}

}  // namespace

LogConfig make_logging(PlanContext& context, const LoggingConfig& config) {
  LogConfig out;
  find_word<LogLevel>({{"debug", LogLevel::kDebug},
                       {"info", LogLevel::kInfo},
                       {"warn", LogLevel::kWarn},
                       {"warning", LogLevel::kWarn},
                       {"error", LogLevel::kError},
                       {"fatal", LogLevel::kFatal},
                       {"panic", LogLevel::kPanic}},
                      config.level, context, out.level);
  find_word<LogFormat>(
      {{"default", LogFormat::kDefault}, {"text", LogFormat::kText}, {"json", LogFormat::kJson}},
      config.format, context, out.format);
  if (config.output && !config.output->empty()) {
    const std::string word = lower_case(*config.output);
    out.output = word == "stdout" || word == "stderr" ? word : *config.output;
  }
  return out;
}

discovery::WatchSpec make_v3_watch(PlanContext& context, const WatchConfig& config) {
  discovery::WatchSpec out;
  out.name = *config.name;
  out.source = "watch." + out.name;
  out.interval = *config.interval;
  out.tag = *config.tag;
  out.dc = *config.dc;
  out.dns = *config.dns;
  out.dns_port = static_cast<std::uint16_t>(*config.port);
  if (config.name && !is_service_name(out.name)) {
    context.problems.error(
        *config.name.node, "found " + describe(*config.name.node) + ", which is not a service name",
        "a lower-case letter, then letters, digits and dashes; at least two characters");
  }
  if (config.port && !config.dns) {
    context.problems.error(*config.port.node, "'port' goes with 'dns' only", "no port");
  }
  return out;
}

Plan make_v3_plan(PlanContext& context, const V3Config& config) {
  Plan plan;
  plan.generation = Generation::kV3;
  plan.catalog = make_v3_catalog(context, config);
  const bool needs_address = plan.catalog.kind != discovery::CatalogSpec::Kind::kNone;
  if (config.stop_timeout && *config.stop_timeout != 0s) plan.stop_timeout = *config.stop_timeout;
  if (config.control->socket) {
    plan.control_socket = *config.control->socket;
    if (plan.control_socket.empty()) {
      context.problems.error(*config.control->socket.node, "found an empty path",
                             "the path of a socket");
    }
  }
  for (const JobConfig& job : *config.jobs) {
    plan.jobs.push_back(make_v3_job(context, job, needs_address));
  }
  make_names_unique(context, config, plan.jobs);
  for (const WatchConfig& watch : *config.watches)
    plan.watches.push_back(make_v3_watch(context, watch));
  for (const SensorConfig& sensor : *config.sensors)
    plan.sensors.push_back(make_v3_sensor(context, sensor));
  for (const ScalingConfig& scaling : *config.scaling)
    plan.scaling.push_back(make_v3_scaling(context, scaling));
  if (config.telemetry)
    plan.telemetry = make_v3_telemetry(context, *config.telemetry, needs_address);
  plan.logging = make_logging(context, *config.logging);
  for (const JobPlan& job : plan.jobs) {
    if (!job.advertise || job.advertise->service.address.empty()) continue;
    const discovery::ServiceSpec& service = job.advertise->service;
    plan.environment[address_variable(service.name)] = service.address;
  }
  if (plan.telemetry && plan.telemetry->advertise &&
      !plan.telemetry->advertise->service.address.empty()) {
    const discovery::ServiceSpec& service = plan.telemetry->advertise->service;
    plan.environment[address_variable(service.name)] = service.address;
  }
  mark_catalog_job(plan);
  const SourceCheck checked(context, config);
  check_metrics(context, config, plan);
  return plan;
}

}  // namespace containerpilot::agent
