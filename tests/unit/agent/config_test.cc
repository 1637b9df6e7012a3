#include "containerpilot/agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <string>

#include "containerpilot/agent/version.h"
#include "load.h"
#include "support/temp_dir.h"

namespace containerpilot::agent {
namespace {

using namespace std::chrono_literals;
using test::load;
using test::messages;
using test::options;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

std::string refusal(const std::string& text, const LoadOptions& with = options()) {
  const LoadResult result = load_config({"", text, false}, with);
  EXPECT_FALSE(result.plan) << "accepted: " << text;
  return messages(result);
}

TEST(Config, WebAppWithSensorAndScalingTarget) {
  const Plan plan = load(R"({
    consul: "consul:8500",
    jobs: [
      { name: "web", exec: ["nginx", "-g", "daemon off;"], port: 8080, stopSignal: "SIGQUIT",
        restarts: "unlimited", drain: "5s",
        health: { http: "http://127.0.0.1:8080/health", interval: "5s", timeout: "1s",
                  startPeriod: "10s", failureThreshold: 2 } },
      { name: "rotate-cache", exec: "/bin/rotate-cache",
        when: { schedule: "0 3 * * *", timeZone: "Europe/Berlin", overlap: "skip", jitter: "5m" },
        timeout: "10m" } ],
    sensors: [
      { name: "nginx_connections_active", help: "Connections nginx is serving now.",
        exec: "/bin/nginx-active.sh", interval: "2s", timeout: "1s",
        when: { source: "web", while: "healthy" } } ],
    scaling: [ { service: "web", min: 2, max: 20,
                 triggers: [{ metric: "nginx_connections_active", target: 100, scope: "instance" }] } ],
    telemetry: { port: 9090, listen: "0.0.0.0" }
  })");
  EXPECT_EQ(plan.catalog.kind, discovery::CatalogSpec::Kind::kConsul);
  EXPECT_EQ(plan.catalog.consul.address, "consul:8500");
  ASSERT_EQ(plan.jobs.size(), 2U);
  const JobSpec& web = plan.jobs[0].spec;
  EXPECT_THAT(web.exec->argv, ElementsAre("nginx", "-g", "daemon off;"));
  EXPECT_EQ(web.stop_signal, 3);
  EXPECT_TRUE(web.restarts.limit.unlimited());
  EXPECT_EQ(web.drain, 5s);
  EXPECT_EQ(std::get<HttpProbe>(web.health->probe).url, "http://127.0.0.1:8080/health");
  EXPECT_EQ(web.health->failure_threshold, 2U);
  EXPECT_EQ(web.health->start_period, 10s);
  ASSERT_TRUE(plan.jobs[0].advertise);
  const discovery::ServiceSpec& service = plan.jobs[0].advertise->service;
  EXPECT_EQ(service.id, "web-h");
  EXPECT_EQ(service.address, "192.0.2.2");
  EXPECT_EQ(service.port, 8080);
  EXPECT_EQ(service.ttl, 15s);  // three intervals
  EXPECT_EQ(service.notes, "TTL for web set by containerpilot");

  const Trigger& schedule = plan.jobs[1].spec.when;
  EXPECT_EQ(schedule.kind, Trigger::Kind::kSchedule);
  EXPECT_EQ(schedule.schedule, parse_schedule("0 3 * * *", "Europe/Berlin").value());
  EXPECT_EQ(schedule.overlap, Overlap::kSkip);
  EXPECT_EQ(schedule.jitter, 5min);

  ASSERT_EQ(plan.sensors.size(), 1U);
  EXPECT_EQ(plan.sensors[0].condition, (HeldCondition{"web", HeldState::kHealthy}));
  EXPECT_EQ(plan.sensors[0].stale_after, 6s);
  ASSERT_EQ(plan.scaling.size(), 1U);
  EXPECT_EQ(plan.scaling[0].max, 20U);
  ASSERT_TRUE(plan.telemetry && plan.telemetry->advertise);
  EXPECT_EQ(plan.telemetry->server.listen, "0.0.0.0");
  EXPECT_EQ(plan.telemetry->advertise->service.address, "192.0.2.2");
  EXPECT_THAT(plan.telemetry->advertise->service.tags, ElementsAre(std::string(version())));
  EXPECT_THAT(plan.environment, ElementsAre(Pair("CONTAINERPILOT_CONTAINERPILOT_IP", "192.0.2.2"),
                                            Pair("CONTAINERPILOT_WEB_IP", "192.0.2.2")));
}

TEST(Config, WorkerScaledByAQueue) {
  const Plan plan = load(R"({
    consul: "consul:8500",
    jobs: [ { name: "worker", advertise: true, exec: ["python3", "/app/worker.py"], user: "app",
              envFile: "/run/secrets/worker.env",
              restarts: { limit: "unlimited", delay: "500ms", maxDelay: "30s", resetAfter: "1m" },
              stopTimeout: "60s",
              health: { exec: "/app/alive.sh", interval: "10s", failureThreshold: 3,
                        onFailure: "restart" } } ],
    sensors: [
      { name: "queue", help: "Items waiting.", exec: "/app/queue-stats.sh", format: "json",
        values: { queue_depth: "/depth", queue_oldest_seconds: "/oldest" }, interval: "5s",
        timeout: "2s" },
      { name: "container", cgroup: ["cpu", "memory", "pressure"], interval: "10s" } ],
    scaling: [ { service: "worker", min: 1, max: 50, triggers: [
      { metric: "queue_depth", target: 20, scope: "service" },
      { metric: "queue_oldest_seconds", target: 30, scope: "service" } ] } ],
    telemetry: {}
  })");
  const JobPlan& worker = plan.jobs.at(0);
  EXPECT_EQ(worker.spec.exec->user, "app");
  EXPECT_THAT(worker.spec.exec->env_files, ElementsAre("/run/secrets/worker.env"));
  EXPECT_EQ(worker.spec.restarts.delay, 500ms);
  EXPECT_EQ(worker.spec.stop_timeout, 60s);
  EXPECT_EQ(worker.spec.health->on_failure, UnhealthyAction::kRestart);
  ASSERT_TRUE(worker.advertise);
  EXPECT_EQ(worker.advertise->service.port, 0);
  EXPECT_THAT(std::get<telemetry::CgroupSource>(plan.sensors.at(1).source).groups,
              ElementsAre("cpu", "memory", "pressure"));
  EXPECT_EQ(plan.scaling.at(0).triggers.at(1).scope, telemetry::ScalingScope::kService);
}

TEST(Config, SidecarWithoutACatalogNeedsNoAddress) {
  LoadOptions nowhere = options();
  nowhere.addresses.clear();
  const Plan plan = load(R"({
    catalog: "none",
    jobs: [ { name: "app", health: { http: "http://127.0.0.1:8080/ready", interval: "5s", timeout: "1s" } } ],
    watches: [ { name: "redis", dns: "redis-headless.prod.svc.cluster.local", port: 6379, interval: "5s" } ],
    sensors: [ { name: "app_sessions", help: "Open sessions.", http: "http://127.0.0.1:8080/stats",
                 format: "json", values: { app_sessions: "/sessions/open" }, interval: "5s", timeout: "1s" } ],
    telemetry: { listen: "0.0.0.0" },
    control: { socket: "/tmp/containerpilot.socket" },
    logging: { format: "json" }
  })",
                         nowhere);
  EXPECT_EQ(plan.catalog.kind, discovery::CatalogSpec::Kind::kNone);
  EXPECT_EQ(plan.watches.at(0).source, "watch.redis");
  EXPECT_EQ(plan.watches.at(0).dns_port, 6379);
  EXPECT_EQ(plan.control_socket, "/tmp/containerpilot.socket");
  EXPECT_EQ(plan.logging.format, LogFormat::kJson);
  EXPECT_THAT(plan.environment, IsEmpty());
}

TEST(Config, ExactlyOneCatalog) {
  EXPECT_THAT(refusal("{}"),
              HasSubstr(R"(accepted: one of consul: "host:port", etcd: {endpoints: […]}, )"
                        R"(catalog: "embedded", catalog: "none")"));
  EXPECT_THAT(refusal("{consul: 'a:1', catalog: 'none'}"), HasSubstr("more than one catalog"));
  EXPECT_EQ(load("{catalog: {embedded: {listen: '127.0.0.1:0'}}}").catalog.embedded.listen,
            "127.0.0.1:0");
  EXPECT_THAT(load("{etcd: {endpoints: 'http://etcd:2379'}}").catalog.etcd.endpoints,
              ElementsAre("http://etcd:2379"));
}

TEST(Config, KnowsTheJobThatIsItsCatalog) {
  const auto serves = [](const std::string& catalog, const std::string& job) {
    const Plan plan = load("{" + catalog + ", jobs: [{name: 'app', exec: 'true'}, " + job + "]}");
    return plan.jobs.at(1).spec.serves_catalog;
  };
  EXPECT_TRUE(serves("consul: 'localhost:8500'", "{name: 'c', exec: '/bin/consul agent -dev'}"));
  EXPECT_TRUE(serves("consul: '127.0.0.1:8500'", "{name: 'consul', exec: '/bin/run.sh'}"));
  EXPECT_TRUE(serves("consul: '127.0.0.1:8500'", "{name: 'consul-agent', exec: '/bin/run.sh'}"));
  EXPECT_TRUE(serves("etcd: {endpoints: 'http://127.0.0.1:2379'}", "{name: 'e', exec: 'etcd'}"));
  EXPECT_FALSE(serves("consul: 'consul:8500'", "{name: 'consul', exec: '/bin/consul agent'}"));
  EXPECT_FALSE(serves("consul: 'localhost:8500'",
                      "{name: 'consul-template', exec: 'consul-template -config /c'}"));
  EXPECT_FALSE(serves("consul: 'localhost:8500'",
                      "{name: 'consul', exec: '/bin/consul agent', when: {interval: '5s'}}"));
}

TEST(Config, ConsulAddressSchemeAndEnvironment) {
  const auto consul = [](const std::string& value,
                         std::map<std::string, std::string, std::less<>> env) {
    LoadOptions with = options();
    with.environment = std::move(env);
    return load("{consul: " + value + "}", with).catalog.consul;
  };
  EXPECT_EQ(consul("'https://c:1'", {}).scheme, "https");
  EXPECT_EQ(consul("'https://c:1'", {}).address, "c:1");
  EXPECT_TRUE(consul("'https://c:1'", {}).tls.verify);
  EXPECT_FALSE(consul("{address: 'c:1', tls: {verify: false}}", {}).tls.verify);
  EXPECT_EQ(consul("''", {}).address, "127.0.0.1:8500");
  EXPECT_EQ(consul("''", {{"CONSUL_HTTP_ADDR", "unix:///run/c.sock"}}).address, "/run/c.sock");
  EXPECT_TRUE(consul("''", {{"CONSUL_HTTP_ADDR", "unix:///run/c.sock"}}).unix_socket);
  EXPECT_EQ(consul("'c:1'", {{"CONSUL_HTTP_ADDR", "d:1"}}).address, "c:1");
  EXPECT_EQ(consul("{address: 'c:1', token: 'a'}", {{"CONSUL_HTTP_TOKEN", "b"}}).token, "b");
  EXPECT_EQ(consul("{address: 'c:1'}", {{"CONSUL_HTTP_SSL", "true"}}).scheme, "https");
  EXPECT_EQ(consul("{address: 'c:1', scheme: 'http'}", {{"CONSUL_HTTP_SSL", "true"}}).scheme,
            "http");
  EXPECT_EQ(consul("'c:1'", {{"CONSUL_HTTP_SSL", "true"}}).scheme, "http");
  EXPECT_FALSE(consul("'c:1'", {{"CONSUL_HTTP_SSL_VERIFY", "FALSE"}}).tls.verify);
  EXPECT_EQ(consul("''", {{"CONSUL_HTTP_SSL", "true"}, {"CONSUL_HTTP_ADDR", "c:1"}}).scheme,
            "https");
  EXPECT_EQ(consul("{scheme: 'http'}", {{"CONSUL_HTTP_SSL", "true"}}).scheme, "http");
  EXPECT_EQ(consul("'http://c:1/'", {}).address, "c:1");
  EXPECT_THAT(refusal("{consul: 'ftp://c:1'}"), HasSubstr("unknown scheme"));
  const auto all = consul("{address: 'c:1', tokenFile: '/a'}", {{"CONSUL_HTTP_TOKEN_FILE", "/b"},
                                                                {"CONSUL_HTTP_AUTH", "me:secret"},
                                                                {"CONSUL_NAMESPACE", "team"},
                                                                {"CONSUL_PARTITION", "west"}});
  EXPECT_EQ(all.token_file, "/b");
  EXPECT_EQ(all.http_auth, "me:secret");
  EXPECT_EQ(all.name_space, "team");
  EXPECT_EQ(all.partition, "west");
}

TEST(Config, TellsEveryProblemNotJustTheFirst) {
  EXPECT_EQ(
      refusal("{\n"
              "  consul: 'c:8500',\n"
              "  jobs: [\n"
              "    { name: 'a', exec: [], helth: {} },\n"
              "    { exec: 'x', timeout: '5 s' },\n"
              "  ],\n"
              "  stopTimeout: 'soon',\n"
              "}"),
      "<inline>:4:24: error: jobs[0].exec: found an empty list; accepted: a command: "
      "[\"program\", \"argument\", …], or a string that is split at spaces\n"
      "<inline>:4:28: error: jobs[0].helth: unknown key 'helth', did you mean 'health'?; accepted: "
      "name, exec, user, group, groups, cwd, umask, env, envFile, clearEnv, rlimits, oomScoreAdj, "
      "noNewPrivileges, timeout, port, advertise, interfaces, tags, meta, initial_status, consul, "
      "health, when, restarts, stopTimeout, stopSignal, drain, onSuccess, onFailure, notify, "
      "logging\n"
      "<inline>:5:27: error: jobs[1].timeout: found \"5 s\", ' s' is not a unit (ns, us, ms, s, m "
      "or "
      "h); accepted: a duration like \"250ms\", \"5s\" or \"1h30m\", or a number of seconds, at "
      "least "
      "1ms\n"
      "<inline>:5:5: error: jobs[1]: 'name' is missing; accepted: a string that is not empty\n"
      "<inline>:7:16: error: stopTimeout: found \"soon\", expected a number; accepted: a duration "
      "like "
      "\"250ms\", \"5s\" or \"1h30m\", or a number of seconds\n");
}

TEST(Config, InterfacesThatAreNotHereOnlyWarnWhenChecking) {
  const std::string text =
      "{consul: 'c:1', jobs: [{name: 'app', port: 80, interfaces: 'eth7', health: {}}]}";
  EXPECT_THAT(refusal(text), HasSubstr("jobs[0].interfaces"));
  LoadOptions check = options();
  check.check = true;
  EXPECT_EQ(load(text, check).jobs.at(0).advertise->service.address, "");
}

TEST(Config, WithoutInterfacesTheAddressIsNeitherVirtualNorLinkLocal) {
  const auto addresses = [](std::vector<discovery::InterfaceAddress> here) {
    LoadOptions host = options();
    host.addresses = std::move(here);
    std::vector<std::string> chosen;
    for (const char* text :
         {"{consul: 'c:1', telemetry: {}, jobs: [{name: 'app', port: 80, health: {}}]}",
          R"({"consul": "c:1", "services": [{"name": "app", "port": 80, "poll": 1, "ttl": 5}],
              "telemetry": {}})"}) {
      const Plan plan = load(text, host);
      EXPECT_TRUE(plan.telemetry && !plan.jobs.empty());
      if (!plan.telemetry || plan.jobs.empty()) continue;
      for (const JobPlan& job : plan.jobs) {
        if (job.advertise) chosen.push_back(job.advertise->service.address);
      }
      chosen.push_back(plan.telemetry->server.listen);
    }
    return chosen;
  };
  const auto are = [](const char* ip) { return ElementsAre(ip, ip, ip, ip); };
  EXPECT_THAT(addresses({{"eth0", "192.0.2.2", 24}, {"eth1", "10.0.0.1", 24}}), are("192.0.2.2"));
  EXPECT_THAT(addresses({{"eth1", "192.168.1.5", 24}, {"lo", "10.0.0.5", 32}}), are("192.168.1.5"));
  EXPECT_THAT(addresses({{"eth0", "169.254.7.7", 16}, {"eth1", "192.168.1.5", 24}}),
              are("192.168.1.5"));
  EXPECT_THAT(addresses({{"eth0", "fd00::5", 64}, {"lo", "127.0.0.1", 8}}), are("fd00::5"));
}

TEST(Config, ControlSocketIsFoundInABrokenConfig) {
  const std::string broken = "{consul: 5, control: {socket: '/run/x.sock'}, jobs: 7}";
  EXPECT_EQ(find_control_socket({{"", broken, false}}, options()).path, "/run/x.sock");
  const ControlSocket fallback = find_control_socket({{"", "{", false}}, options());
  EXPECT_EQ(fallback.path, "/var/run/containerpilot.socket");
  EXPECT_THAT(fallback.problem, HasSubstr("expected a key"));
}

TEST(Config, LaterSourcesWin) {
  const auto text = [](std::string t) { return ConfigSource{"", std::move(t), false}; };
  const LoadResult result = load_config(
      {text("{consul: 'c:1', stopTimeout: 3, logging: {level: 'debug', format: 'json'},"
            " jobs: [{name: 'a', exec: 'x', restarts: 1, tags: ['p']}, {name: 'b', exec: 'y'}]}"),
       text("{catalog: 'none', logging: {level: 'warn'}, stopTimeout: null,"
            " jobs: [{name: 'c', exec: 'z'}, {name: 'a', Restarts: 2, tags: ['q']}]}")},
      options());
  ASSERT_TRUE(result.plan) << messages(result);
  const Plan& plan = *result.plan;
  EXPECT_EQ(plan.catalog.kind, discovery::CatalogSpec::Kind::kNone);
  EXPECT_EQ(plan.stop_timeout, 5s);
  EXPECT_EQ(plan.logging.level, LogLevel::kWarn);
  EXPECT_EQ(plan.logging.format, LogFormat::kJson);
  ASSERT_EQ(plan.jobs.size(), 3U);
  EXPECT_EQ(plan.jobs[0].spec.name, "a");
  EXPECT_THAT(plan.jobs[0].spec.exec->argv, ElementsAre("x"));
  EXPECT_EQ(plan.jobs[0].spec.restarts.limit.count, 2U);
  EXPECT_EQ(plan.jobs[1].spec.name, "b");
  EXPECT_EQ(plan.jobs[2].spec.name, "c");
}

TEST(Config, AFolderStandsForItsFilesByName) {
  const test::TempDir folder;
  std::ofstream(folder.path() + "/20-site.json5") << "{jobs: [{name: 'a', exec: 'site'}]}";
  std::ofstream(folder.path() + "/10-base.json")
      << "{\"catalog\": \"none\", \"jobs\": [{\"name\": \"a\", \"exec\": \"base\"}]}";
  std::ofstream(folder.path() + "/README.md") << "not a config";
  const LoadResult result = load_config({folder.path(), "", false}, options());
  ASSERT_TRUE(result.plan) << messages(result);
  EXPECT_THAT(result.plan->jobs.at(0).spec.exec->argv, ElementsAre("site"));

  std::ofstream(folder.path() + "/30-broken.json5") << "{jobs: [{name: 'a', exec: 5}]}";
  EXPECT_THAT(messages(load_config({folder.path(), "", false}, options())),
              HasSubstr("/30-broken.json5:1:27: error: jobs[0].exec"));
}

TEST(Config, SecretsFromFilesAreNeverPrinted) {
  const test::TempDir folder;
  const std::string path = folder.path() + "/token";
  std::ofstream(path) << "s3cr3t\n";
  const LoadResult result = load_config({"",
                                         "{consul: {address: 'c:1', token: '{{ file \"" + path +
                                             "\" }}', x: '{{ file \"" + path + "\" }}'}}",
                                         false},
                                        options());
  EXPECT_FALSE(result.plan);
  for (const Problem& problem : result.errors) {
    EXPECT_EQ(with_excerpt(problem).find("s3cr3t"), std::string::npos) << with_excerpt(problem);
  }
  const Plan plan = load("{consul: {address: 'c:1', token: '{{ file \"" + path + "\" }}'}}");
  EXPECT_EQ(plan.catalog.consul.token, "s3cr3t");
  EXPECT_THAT(plan.secrets, ElementsAre("s3cr3t"));
}

std::string warnings(const LoadResult& result) {
  std::string out;
  for (const Problem& problem : result.warnings) out += one_line(problem) + "\n";
  return out;
}

TEST(Config, CheckTakesVariablesThatAreNotSetForAnything) {
  LoadOptions check = options();
  check.check = true;
  const std::string text =
      "{ consul: '{{ .UNSET }}:8500', {{ if .UNSET }} oops {{ end }}\n"
      "  jobs: [{ name: '{{ .UNSET }}', exec: '{{ .COMMAND }} x', port: {{ .PORT }}, restarts: {{ "
      "$.N }},\n"
      "    health: { exec: 'true', interval: {{ .EVERY }}, ttl: '{{ .EVERY }}' } }, {{ .MORE }}] }";
  const LoadResult result = load_config({"", text, false}, check);
  EXPECT_TRUE(result.plan) << messages(result);
  for (const char* name : {"UNSET", "PORT", "N", "EVERY", "MORE", "COMMAND"}) {
    EXPECT_THAT(warnings(result), HasSubstr("'" + std::string(name) + "' is not set here"));
  }
  EXPECT_THAT(warnings(result), HasSubstr("<inline>:2:44: warning: 'COMMAND' is not set"));

  check.environment["PORT"] = "'high'";  // known to be wrong
  EXPECT_THAT(messages(load_config({"", text, false}, check)),
              HasSubstr("jobs[0].port: found \"high\""));
  refusal(text);                                        // for running it must be right
  refusal("{catalog: 'none', stopTimeout: ∅}", check);  // the sign itself means nothing
}

TEST(Config, CheckWarnsOfProgramsThatAreNotThere) {
  const test::TempDir folder;
  const std::string program = folder.path() + "/program";
  std::ofstream(program) << "#!/bin/sh\n";
  ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
  LoadOptions check = options();
  check.environment["PATH"] = "/nonexistent:" + folder.path();
  const std::string text =
      "{ catalog: 'none', jobs: [{ name: 'a', exec: 'program x' },"
      "{ name: 'b', exec: '" +
      program +
      "' }, { name: 'c', exec: ['absent', 'x'] },"
      "{ name: 'd', exec: '" +
      folder.path() +
      "/absent' },"
      "{ name: 'e', exec: './absent', cwd: '/srv' }],"
      "sensors: [{ name: 's', help: 'h', type: 'gauge', exec: 'absent', interval: 5 }] }";
  EXPECT_EQ(warnings(load_config({"", text, false}, check)), "");
  check.check = true;
  const std::string said = warnings(load_config({"", text, false}, check));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 3) << said;
  EXPECT_THAT(said, HasSubstr("jobs[2].exec: there is no program 'absent' on PATH here"));
  EXPECT_THAT(said,
              HasSubstr("jobs[3].exec: there is no program '" + folder.path() + "/absent' here"));
  EXPECT_THAT(said, HasSubstr("sensors[0].exec: there is no program 'absent' on PATH here"));
}

TEST(Config, NamesInsideTheOldProgramAreNoUnknownKeys) {
  const LoadResult result = load_config({"", R"({ "consul": "c:8500",
    "services": [{ "name": "aa", "port": 1, "poll": 1, "ttl": 2, "definition": null }],
    "backends": [{ "name": "bb", "poll": 1, "onChange": "x", "lastState": 1 }],
    "tasks": [{ "command": "x", "frequency": "1s", "freqDuration": 1 }],
    "telemetry": { "addr": "x", "sensors": [
      { "name": "m", "help": "h", "type": "gauge", "poll": 1, "check": "x", "collector": {} }] },
    "coprocesses": [{ "command": "x", "restart": true, "restartLimit": 3 }] })",
                                         true},
                                        options());
  EXPECT_TRUE(result.plan) << messages(result);
  EXPECT_EQ(result.warnings.size(), 7U);
  EXPECT_THAT(result.warnings.back().message, HasSubstr("has no effect: did you mean 'restarts'?"));
}

TEST(Config, HealthTimeoutBelowZeroIsNoLimitAsBefore) {
  const Plan plan = load(R"({ consul: "c:8500", jobs: [
    { name: "a", exec: "x", health: { exec: "y", interval: 1, ttl: 3, timeout: "-1s" } }] })");
  EXPECT_EQ(plan.jobs[0].spec.health->timeout, 0s);
}

TEST(Config, EventsBesideASignalMustBeEvents) {
  const auto job = [](const std::string& when) {
    return "{ catalog: 'none', jobs: [{ name: 'a', exec: 'x', when: {" + when + "} }] }";
  };
  EXPECT_THAT(refusal(job("source: 'SIGHUP', each: 'helthy'")), HasSubstr("\"healthy\""));
  EXPECT_THAT(load(job("source: 'SIGHUP', each: 'healthy'")).jobs[0].spec.when.events,
              ElementsAre(EventKey{EventCode::kSignal, "SIGHUP"}));
}

TEST(Config, GenerationsOneAndTwoNeedACatalogThatIsNotNull) {
  EXPECT_THAT(refusal("{\"consul\": null, \"services\": []}"), HasSubstr("no catalog is chosen"));
}

TEST(Config, PidVariablesOfGeneration2StayAndHaveBothSpellings) {
  const Plan plan = load(
      R"({"consul": "c:1", "preStart": "x", "coprocesses": [{"name": "my proxy", "command": "y"}]})");
  EXPECT_TRUE(plan.pre_start->keeps_pid_variable);
  EXPECT_TRUE(plan.jobs.at(0).spec.keeps_pid_variable);
  EXPECT_EQ(plan.jobs.at(0).spec.pid_alias, "CONTAINERPILOT_COPROCESS[my proxy]_PID");
  EXPECT_EQ(env_name(plan.jobs.at(0).spec.name), "MY_PROXY");
  EXPECT_FALSE(
      load("{catalog: 'none', jobs: [{name: 'a', exec: 'x'}]}").jobs.at(0).spec.keeps_pid_variable);
}

TEST(Config, MainApplicationAndHooksOfGeneration2) {
  LoadOptions with = options();
  with.command = {"/bin/app", "--ip={{ .CONTAINERPILOT_WEB_IP }}"};
  const Plan plan = load(R"({ "consul": "c:1", "preStart": "/bin/pre --x", "preStop": ["/bin/stop"],
    "postStop": "/bin/post", "stopTimeout": -1,
    "services": [{ "name": "web", "port": 80, "poll": 10, "ttl": 25, "health": "/bin/check" }],
    "backends": [{ "name": "db", "poll": 7, "onChange": "/bin/change", "timeout": "2s" }],
    "tasks": [{ "name": "tick", "command": ["/bin/tick"], "frequency": "1500ms" }],
    "coprocesses": [{ "name": "agent", "command": ["/bin/co", "-x"], "restarts": 2 }],
    "telemetry": { "sensors": [{ "namespace": "ns", "name": "free", "help": "h", "type": "gauge",
      "poll": 5, "check": ["/bin/free"] }] } })",
                         with);
  EXPECT_EQ(plan.generation, Generation::kV2);
  EXPECT_TRUE(plan.signals_reload);
  std::map<std::string, JobSpec> jobs;
  for (const JobPlan& job : plan.jobs) jobs[job.spec.name] = job.spec;

  ASSERT_TRUE(plan.pre_start);
  const JobSpec& pre_start = *plan.pre_start;
  EXPECT_EQ(pre_start.name, "main/preStart");
  EXPECT_THAT(pre_start.exec->argv, ElementsAre("/bin/pre", "--x"));
  EXPECT_EQ(pre_start.when.events, Trigger().events);
  EXPECT_EQ(pre_start.on_failure, EndAction::kShutdown);
  EXPECT_TRUE(pre_start.output.raw);

  const JobSpec& main = jobs.at("main/app");
  EXPECT_THAT(main.exec->argv, ElementsAre("/bin/app", "--ip=192.0.2.2"));
  EXPECT_TRUE(main.ends_agent && main.survives_reload && main.output.raw);
  EXPECT_EQ(plan.stop_timeout, -1s);
  EXPECT_FALSE(main.stop_timeout);  // which would bound preStop, too
  EXPECT_THAT(jobs.at("main/preStop").when.events,
              ElementsAre(EventKey{EventCode::kStopping, "main/app"}));
  EXPECT_THAT(jobs.at("main/postStop").when.events,
              ElementsAre(EventKey{EventCode::kStopped, "main/app"}));

  const JobSpec& web = jobs.at("web");
  EXPECT_FALSE(web.exec);
  EXPECT_TRUE(web.health->independent_of_process);
  EXPECT_EQ(web.health->interval, 10s);
  EXPECT_EQ(web.health->timeout, 0s);            // 2.x waited for ever
  EXPECT_EQ(web.health->failure_threshold, 2U);  // 25 / 10
  EXPECT_THAT(plan.environment, testing::Contains(Pair("CONTAINERPILOT_WEB_IP", "192.0.2.2")));

  EXPECT_EQ(plan.watches.at(0).interval, 7s);
  const JobSpec& change = jobs.at("onChange/db");
  EXPECT_EQ(change.when.kind, Trigger::Kind::kEach);
  EXPECT_THAT(change.when.events, ElementsAre(EventKey{EventCode::kChanged, "watch.db"}));
  EXPECT_EQ(change.exec_timeout, 2s);
  EXPECT_TRUE(plan.watches.at(0).addresses_only && plan.watches.at(0).paused_in_maintenance);
  EXPECT_FALSE(change.tells_pid);

  const JobSpec& tick = jobs.at("task/tick");
  EXPECT_EQ(tick.when.interval, 1500ms);
  EXPECT_FALSE(tick.when.first_run_at_once);
  EXPECT_EQ(tick.exec_timeout, 1500ms);
  EXPECT_TRUE(tick.paused_in_maintenance);
  EXPECT_FALSE(tick.tells_pid);  // a task may be called "app"

  EXPECT_EQ(jobs.at("coprocess/agent").restarts.limit.count, 2U);
  EXPECT_TRUE(jobs.at("coprocess/agent").outlives_main);
  EXPECT_EQ(env_name("coprocess/agent"), "AGENT");
  EXPECT_EQ(env_name("main/app"), "APP");

  EXPECT_EQ(plan.sensors.at(0).name, "ns_free");
  EXPECT_FALSE(plan.sensors.at(0).first_run_at_once);
  EXPECT_EQ(plan.telemetry->advertise->service.name, "containerpilot");
  EXPECT_EQ(plan.telemetry->server.listen, "192.0.2.2");
}

TEST(Config, CatalogEntriesOfGeneration2AreThoseOf2x) {
  const std::string text = R"({"etcd": {"endpoints": "http://e:1", "prefix": ""},
    "services": [{"name": "web", "port": 80, "poll": 10, "ttl": 25}],
    "telemetry": {"poll": 2, "ttl": 6}})";
  const Plan plan = load(text);
  EXPECT_EQ(plan.catalog.etcd.prefix, "/containerpilot");
  const discovery::ServiceSpec& web = plan.jobs.at(0).advertise->service;
  EXPECT_EQ(web.check_id, "web-h");
  EXPECT_EQ(plan.telemetry->beat, 2s);
  EXPECT_EQ(plan.telemetry->advertise->service.check_id, "containerpilot-h");
  LoadOptions buddy = options();
  buddy.containerbuddy = true;
  EXPECT_EQ(load(text, buddy).jobs.at(0).advertise->service.notes,
            "TTL for web set by containerbuddy");
}

TEST(Config, TellsTheGenerationsApart) {
  const auto generation = [](const std::string& text, bool old_form = false,
                             std::vector<std::string> command = {}) {
    LoadOptions with = options();
    with.command = std::move(command);
    const LoadResult result = load_config({"", text, old_form}, with);
    return result.plan ? static_cast<int>(result.plan->generation) : 0;
  };
  EXPECT_EQ(generation("{consul: 'c:1', jobs: []}", true), 3);
  EXPECT_EQ(generation("{\"consul\": \"c:1\", \"services\": []}"), 2);
  EXPECT_EQ(generation("{\"consul\": \"c:1\"}"), 3);
  EXPECT_EQ(generation("{\"consul\": \"c:1\"}", true), 2);
  EXPECT_EQ(generation("{\"consul\": \"c:1\"}", false, {"/bin/app"}), 2);
  EXPECT_EQ(generation("{consul: 'c:1'}", true), 3);  // JSON5
  EXPECT_EQ(generation("{consul: 'c:1', services: [], jobs: null}"), 2);
  EXPECT_EQ(generation("{consul: 'c:1', services: [], jobs: []}"), 0);
  LoadOptions buddy = options();
  buddy.containerbuddy = true;
  const Plan plan = load(
      "{\"etcd\": {\"endpoints\": \"http://e:1\"}, \"services\": [], \"telemetry\": {}}", buddy);
  EXPECT_EQ(plan.generation, Generation::kV1);
  EXPECT_EQ(plan.catalog.etcd.prefix, "/containerbuddy");
  EXPECT_EQ(plan.telemetry->advertise->service.name, "containerbuddy");
}

}  // namespace
}  // namespace containerpilot::agent
