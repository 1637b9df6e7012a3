#include "containerpilot/agent/duration.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "config/coerce.h"
#include "config/json5.h"
#include "config/plan_context.h"
#include "config/v3_config.h"
#include "containerpilot/agent/config.h"
#include "containerpilot/agent/version.h"
#include "support/json_vectors.h"

namespace containerpilot::agent {
namespace {

using nlohmann::json;
using test::json_vectors;
using test::vector_input;

/// A value parsed from JSON5 text, with everything needed to decode it.
struct Parsed {
  explicit Parsed(const std::string& text) : problems(tree) {
    const auto result = parse_json5(tree, tree.add_source("vector", text));
    if (const auto* top = std::get_if<Node*>(&result)) node = *top;
  }
  Tree tree;
  Problems problems;
  const Node* node = nullptr;
};

/// What our program gives for a vector: a value, or nothing where it refuses.
using Outcome = std::optional<json>;

Outcome nanoseconds(const Result<Duration>& duration) {
  return duration ? Outcome(duration.value().count()) : std::nullopt;
}

template <class T>
Outcome outcome(const std::optional<T>& value) {
  return value ? Outcome(*value) : std::nullopt;
}

Outcome parse_duration_vector(const json& vector) {
  const std::string type = vector["type"];
  const std::string in = vector_input(vector);
  // Integer types come from Go code only, never from a configuration; their text form is the same.
  if (type == "float64" || type == "bool" || type == "json5") return std::nullopt;
  return nanoseconds(parse_duration(in));
}

Outcome weak_vector(const json& vector) {
  const Parsed in(vector_input(vector));
  const std::string type = vector["type"];
  if (type == "any") return vector["out"];  // decoding into "any" is json5.json's business
  if (in.node->is(Node::Kind::kNull)) {
    if (type == "int") return 0;
    if (type == "bool") return false;
    if (type == "string") return "";
    return json();
  }
  if (type == "int") return outcome(to_integer(*in.node));
  if (type == "bool") return outcome(to_boolean(*in.node));
  if (type == "string") return outcome(to_text(*in.node));
  return outcome(to_texts(*in.node));
}

/// Whole numbers that the original printed with an exponent are plain in ours (vectors README).
json without_exponents(const json& expected) {
  std::string text = expected.dump();
  static const std::regex exponent(R"((\d)(?:\.(\d+))?e\+(\d+))");
  std::smatch match;
  while (std::regex_search(text, match, exponent)) {
    std::string digits = match[1].str() + match[2].str();
    const std::size_t power = std::stoul(match[3].str());
    if (match[2].length() > static_cast<long>(power)) return expected;  // not whole
    digits += std::string(power + 1 - digits.size(), '0');
    text = match.prefix().str() + digits + match.suffix().str();
  }
  return json::parse(text);
}

Outcome to_strings_vector(const json& vector) {
  const Parsed in(vector_input(vector));
  if (in.node->is(Node::Kind::kNull)) return json();
  const auto texts = to_printed_texts(*in.node);
  return texts ? Outcome(texts->empty() ? json() : json(*texts)) : std::nullopt;
}

json argv_json(const std::vector<std::string>& argv) {
  return {{"exec", argv.front()}, {"args", std::vector<std::string>(argv.begin() + 1, argv.end())}};
}

Outcome parse_args_vector(const json& vector) {
  const Parsed in(vector_input(vector));
  if (in.node->is(Node::Kind::kNull)) return std::nullopt;
  const auto argv = to_argv(*in.node);
  return argv ? Outcome(argv_json(*argv)) : std::nullopt;
}

LoadOptions vector_options() {
  LoadOptions out;
  out.addresses = {{"eth0", "192.0.2.2"}, {"lo", "127.0.0.1"}};
  out.hostname = "host";
  return out;
}

json exec_json(const ProcessSpec& spec, Duration timeout) {
  json out = argv_json(spec.argv);
  out["timeout_ns"] = timeout.count();
  return out;
}

std::string event_text(const Trigger& trigger) {
  if (trigger.kind == Trigger::Kind::kInterval) return "Startup|global";
  if (trigger.events.empty()) return "None|";
  return std::string(event_metric_name(trigger.events[0].code)) + "|" + trigger.events[0].source;
}

/// One job of a plan in the words of the vectors. `config` is for what a plan keeps only when
/// advertised.
json job_json(const JobPlan& job, const JobConfig& config) {
  const JobSpec& spec = job.spec;
  const bool interval = spec.when.kind == Trigger::Kind::kInterval;
  json out;
  out["name"] = spec.name;
  out["exec"] = spec.exec ? exec_json(*spec.exec, spec.exec_timeout) : json();
  out["execTimeout_ns"] = spec.exec_timeout.count();
  out["freqInterval_ns"] = interval ? spec.when.interval.count() : 0;
  out["healthExec"] = nullptr;
  out["heartbeat_ns"] = spec.health ? spec.health->interval.count() : 0;
  out["ttl_s"] = std::chrono::duration_cast<std::chrono::seconds>(*config.health->ttl).count();
  if (spec.health && std::holds_alternative<ProcessSpec>(spec.health->probe)) {
    out["healthExec"] = exec_json(std::get<ProcessSpec>(spec.health->probe), spec.health->timeout);
  }
  out["initialStatus"] = *config.initial_status;
  out["port"] = *config.port;
  out["restartLimit"] =
      spec.restarts.limit.unlimited() ? json(-1) : json(spec.restarts.limit.count);
  out["stoppingTimeout_ns"] = spec.stop_timeout.value_or(Duration{0}).count();
  out["whenEvent"] = event_text(spec.when);
  out["whenTimeout_ns"] = spec.when.timeout.count();
  switch (spec.when.kind) {
    case Trigger::Kind::kEach:
      out["whenStartsLimit"] = -1;
      break;
    case Trigger::Kind::kNever:
      out["whenStartsLimit"] = 0;
      break;
    default:
      out["whenStartsLimit"] = 1;
  }
  out["tags"] = *config.tags;
  out["logRaw"] = spec.output.raw;
  out["enableTagOverride"] = *config.consul->enable_tag_override;
  out["deregisterAfter"] = *config.consul->deregister_after;
  return out;
}

/// Fields a vector leaves out have their defaults. `when: {source: "SIGTERM"}` waits for no event;
/// the original's structure kept the source beside it.
json comparable_job(const json& vector) {
  json expected = {{"tags", json::array()},
                   {"logRaw", false},
                   {"enableTagOverride", false},
                   {"deregisterAfter", ""}};
  expected.update(vector);
  const std::string event = expected["whenEvent"];
  if (event.compare(0, 5, "None|") == 0) expected["whenEvent"] = "None|";
  return expected;
}

Outcome job_vector(const json& vector) {
  Parsed in(vector_input(vector));
  const LoadOptions options = vector_options();
  PlanContext context{in.problems, options};
  JobConfig config;
  object<JobConfig>(v3_job_block).parse(in.problems, *in.node, config);
  if (in.problems.failed()) return std::nullopt;
  const JobPlan plan = make_v3_job(context, config, true);
  return in.problems.failed() ? std::nullopt : Outcome(job_json(plan, config));
}

json watch_json(const discovery::WatchSpec& watch) {
  return {{"name", watch.source},
          {"interval", std::chrono::duration_cast<std::chrono::seconds>(watch.interval).count()},
          {"tag", watch.tag},
          {"dc", watch.dc}};
}

Outcome watch_vector(const json& vector) {
  Parsed in(vector_input(vector));
  const LoadOptions options;
  PlanContext context{in.problems, options};
  WatchConfig config;
  object<WatchConfig>(v3_watch_block).parse(in.problems, *in.node, config);
  const discovery::WatchSpec watch = make_v3_watch(context, config);
  return in.problems.failed() ? std::nullopt : Outcome(watch_json(watch));
}

Outcome control_vector(const json& vector) {
  Parsed in(vector_input(vector));
  const Plan defaults;
  json out = {{"socket", defaults.control_socket}};
  if (in.node->is(Node::Kind::kNull)) return out;
  ControlConfig config;
  object<ControlConfig>(v3_control_block).parse(in.problems, *in.node, config);
  if (config.socket) out["socket"] = *config.socket;
  return in.problems.failed() ? std::nullopt : Outcome(out);
}

/// A measurement is accepted under the exported name and under the original's key.
json telemetry_json(const TelemetryPlan& plan) {
  json out = {{"port", plan.server.port}, {"metrics", json::array()}, {"tags", json::array()}};
  if (plan.advertise) out["tags"] = plan.advertise->service.tags;
  for (const telemetry::MetricSpec& metric : plan.metrics) {
    const std::string& key = metric.push_aliases.empty() ? metric.name : metric.push_aliases[0];
    out["metrics"].push_back({{"fullName", key},
                              {"help", metric.help},
                              {"type", telemetry::metric_type_name(metric.type)}});
  }
  return out;
}

/// A metric given twice is one in a plan, and the version tag is ours.
json comparable_telemetry(json expected) {
  json metrics = json::array();
  for (const json& metric : expected["metrics"]) {
    if (metrics.empty() || metrics.back() != metric) metrics.push_back(metric);
  }
  expected["metrics"] = metrics;
  for (json& tag : expected["tags"]) {
    if (tag == "$VERSION") tag = version();
  }
  return expected;
}

Outcome telemetry_vector(const json& vector) {
  Parsed in(vector_input(vector));
  const LoadOptions options = vector_options();
  PlanContext context{in.problems, options};
  TelemetryConfig config;
  object<TelemetryConfig>(v3_telemetry_block).parse(in.problems, *in.node, config);
  if (in.problems.failed()) return std::nullopt;
  const TelemetryPlan plan = make_v3_telemetry(context, config, true);
  return in.problems.failed() ? std::nullopt : Outcome(telemetry_json(plan));
}

json logging_json(const LoggingConfig& config) {
  return {{"level", *config.level}, {"format", *config.format}, {"output", *config.output}};
}

Outcome logging_vector(const json& vector) {
  Parsed in(vector_input(vector));
  LoggingConfig config;
  if (!in.node->is(Node::Kind::kNull)) {
    object<LoggingConfig>(logging_block).parse(in.problems, *in.node, config);
  }
  return in.problems.failed() ? std::nullopt : Outcome(logging_json(config));
}

Outcome stop_timeout_vector(const json& vector) {
  Parsed in(vector_input(vector));
  Duration out{0};
  if (in.node->is(Node::Kind::kNull)) return 0;
  if (!seconds().parse(in.problems, *in.node, out)) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::seconds>(out).count();
}

Outcome config_vector(const json& vector) {
  LoadOptions options = vector_options();
  for (const auto& [name, value] : vector["env"].items()) options.environment[name] = value;
  const LoadResult result = load_config({"", vector_input(vector), false}, options);
  if (!result.plan) {
    // The original looked at log levels only when it started, and refused then.
    const bool only_logging =
        result.errors.size() == 1 && result.errors[0].path.compare(0, 8, "logging.") == 0;
    return only_logging && vector.contains("out") ? Outcome(vector["out"]) : std::nullopt;
  }
  const Plan& plan = *result.plan;
  json out = {{"jobs", json::array()}, {"watches", json::array()}};
  for (const JobPlan& job : plan.jobs) out["jobs"].push_back(job.spec.name);
  for (const discovery::WatchSpec& watch : plan.watches)
    out["watches"].push_back(watch_json(watch));
  out["socket"] = plan.control_socket;
  out["stopTimeout"] = std::chrono::duration_cast<std::chrono::seconds>(plan.stop_timeout).count();
  if (plan.telemetry) out["telemetry"] = telemetry_json(*plan.telemetry);
  return out;
}

/// Jobs in detail are the business of the job vectors; of a whole config only what it adds is
/// compared.
json comparable_config(json expected) {
  json names = json::array();
  for (const json& job : expected["jobs"]) {
    if (!job.contains("internal"))
      names.push_back(job["name"]);  // the telemetry job is not one in ours
  }
  expected["jobs"] = names;
  if (expected.contains("telemetry"))
    expected["telemetry"] = comparable_telemetry(expected["telemetry"]);
  expected.erase("logging");
  return expected;
}

TEST(Duration, AgreesWithEveryVector) {
  const std::optional<json> vectors = json_vectors("duration.json");
  if (!vectors) GTEST_SKIP() << "SKIPPED: no vectors in " << test::vectors_folder();
  for (const json& vector : *vectors) {
    if (vector.contains("extension") || vector.contains("optional")) continue;
    SCOPED_TRACE(vector.dump());
    const std::string fn = vector["fn"];
    Outcome expected;
    if (vector.contains("fixed_out")) {
      expected = vector["fixed_out"];
    } else if (!vector.contains("error")) {
      expected = vector["out"];
    }
    Outcome actual;
    if (fn == "parse_duration") {
      if (vector.contains("note") && vector["note"] == "wraps around silently") continue;
      actual = parse_duration_vector(vector);
    } else if (fn == "get_timeout") {
      const std::string in = vector_input(vector);
      actual = in.empty() ? Outcome(0) : nanoseconds(parse_duration(in));
    } else if (fn == "go_parse_duration") {
      actual = nanoseconds(parse_go_duration(vector_input(vector)));
    } else if (fn == "duration_string") {
      actual = format_duration(Duration{std::stoll(vector_input(vector))});
    } else if (fn == "weak") {
      actual = weak_vector(vector);
    } else if (fn == "to_strings" || fn == "parse_args") {
      actual = fn == "to_strings" ? to_strings_vector(vector) : parse_args_vector(vector);
      if (expected) expected = without_exponents(*expected);
    } else if (fn == "to_slice") {
      continue;  // wrong container types are errors in ours, null elements are left out: see Config
    } else if (fn == "job") {
      actual = job_vector(vector);
      if (expected) expected = comparable_job(*expected);
    } else if (fn == "watch") {
      actual = watch_vector(vector);
    } else if (fn == "control") {
      actual = control_vector(vector);
    } else if (fn == "telemetry") {
      actual = telemetry_vector(vector);
      if (expected) expected = comparable_telemetry(*expected);
    } else if (fn == "logging") {
      actual = logging_vector(vector);
    } else if (fn == "stop_timeout") {
      actual = stop_timeout_vector(vector);
    } else if (fn == "service_name") {
      actual = is_service_name(vector_input(vector)) ? Outcome(true) : std::nullopt;
    } else if (fn == "metric_value") {
      continue;  // the telemetry module's
    } else if (fn == "config") {
      if (vector_input(vector).find("jobs:{") != std::string::npos) continue;  // as to_slice
      actual = config_vector(vector);
      if (actual && expected && *actual == *expected) continue;
      if (expected) expected = comparable_config(*expected);
    } else {
      FAIL() << "unknown fn";
    }
    EXPECT_EQ(actual.has_value(), expected.has_value());
    if (actual && expected) {
      EXPECT_EQ(*actual, *expected);
    }
  }
}

TEST(Duration, MessagesSayWhatIsAccepted) {
  EXPECT_EQ(
      parse_duration("5 s").error().text(),
      "'5 s' is not a duration: ' s' is not a unit (ns, us, ms, s, m or h); durations look like "
      "\"250ms\", \"5s\" or \"1h30m\"");
  EXPECT_EQ(
      parse_duration("1.5").error().text(),
      "'1.5' is not a duration: a unit is missing (ns, us, ms, s, m or h); durations look like "
      "\"250ms\", \"5s\" or \"1h30m\"");
}

}  // namespace
}  // namespace containerpilot::agent
