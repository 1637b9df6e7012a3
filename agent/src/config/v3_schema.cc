#include <chrono>

#include "config/special_kinds.h"
#include "config/v3_config.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {

Kind<HeldState> held_state() {
  return choice<HeldState>({{"running", HeldState::kRunning},
                            {"healthy", HeldState::kHealthy},
                            {"held", HeldState::kHeld}});
}

// ---- jobs ----

const Block& output_block() {
  static const Block block =
      BlockOf<OutputConfig>("health.logging", "Where the output of a check goes.")
          .field("raw", &OutputConfig::raw, boolean(), "false",
                 "Pass output to the agent's own stdout and stderr, untouched.")
          .build();
  return block;
}

const Block& job_logging_block() {
  static const Block block =
      BlockOf<JobLoggingConfig>("jobs.logging", "Where the output of a job goes.")
          .field("raw", &JobLoggingConfig::raw, boolean(), "false; with `file`: true",
                 "Untouched: to the agent's own stdout and stderr, or as bare lines into `file`; "
                 "else as lines of the log.")
          .field("file", &JobLoggingConfig::file, some_text(), "",
                 "A file of its own, reopened on SIGUSR1.")
          .since_4()
          .field(
              "mergeJson", &JobLoggingConfig::merge_json, boolean(), "false",
              "With `logging.format: \"json\"`, merge lines that are JSON objects into the entry.")
          .since_4()
          .field("maxRate", &JobLoggingConfig::max_rate, integer(0, 1'000'000), "0: all",
                 "Lines a second; what is above is counted and left out.")
          .since_4()
          .build();
  return block;
}

const Block& probe_block() {
  static const Block block =
      BlockOf<ProbeConfig>("probe", "Asks without starting a process.")
          .field("http", &ProbeConfig::http, http_probe_kind(), "",
                 "GET this; passes on status 200 to 399.")
          .of(http_block)
          .since_4()
          .field("tcp", &ProbeConfig::tcp, tcp_probe_kind(), "", "Connect to this `host:port`.")
          .since_4()
          .field("unix", &ProbeConfig::unix_socket, unix_probe_kind(), "",
                 "Connect to this unix socket.")
          .since_4()
          .build();
  return block;
}

const Block& health_block() {
  static const Block block =
      BlockOf<HealthConfig>("health",
                            "How the health of a job is checked. Without a probe it is healthy "
                            "as long as it runs.")
          .include(&HealthConfig::process, process_block())
          .include(&HealthConfig::probe, probe_block())
          .field("interval", &HealthConfig::interval, seconds(1ms), "\"10s\"",
                 "Time between two checks.")
          .field("ttl", &HealthConfig::ttl, seconds(1ms), "3 × interval",
                 "After this long without a good check the catalog gives up on us.")
          .field("timeout", &HealthConfig::timeout, duration(), "interval",
                 "Bounds one check; 0 for no limit.")
          .field("startPeriod", &HealthConfig::start_period, duration(0s), "0",
                 "After a start, failures this long do not count.")
          .since_4()
          .field(
              "failureThreshold", &HealthConfig::failure_threshold, integer(1, 1'000'000),
              "1; with `ttl`: max(1, ttl / interval)",
              "This many failures in a row make it unhealthy. Where it follows from `ttl`, events "
              "tell each failure and only the catalog waits.")
          .since_4()
          .field("successThreshold", &HealthConfig::success_threshold, integer(1, 1'000'000), "1",
                 "This many passes in a row make it healthy again.")
          .since_4()
          .field("onFailure", &HealthConfig::on_failure,
                 choice<UnhealthyAction>({{"ignore", UnhealthyAction::kIgnore},
                                          {"restart", UnhealthyAction::kRestart},
                                          {"shutdown", UnhealthyAction::kShutdown}}),
                 "\"ignore\"",
                 "What becoming unhealthy does. `restart` is a failed run: it has the delays of "
                 "`restarts`, whatever their limit.")
          .since_4()
          .field("logging", &HealthConfig::logging, object<OutputConfig>(output_block), "",
                 "Output of the check.")
          .of(output_block)
          .build();
  return block;
}

const Block& source_block() {
  static const Block block =
      BlockOf<SourceConfig>("when.source", "One event to wait for.")
          .field("source", &SourceConfig::source, some_text(), "\"global\"",
                 "A job, `watch.NAME`, `lock.NAME`, `global`, `SIGHUP` or `SIGUSR2`.")
          .since_4()
          .field("once", &SourceConfig::once, some_text(), "", "Its event.")
          .since_4()
          .field("each", &SourceConfig::each, some_text(), "", "Its event.")
          .since_4()
          .build();
  return block;
}

const Block& when_block() {
  static const Block block =
      BlockOf<WhenConfig>("when", "When a job starts; left out: once, when the agent starts.")
          .field("source", &WhenConfig::source, text(), "",
                 "Whose event: a job, `watch.NAME`, `lock.NAME`, `global`, `SIGHUP` or `SIGUSR2`.")
          .field("once", &WhenConfig::once, text(), "", "Start at the first such event.")
          .field("each", &WhenConfig::each, text(), "", "Start at every such event.")
          .field("while", &WhenConfig::while_state, held_state(), "",
                 "Run as long as the source is in this state; with `interval` or `schedule` a "
                 "condition.")
          .since_4()
          .field("interval", &WhenConfig::interval, duration(1ms), "",
                 "Start now and then this often.")
          .field("schedule", &WhenConfig::schedule, some_text(), "",
                 "Five cron fields, or `@hourly`, `@daily`, ….")
          .since_4()
          .field("timeZone", &WhenConfig::time_zone, some_text(), "the container's",
                 "IANA name the schedule is read in.")
          .since_4()
          .field("all", &WhenConfig::all, objects<SourceConfig>(source_block), "",
                 "Start once all of these events were seen.")
          .of(source_block)
          .since_4()
          .field("any", &WhenConfig::any, objects<SourceConfig>(source_block), "",
                 "Start at any of these events: with `once` at the first of them, with `each` at "
                 "every one.")
          .of(source_block)
          .since_4()
          .field("timeout", &WhenConfig::timeout, read_later(duration()), "none",
                 "Give up waiting after this long.")
          .field("jitter", &WhenConfig::jitter, duration(0s), "0",
                 "Random delay before each start by interval or schedule.")
          .since_4()
          .field("overlap", &WhenConfig::overlap,
                 choice<Overlap>({{"skip", Overlap::kSkip},
                                  {"queue", Overlap::kQueue},
                                  {"replace", Overlap::kReplace}}),
                 "\"queue\"", "What a start does while the last run still goes on.")
          .since_4()
          .field("debounce", &WhenConfig::debounce, duration(0s), "0",
                 "Start this long after the last event of a burst.")
          .since_4()
          .foreign({{"event", "once or each"}, {"frequency", "interval"}})
          .build();
  return block;
}

const Block& consul_extras_block() {
  static const Block block =
      BlockOf<ConsulExtrasConfig>("jobs.consul", "Extra fields of the catalog entry.")
          .field("enableTagOverride", &ConsulExtrasConfig::enable_tag_override, boolean(), "false",
                 "Let others change the tags in the catalog.")
          .field("deregisterCriticalServiceAfter", &ConsulExtrasConfig::deregister_after, text(),
                 "", "A service critical for this long is removed by the catalog.")
          .build();
  return block;
}

Kind<EndAction> end_action() {
  return choice<EndAction>({{"ignore", EndAction::kIgnore}, {"shutdown", EndAction::kShutdown}});
}

// ---- catalogs ----

const Block& tls_block() {
  static const Block block =
      BlockOf<TlsConfig>("consul.tls", "TLS towards the catalog.")
          .field("cafile", &TlsConfig::ca_file, text(), "$CONSUL_CACERT", "Certificates to trust.")
          .field("capath", &TlsConfig::ca_path, text(), "$CONSUL_CAPATH", "A folder of them.")
          .field("clientcert", &TlsConfig::client_cert, text(), "$CONSUL_CLIENT_CERT",
                 "Our certificate.")
          .field("clientkey", &TlsConfig::client_key, text(), "$CONSUL_CLIENT_KEY", "Its key.")
          .field("servername", &TlsConfig::server_name, text(), "$CONSUL_TLS_SERVER_NAME",
                 "Name the server must prove.")
          .field("verify", &TlsConfig::verify, boolean(), "$CONSUL_HTTP_SSL_VERIFY, else true",
                 "Check the server's certificate.")
          .build();
  return block;
}

const Block& consul_block() {
  static const Block block =
      BlockOf<ConsulConfig>("consul", "Consul, as catalog.")
          .field("address", &ConsulConfig::address, text(),
                 "$CONSUL_HTTP_ADDR, else 127.0.0.1:8500", "`host:port`, a URL, or `unix:///path`.")
          .field("scheme", &ConsulConfig::scheme, text(),
                 "`https` if $CONSUL_HTTP_SSL, else `http`", "`http` or `https`.")
          .field("token", &ConsulConfig::token, secret(), "$CONSUL_HTTP_TOKEN", "ACL token.")
          .field("tokenFile", &ConsulConfig::token_file, some_text(), "$CONSUL_HTTP_TOKEN_FILE",
                 "File with the token, read again when it changes.")
          .since_4()
          .field("tls", &ConsulConfig::tls, object<TlsConfig>(tls_block), "", "TLS.")
          .of(tls_block)
          .build();
  return block;
}

const Block& etcd_block() {
  static const Block block =
      BlockOf<EtcdConfig>("etcd", "etcd, as catalog.")
          .field("endpoints", &EtcdConfig::endpoints, texts_or_one(), "",
                 "URLs of the cluster's members.")
          .required()
          .field("prefix", &EtcdConfig::prefix, text(), "\"/containerpilot\"",
                 "Where our keys live.")
          .field("user", &EtcdConfig::user, text(), "", "User name.")
          .since_4()
          .field("password", &EtcdConfig::password, secret(), "", "Password.")
          .since_4()
          .field("tls", &EtcdConfig::tls, object<TlsConfig>(tls_block), "", "TLS.")
          .of(tls_block)
          .since_4()
          .build();
  return block;
}

const Block& embedded_block() {
  static const Block block =
      BlockOf<EmbeddedConfig>("catalog.embedded", "A catalog inside the agent, for one machine.")
          .field("listen", &EmbeddedConfig::listen, some_text(), "\"127.0.0.1:8500\"",
                 "`address:port`; port 0 for a free one.")
          .since_4()
          .build();
  return block;
}

const Block& catalog_block() {
  static const Block block =
      BlockOf<CatalogObjectConfig>("catalog", "A catalog that needs no other program.")
          .field("embedded", &CatalogObjectConfig::embedded, object<EmbeddedConfig>(embedded_block),
                 "", "The embedded catalog.")
          .of(embedded_block)
          .required()
          .since_4()
          .build();
  return block;
}

/// A word or an object of `block`.
template <class T>
Kind<std::variant<std::string, T>> text_or_object(BlockMaker block, const std::string& accepted) {
  Kind<std::variant<std::string, T>> kind;
  kind.name = "text or object";
  kind.accepted = accepted;
  kind.schema = R"({"type": ["string", "object"]})";
  kind.parse = [block, accepted](Problems& problems, const Node& node,
                                 std::variant<std::string, T>& out) {
    if (node.is(Node::Kind::kString)) {
      out = std::string(node.text);
      return true;
    }
    if (!node.is(Node::Kind::kObject)) {
      problems.error(node, "found " + describe(node), accepted);
      return false;
    }
    T value;
    object<T>(block).parse(problems, node, value);
    out = std::move(value);
    return true;
  };
  return kind;
}

}  // namespace

Kind<ConsulValue> consul_kind() {
  return text_or_object<ConsulConfig>(consul_block,
                                      R"("host:port", or {address, scheme, token, tls})");
}

Kind<EtcdConfig> etcd_kind() { return object<EtcdConfig>(etcd_block); }

const Block& process_block() {
  static const Block block =
      BlockOf<ProcessConfig>("process", "What every command may say about its process.")
          .field("exec", &ProcessConfig::exec, argv(), "",
                 "The command. A string is split at each space; no shell, no quotes.")
          .field("user", &ProcessConfig::user, some_text(), "", "User to run as: name or number.")
          .since_4()
          .field("group", &ProcessConfig::group, some_text(), "", "Group to run as.")
          .since_4()
          .field("groups", &ProcessConfig::groups, texts_or_one(), "", "Supplementary groups.")
          .since_4()
          .field("cwd", &ProcessConfig::cwd, some_text(), "the agent's", "Working directory.")
          .since_4()
          .field("umask", &ProcessConfig::umask, umask_kind(), "the agent's",
                 "File mode mask, octal.")
          .since_4()
          .field("env", &ProcessConfig::env, text_map(), "", "Variables on top of the agent's.")
          .since_4()
          .field("envFile", &ProcessConfig::env_file, texts_or_one(), "",
                 "Files of `KEY=value` lines, read at each start.")
          .since_4()
          .field("clearEnv", &ProcessConfig::clear_env, boolean(), "false",
                 "Inherit nothing but `PATH` and what is listed.")
          .since_4()
          .field("rlimits", &ProcessConfig::rlimits, rlimits_kind(), "", "Resource limits.")
          .since_4()
          .field("oomScoreAdj", &ProcessConfig::oom_score_adj, integer(-1000, 1000), "",
                 "How willingly the kernel kills it when memory runs out.")
          .since_4()
          .field("noNewPrivileges", &ProcessConfig::no_new_privileges, boolean(), "false",
                 "No setuid programs below it.")
          .since_4()
          .build();
  return block;
}

const Block& v3_job_block() {
  static const Block block =
      BlockOf<JobConfig>("jobs", "Processes to run, and services to advertise.")
          .field("name", &JobConfig::name, some_text(), "", "Name in events, logs and the catalog.")
          .required()
          .include(&JobConfig::process, process_block())
          .field("timeout", &JobConfig::timeout, duration(1ms),
                 "none; with `when.interval`: the interval",
                 "Bounds one run; then the whole process tree is killed.")
          .field("port", &JobConfig::port, integer(), "",
                 "Advertise the job in the catalog with this port; needs `health`.")
          .field("advertise", &JobConfig::advertise, boolean(), "true with `port`",
                 "Be in the catalog without a port, too.")
          .since_4()
          .field("interfaces", &JobConfig::interfaces, printed_texts(), kDefaultAddress,
                 "Which address to advertise; the first that matches.")
          .field("tags", &JobConfig::tags, texts_or_one(), "", "Tags in the catalog.")
          .field("meta", &JobConfig::meta, text_map(), "", "Metadata in the catalog.")
          .since_4()
          .field("initial_status", &JobConfig::initial_status, text(), "",
                 "Register at once as `passing`, `warning` or `critical`.")
          .alias("initialStatus")
          .field("consul", &JobConfig::consul, object<ConsulExtrasConfig>(consul_extras_block), "",
                 "Extra fields of the catalog entry.")
          .of(consul_extras_block)
          .field("health", &JobConfig::health, object<HealthConfig>(health_block), "",
                 "How its health is checked.")
          .of(health_block)
          .field("when", &JobConfig::when, object<WhenConfig>(when_block), "when the agent starts",
                 "When it starts.")
          .of(when_block)
          .field("restarts", &JobConfig::restarts, restarts_kind(),
                 "\"never\"; with `when.interval` or `when.schedule`: \"unlimited\"",
                 "How often it is started again after it ended.")
          .of(restarts_block)
          .field("stopTimeout", &JobConfig::stop_timeout, duration(), "the agent's `stopTimeout`",
                 "From the stop signal to SIGKILL.")
          .field("stopSignal", &JobConfig::stop_signal, signal_kind(), "\"SIGTERM\"",
                 "Asks it to stop.")
          .since_4()
          .field("drain", &JobConfig::drain, duration(0s), "0",
                 "Leave the catalog this long before the stop signal.")
          .since_4()
          .field("onSuccess", &JobConfig::on_success, end_action(), "\"ignore\"",
                 "What its end with code 0 does to the agent.")
          .since_4()
          .field("onFailure", &JobConfig::on_failure, end_action(), "\"ignore\"",
                 "What its end with another code does to the agent.")
          .since_4()
          .field("notify", &JobConfig::notify, boolean(), "false",
                 "Give it a `NOTIFY_SOCKET` to say it is ready.")
          .since_4()
          .field("logging", &JobConfig::logging, object<JobLoggingConfig>(job_logging_block), "",
                 "Where its output goes.")
          .of(job_logging_block)
          // Names of fields inside the old program, which it took as keys and dropped.
          .ignore({{"restartLimit", "did you mean 'restarts'?"},
                   {"execTimeout", "did you mean 'timeout'?"},
                   {"stoppingTimeout", "did you mean 'stopTimeout'?"},
                   {"freqInterval", "did you mean 'when.interval'?"},
                   {"whenEvent", "did you mean 'when'?"},
                   {"whenTimeout", "did you mean 'when.timeout'?"},
                   {"whenStartsLimit", "did you mean 'restarts'?"},
                   {"stoppingWaitEvent", ""},
                   {"heartbeatInterval", "did you mean 'health.interval'?"},
                   {"ttl", "did you mean 'health.ttl'?"},
                   {"healthCheckExec", "did you mean 'health.exec'?"},
                   {"serviceDefinition", ""}})
          .foreign({{"restart", "restarts"},
                    {"poll", "interval, inside 'health'"},
                    {"frequency", "when: {interval: …}"},
                    {"command", "exec"},
                    {"heartbeat", "interval, inside 'health'"},
                    {"passthru", "logging: {raw: true}"}})
          .build();
  return block;
}

const Block& v3_watch_block() {
  static const Block block =
      BlockOf<WatchConfig>("watches",
                           "Other services to keep an eye on; events come from `watch.NAME`.")
          .field("name", &WatchConfig::name, some_text(), "", "The service's name in the catalog.")
          .required()
          .field("interval", &WatchConfig::interval, seconds(1ms), "",
                 "How old our knowledge may become where the catalog cannot tell us at once.")
          .required()
          .field("tag", &WatchConfig::tag, text(), "", "Only instances with this tag.")
          .field("dc", &WatchConfig::dc, text(), "", "Consul datacenter.")
          .field("dns", &WatchConfig::dns, some_text(), "",
                 "Watch a DNS name instead; its answers are the instances.")
          .since_4()
          .field("port", &WatchConfig::port, integer(0, 65535), "from SRV",
                 "Port of the instances found by DNS.")
          .since_4()
          .ignore({{"serviceName", "did you mean 'name'?"}, {"discoveryService", ""}})
          .planned({{"key", "watches of services and of DNS names"}})
          .foreign({{"poll", "interval"},
                    {"onChange", "a job with when: {source: \"watch.NAME\", each: \"changed\"}"},
                    {"tags", "tag (one)"}})
          .build();
  return block;
}

const Block& logging_block() {
  static const Block block =
      BlockOf<LoggingConfig>("logging", "The agent's log.")
          .field("level", &LoggingConfig::level, text(), "\"INFO\"",
                 "`debug`, `info`, `warn`, `error`, `fatal` or `panic`, in any case.")
          .field("format", &LoggingConfig::format, text(), "\"default\"",
                 "`default`, `text` or `json`, in any case.")
          .field("output", &LoggingConfig::output, text(), "\"stdout\"",
                 "`stdout`, `stderr` or a file.")
          .build();
  return block;
}

const Block& v3_control_block() {
  static const Block block =
      BlockOf<ControlConfig>("control", "How commands reach the running agent.")
          .field("socket", &ControlConfig::socket, text(), "\"/var/run/containerpilot.socket\"",
                 "Path of the control socket.")
          .build();
  return block;
}

// In v3_telemetry_schema.cc.
const Block& sensor_block();
const Block& scaling_block();

const Block& v3_block() {
  static const Block block =
      BlockOf<V3Config>("configuration",
                        "Top level. Exactly one of `consul`, `etcd` and `catalog`.")
          .field("consul", &V3Config::consul, consul_kind(), "", "Use Consul as catalog.")
          .of(consul_block)
          .field("etcd", &V3Config::etcd, object<EtcdConfig>(etcd_block), "",
                 "Use etcd as catalog.")
          .of(etcd_block)
          .since_4()
          .field(
              "catalog", &V3Config::catalog,
              text_or_object<CatalogObjectConfig>(
                  catalog_block, R"("embedded", "none" or {embedded: {listen: "127.0.0.1:8500"}})"),
              "", "Use the embedded catalog, or none.")
          .of(catalog_block)
          .since_4()
          .field("jobs", &V3Config::jobs, objects<JobConfig>(v3_job_block), "",
                 "Processes and services.")
          .of(v3_job_block)
          .field("watches", &V3Config::watches, objects<WatchConfig>(v3_watch_block), "",
                 "Other services.")
          .of(v3_watch_block)
          .field("sensors", &V3Config::sensors, objects<SensorConfig>(sensor_block), "",
                 "Numbers to measure.")
          .of(sensor_block)
          .since_4()
          .field("scaling", &V3Config::scaling, objects<ScalingConfig>(scaling_block), "",
                 "Targets an autoscaler follows.")
          .of(scaling_block)
          .since_4()
          .field("telemetry", &V3Config::telemetry, object<TelemetryConfig>(v3_telemetry_block),
                 "off", "The metrics port; `{}` turns it on.")
          .of(v3_telemetry_block)
          .field("control", &V3Config::control, object<ControlConfig>(v3_control_block), "",
                 "The control socket.")
          .of(v3_control_block)
          .field("logging", &V3Config::logging, object<LoggingConfig>(logging_block), "",
                 "The agent's log.")
          .of(logging_block)
          .field("stopTimeout", &V3Config::stop_timeout, seconds(), "\"5s\"",
                 "From the stop signal to SIGKILL; 0 means the default, negative SIGKILL at once.")
          .planned({{"templates",
                     "until then, a job that renders: exec: [\"containerpilot\", \"-config\", "
                     "\"/etc/app.tmpl\", \"-template\", \"-out\", \"/etc/app.conf\"]"},
                    {"locks", "until then, 'consul lock' as the command of the job"}})
          .exact_case()
          .build();
  return block;
}

}  // namespace containerpilot::agent
