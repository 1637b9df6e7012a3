#include <chrono>

#include "config/special_kinds.h"
#include "config/v2_config.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {

/// A hook that may be empty: 2.3 and older took that for "none".
Kind<Argv> optional_argv() {
  Kind<Argv> kind = argv();
  kind.parse = [inner = kind.parse](Problems& problems, const Node& node, Argv& out) {
    const bool empty = (node.is(Node::Kind::kString) && node.text.empty()) ||
                       (node.is(Node::Kind::kArray) && node.count == 0);
    if (!empty) return inner(problems, node, out);
    problems.warning(node, "found " + describe(node) + ", taken as if left out");
    return false;
  };
  return kind;
}

const Block& extras_block() {
  static const Block block =
      BlockOf<ConsulExtrasConfig>("consul", "Extra fields of the catalog entry.")
          .field("enableTagOverride", &ConsulExtrasConfig::enable_tag_override, boolean(), "false",
                 "Let others change the tags in the catalog.")
          .field("deregisterCriticalServiceAfter", &ConsulExtrasConfig::deregister_after,
                 go_duration_text(), "",
                 "A service critical for this long is removed by the catalog.")
          .build();
  return block;
}

const Block& service_block() {
  static const Block block =
      BlockOf<V2ServiceConfig>("services", "Services of this container.")
          .field("name", &V2ServiceConfig::name, some_text(), "", "Name in the catalog.")
          .required()
          .field("port", &V2ServiceConfig::port, integer(1), "", "Port in the catalog.")
          .required()
          .field("poll", &V2ServiceConfig::poll, whole_seconds(1s), "", "Time between two checks.")
          .required()
          .field("ttl", &V2ServiceConfig::ttl, whole_seconds(1s), "",
                 "After this long without a good check the catalog gives up on us.")
          .required()
          .field("health", &V2ServiceConfig::health, argv(), "always healthy", "The check.")
          .field("interfaces", &V2ServiceConfig::interfaces, printed_texts(), kDefaultAddress,
                 "Which address to advertise; the first that matches.")
          .field("tags", &V2ServiceConfig::tags, texts_or_one(), "", "Tags in the catalog.")
          .field("timeout", &V2ServiceConfig::timeout, duration(0s), "none", "Bounds one check.")
          .field("consul", &V2ServiceConfig::consul, object<ConsulExtrasConfig>(extras_block), "",
                 "Extra fields of the catalog entry.")
          .of(extras_block)
          .ignore({{"id", "the id is NAME-HOSTNAME"},
                   {"ipaddress", "see 'interfaces'"},
                   {"healthCheckCmd", "did you mean 'health'?"},
                   {"discoveryService", ""},
                   {"definition", ""}})
          .foreign({{"exec",
                     "in generation 2 a check is 'health'; a program to run is the main "
                     "application or a "
                     "coprocess; for generation 3 write 'jobs' in place of 'services'"},
                    {"interval", "poll (generation 3 says interval)"},
                    {"when", "generation 3 has it: write 'jobs' in place of 'services'"},
                    {"restarts", "generation 3 has it: write 'jobs' in place of 'services'"}})
          .build();
  return block;
}

const Block& backend_block() {
  static const Block block =
      BlockOf<V2BackendConfig>("backends", "Services to watch.")
          .field("name", &V2BackendConfig::name, some_text(), "", "Its name in the catalog.")
          .required()
          .field("poll", &V2BackendConfig::poll, whole_seconds(1s), "", "Time between two looks.")
          .required()
          .field("onChange", &V2BackendConfig::on_change, argv(), "",
                 "Run when its instances change.")
          .required()
          .field("tag", &V2BackendConfig::tag, text(), "", "Only instances with this tag.")
          .field("timeout", &V2BackendConfig::timeout, duration(0s), "none", "Bounds one run.")
          .ignore({{"onChangeCmd", "did you mean 'onChange'?"},
                   {"discoveryService", ""},
                   {"lastState", ""}})
          .foreign({{"exec", "onChange"}, {"interval", "poll (generation 3 says interval)"}})
          .build();
  return block;
}

const Block& sensor_block_v2() {
  static const Block block =
      BlockOf<V2SensorConfig>("sensors", "Commands that print a number.")
          .field("namespace", &V2SensorConfig::name_space, text(), "", "First part of the name.")
          .field("subsystem", &V2SensorConfig::subsystem, text(), "", "Second part of the name.")
          .field("name", &V2SensorConfig::name, text(), "", "Last part of the name.")
          .field("help", &V2SensorConfig::help, some_text(), "", "One sentence on what it means.")
          .required()
          .field("type", &V2SensorConfig::type,
                 choice<telemetry::MetricType>({{"counter", telemetry::MetricType::kCounter},
                                                {"gauge", telemetry::MetricType::kGauge},
                                                {"histogram", telemetry::MetricType::kHistogram},
                                                {"summary", telemetry::MetricType::kSummary}}),
                 "", "What it is.")
          .required()
          .field("poll", &V2SensorConfig::poll, whole_seconds(1s), "", "Time between two runs.")
          .required()
          .field("check", &V2SensorConfig::check, argv(), "", "The command.")
          .required()
          .field("timeout", &V2SensorConfig::timeout, duration(0s), "none", "Bounds one run.")
          .ignore({{"checkCmd", "did you mean 'check'?"}, {"collector", ""}})
          .foreign({{"exec", "check"}, {"interval", "poll (generation 3 says interval)"}})
          .build();
  return block;
}

const Block& telemetry_block_v2() {
  static const Block block =
      BlockOf<V2TelemetryConfig>("telemetry", "The port that serves metrics.")
          .field("port", &V2TelemetryConfig::port, integer(1, 65535), "9090", "TCP port.")
          .field("interfaces", &V2TelemetryConfig::interfaces, texts_or_one(), kDefaultAddress,
                 "Address to bind and to advertise.")
          .field("tags", &V2TelemetryConfig::tags, texts_or_one(), "", "Tags in the catalog.")
          .field("sensors", &V2TelemetryConfig::sensors, objects<V2SensorConfig>(sensor_block_v2),
                 "", "Numbers to measure.")
          .of(sensor_block_v2)
          .field("serviceName", &V2TelemetryConfig::service_name, some_text(), "\"containerpilot\"",
                 "Name in the catalog.")
          .field("url", &V2TelemetryConfig::url, some_text(), "\"/metrics\"",
                 "Where metrics are served.")
          .field("ttl", &V2TelemetryConfig::ttl, whole_seconds(1s), "15",
                 "TTL of the catalog entry.")
          .field("poll", &V2TelemetryConfig::poll, whole_seconds(1s), "5",
                 "Time between two beats.")
          .ignore({{"listening", ""}, {"addr", "see 'interfaces'"}, {"mux", ""}, {"lock", ""}})
          .build();
  return block;
}

const Block& task_block() {
  static const Block block =
      BlockOf<V2TaskConfig>("tasks", "Commands run again and again.")
          .field("name", &V2TaskConfig::name, text(), "", "Name in the log.")
          .field("command", &V2TaskConfig::command, argv(), "", "The command.")
          .required()
          .field("frequency", &V2TaskConfig::frequency, duration(1ms), "", "Time between two runs.")
          .required()
          .field("timeout", &V2TaskConfig::timeout, duration(1ms), "frequency", "Bounds one run.")
          .ignore(
              {{"freqDuration", "did you mean 'frequency'?"}, {"cmd", "did you mean 'command'?"}})
          .foreign({{"exec", "command"}, {"interval", "frequency"}, {"poll", "frequency"}})
          .build();
  return block;
}

const Block& coprocess_block() {
  static const Block block =
      BlockOf<V2CoprocessConfig>("coprocesses", "Programs that run beside the main application.")
          .field("name", &V2CoprocessConfig::name, text(), "the command", "Name in the log.")
          .field("command", &V2CoprocessConfig::command, argv(), "", "The command.")
          .required()
          .field("restarts", &V2CoprocessConfig::restarts, restarts_kind(), "\"never\"",
                 "How often it is started again after it ended.")
          .ignore({{"restart", "did you mean 'restarts'?"},
                   {"restartLimit", "did you mean 'restarts'?"},
                   {"restartsRemain", ""},
                   {"cmd", "did you mean 'command'?"}})
          .foreign({{"exec", "command"},
                    {"when", "generation 3 has it: write 'jobs' in place of 'coprocesses'"}})
          .build();
  return block;
}

}  // namespace

const Block& v2_block() {
  static const Block block =
      BlockOf<V2Config>("configuration", "Generations 1 and 2.")
          .field("consul", &V2Config::consul, consul_kind(), "", "Use Consul as catalog.")
          .field("etcd", &V2Config::etcd, etcd_kind(), "", "Use etcd as catalog.")
          .field("logging", &V2Config::logging, object<LoggingConfig>(logging_block), "",
                 "The agent's log.")
          .of(logging_block)
          .field("onStart", &V2Config::on_start, optional_argv(), "", "Old name of preStart.")
          .field("preStart", &V2Config::pre_start, optional_argv(), "", "Run first, alone.")
          .field("preStop", &V2Config::pre_stop, optional_argv(), "",
                 "Run before the application is stopped.")
          .field("postStop", &V2Config::post_stop, optional_argv(), "",
                 "Run after the application ended.")
          .field("stopTimeout", &V2Config::stop_timeout, whole_seconds(), "5",
                 "Seconds from SIGTERM to SIGKILL; negative: SIGKILL at once.")
          .field("services", &V2Config::services, objects<V2ServiceConfig>(service_block), "",
                 "Services of this container.")
          .of(service_block)
          .field("backends", &V2Config::backends, objects<V2BackendConfig>(backend_block), "",
                 "Services to watch.")
          .of(backend_block)
          .field("telemetry", &V2Config::telemetry, object<V2TelemetryConfig>(telemetry_block_v2),
                 "off", "The port that serves metrics.")
          .of(telemetry_block_v2)
          .field("tasks", &V2Config::tasks, objects<V2TaskConfig>(task_block), "",
                 "Commands run again and again.")
          .of(task_block)
          .field("coprocesses", &V2Config::coprocesses, objects<V2CoprocessConfig>(coprocess_block),
                 "", "Programs beside the main application.")
          .of(coprocess_block)
          .build();
  return block;
}

}  // namespace containerpilot::agent
