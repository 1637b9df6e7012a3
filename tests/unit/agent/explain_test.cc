#include "containerpilot/agent/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "load.h"

namespace containerpilot::agent {
namespace {

using test::load;
using test::options;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kExample = R"({
  consul: { address: "consul:8500", token: "8c1f-secret" },
  jobs: [
    { name: "setup", exec: ["/bin/sh", "-c", "make 'it' so"] },
    { name: "web", exec: "nginx -g daemon", port: 8080, interfaces: "eth0", tags: ["a"],
      restarts: "unlimited", env: { DB_PASSWORD: "hunter2", MODE: "x" }, stopTimeout: "10s",
      when: { source: "setup", once: "exitSuccess" },
      health: { http: "http://127.0.0.1:8080/", interval: 5, ttl: 15, timeout: "1s" } },
    { name: "tick", exec: "/bin/tick", when: { interval: "90s" } }
  ],
  watches: [{ name: "db", interval: 5, tag: "primary" }],
  sensors: [{ name: "load", file: "/proc/loadavg", interval: "2s" }],
  telemetry: { listen: "0.0.0.0" }
})";

TEST(Explain, SaysWhatRunsWhenAndWhere) {
  const Plan plan = load(kExample);
  EXPECT_EQ(
      explain_text(plan, options().addresses),
      "generation 3\n"
      "  catalog      Consul at http://consul:8500\n"
      "  control      /var/run/containerpilot.socket\n"
      "\n"
      "job 'setup'\n"
      "  runs         /bin/sh -c 'make '\\''it'\\'' so'\n"
      "  starts       when the agent starts\n"
      "  restarts     never\n"
      "  stops        SIGTERM, SIGKILL after 5s\n"
      "\n"
      "job 'web'\n"
      "  runs         nginx -g daemon\n"
      "  as           DB_PASSWORD=***, MODE=x\n"
      "  starts       once, at exitSuccess of 'setup'\n"
      "  restarts     without limit\n"
      "  stops        SIGTERM, SIGKILL after 10s\n"
      "  health       GET http://127.0.0.1:8080/ every 5s, at most 1s, unhealthy after 3 failures\n"
      "  in catalog   web-h at 192.0.2.2:8080, TTL 15s, tags a\n"
      "  address      " +
          plan.jobs[1].advertise->why +
          "\n"
          "\n"
          "job 'tick'\n"
          "  runs         /bin/tick\n"
          "  starts       every 1m30s, first at once\n"
          "  restarts     without limit\n"
          "  timeout      killed after 1m30s\n"
          "  stops        SIGTERM, SIGKILL after 5s\n"
          "\n"
          "watch 'watch.db'\n"
          "  watches      service db\n"
          "  tag          primary\n"
          "  at least     every 5s\n"
          "\n"
          "sensor 'load'\n"
          "  measures     reads /proc/loadavg every 2s\n"
          "  type         gauge\n"
          "\n"
          "telemetry\n"
          "  serves       http://0.0.0.0:9090/metrics\n"
          "  in catalog   containerpilot-h at 192.0.2.2:9090, TTL 15s, tags " +
          plan.telemetry->advertise->service.tags.at(0) +
          "\n"
          "  address      " +
          plan.telemetry->advertise->why +
          "\n"
          "\n"
          "addresses seen\n"
          "  eth0         192.0.2.2\n"
          "  lo           127.0.0.1\n");
}

TEST(Explain, JsonSaysTheSame) {
  const Plan plan = load(kExample);
  const auto json = nlohmann::json::parse(explain_json(plan, options().addresses));
  EXPECT_EQ(json["catalog"], "Consul at http://consul:8500");
  EXPECT_EQ(json["jobs"][1]["exec"]["argv"], (std::vector<std::string>{"nginx", "-g", "daemon"}));
  EXPECT_EQ(json["jobs"][1]["exec"]["env"]["DB_PASSWORD"], "***");
  EXPECT_EQ(json["jobs"][1]["service"]["address"], "192.0.2.2");
  EXPECT_EQ(json["jobs"][2]["timeout"], "1m30s");
  EXPECT_EQ(json["addresses"][1]["ip"], "127.0.0.1");
}

TEST(Explain, NeverShowsSecrets) {
  Plan plan = load(kExample);
  plan.secrets = {"daemon"};
  for (const std::string& text :
       {explain_text(plan, options().addresses), explain_json(plan, options().addresses)}) {
    EXPECT_THAT(text, Not(HasSubstr("8c1f-secret")));
    EXPECT_THAT(text, Not(HasSubstr("hunter2")));
    EXPECT_THAT(text, Not(HasSubstr("daemon")));
  }
}

}  // namespace
}  // namespace containerpilot::agent
