#include "containerpilot/agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "containerpilot/agent/version.h"

namespace containerpilot::agent {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

LoadOptions options() {
  LoadOptions out;
  out.addresses = {{"eth0", "192.0.2.2"}, {"lo", "127.0.0.1"}};
  out.hostname = "h";
  return out;
}

std::string messages(const LoadResult& result) {
  std::string out;
  for (const Problem& problem : result.errors) out += one_line(problem) + "\n";
  return out;
}

Plan load(const std::string& text, const LoadOptions& with = options()) {
  LoadResult result = load_config({"", text, false}, with);
  EXPECT_TRUE(result.plan) << messages(result);
  return result.plan ? *result.plan : Plan();
}

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
  EXPECT_EQ(schedule.cron, (CronSpec{"0 3 * * *", "Europe/Berlin"}));
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

TEST(Config, ConsulAddressSchemeAndEnvironment) {
  const auto consul = [](const std::string& value,
                         std::map<std::string, std::string, std::less<>> env) {
    LoadOptions with = options();
    with.environment = std::move(env);
    return load("{consul: " + value + "}", with).catalog.consul;
  };
  EXPECT_EQ(consul("'https://c:1'", {}).scheme, "https");
  EXPECT_EQ(consul("'https://c:1'", {}).address, "c:1");
  EXPECT_FALSE(consul("'https://c:1'", {}).tls.verify);  // spec v3, 5.1
  EXPECT_EQ(consul("''", {}).address, "127.0.0.1:8500");
  EXPECT_EQ(consul("''", {{"CONSUL_HTTP_ADDR", "unix:///run/c.sock"}}).address, "/run/c.sock");
  EXPECT_TRUE(consul("''", {{"CONSUL_HTTP_ADDR", "unix:///run/c.sock"}}).unix_socket);
  EXPECT_EQ(consul("'c:1'", {{"CONSUL_HTTP_ADDR", "d:1"}}).address, "c:1");
  EXPECT_EQ(consul("{address: 'c:1', token: 'a'}", {{"CONSUL_HTTP_TOKEN", "b"}}).token, "b");
  EXPECT_EQ(consul("{address: 'c:1'}", {{"CONSUL_HTTP_SSL", "true"}}).scheme, "https");
  EXPECT_EQ(consul("{address: 'c:1', scheme: 'http'}", {{"CONSUL_HTTP_SSL", "true"}}).scheme,
            "http");
  EXPECT_EQ(consul("'c:1'", {{"CONSUL_HTTP_SSL", "true"}}).scheme, "http");
  EXPECT_TRUE(consul("'c:1'", {{"CONSUL_HTTP_SSL_VERIFY", "TRUE"}}).tls.verify);
  EXPECT_THAT(refusal("{consul: 'ftp://c:1'}"), HasSubstr("unknown scheme"));
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

TEST(Config, ControlSocketIsFoundInABrokenConfig) {
  const std::string broken = "{consul: 5, control: {socket: '/run/x.sock'}, jobs: 7}";
  EXPECT_EQ(find_control_socket({"", broken, false}, options()).path, "/run/x.sock");
  const ControlSocket fallback = find_control_socket({"", "{", false}, options());
  EXPECT_EQ(fallback.path, "/var/run/containerpilot.socket");
  EXPECT_THAT(fallback.problem, HasSubstr("expected a key"));
}

}  // namespace
}  // namespace containerpilot::agent
