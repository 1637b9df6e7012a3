#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "real_servers.h"
#include "support/log_capture.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

/// Against a real Consul, where there is one on the PATH (Debian has none).
class ConsulTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { block_signals(); }  // before the log starts a thread
  void SetUp() override {
    if (!consul.start()) {
      GTEST_SKIP() << "NOT RUN AGAINST A REAL CONSUL: there is no 'consul' on the PATH";
    }
    catalog = house.connect_consul(consul.address());
  }
  json get(const std::string& target) { return json::parse(call("GET", target), nullptr, false); }
  std::string call(const std::string& method, const std::string& target) {
    std::optional<std::string> body;
    HttpRequest request;
    request.method = method;
    request.url = "http://" + consul.address() + target;
    const Watch running = house.calls->request(
        std::move(request),
        [&](Result<HttpResponse> answer) { body = answer ? answer.value().body : std::string(); });
    house.loop.run_until([&] { return body.has_value(); });
    return body.value_or("");
  }
  json check_of(const std::string& name) {
    const json checks = get("/v1/agent/checks");
    return checks.value("service:" + name + "-h", json::object());
  }

  test::LogCapture log;
  House house;
  ConsulServer consul{house};
  std::unique_ptr<Catalog> catalog;
};

TEST_F(ConsulTest, AnEntryIsWhatWasReported) {
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  ServiceSpec spec = make_service("web", 2s);
  spec.tags = {"blue", "primary"};
  spec.meta = {{"version", "1"}};
  registrar.add(spec);
  const auto status = [&] { return check_of("web").value("Status", ""); };
  registrar.report("web-h", Health::kPassing, "");
  ASSERT_TRUE(house.poll_until([&] { return status() == "passing"; }));
  const json entry = get("/v1/agent/services")["web-h"];
  EXPECT_EQ(entry["Tags"], json({"blue", "primary"}));
  if (entry.contains("Meta")) {  // since Consul 1.0.7
    EXPECT_EQ(entry["Meta"]["version"], "1");
  }
  EXPECT_EQ(entry["Port"], 80);
  registrar.report("web-h", Health::kWarning, "slow");
  ASSERT_TRUE(house.poll_until([&] { return status() == "warning"; }));
  registrar.report("web-h", Health::kCritical, "dead");
  ASSERT_TRUE(house.poll_until([&] { return status() == "critical"; }));
  EXPECT_EQ(check_of("web")["Output"], "dead");
  registrar.report("web-h", Health::kPassing, "");
  ASSERT_TRUE(house.poll_until([&] { return status() == "passing"; }));
  // Nobody beats: Consul lets it run out.
  EXPECT_TRUE(house.poll_until([&] { return status() == "critical"; }));
  registrar.report("web-h", Health::kPassing, "");
  EXPECT_TRUE(house.poll_until([&] { return status() == "passing"; }));
  bool done = false;
  registrar.shutdown(5s, [&] { done = true; });
  EXPECT_TRUE(house.loop.run_until([&] { return done; }));
  EXPECT_FALSE(get("/v1/agent/services").contains("web-h"));
  EXPECT_FALSE(log.contains("cannot"));
}

TEST_F(ConsulTest, TellsWatchersWithinMilliseconds) {
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  registrar.add(make_service("web"));
  registrar.report("web-h", Health::kPassing, "");
  std::optional<Clock::time_point> seen;
  Watcher watcher(house.loop.reactor(), catalog.get(), *house.resolver,
                  [&](const Change&) { seen = Clock::now(); });
  watcher.set({make_watch("web")});
  ASSERT_TRUE(house.loop.run_until([&] { return seen.has_value(); }));
  Latencies latencies;
  for (int i = 0; i < 100; ++i) {
    house.loop.run_for(50ms);
    seen.reset();
    const auto start = Clock::now();
    registrar.report("web-h", i % 2 == 0 ? Health::kCritical : Health::kPassing, "");
    ASSERT_TRUE(house.loop.run_until([&] { return seen.has_value(); })) << i;
    latencies.add(*seen - start);
  }
  std::cout << "report to watch, through a real Consul: median " << latencies.percentile(50)
            << " ms, p99 " << latencies.percentile(99) << " ms\n";
  EXPECT_LT(latencies.percentile(50), 20.0);
}

TEST_F(ConsulTest, EveryEntryIsBackAfterItWasRemovedOrConsulRestarted) {
  constexpr int kServices = 20;
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  for (int i = 0; i < kServices; ++i) {
    registrar.add(make_service("s" + std::to_string(i), 60s));
    registrar.report("s" + std::to_string(i) + "-h", Health::kPassing, "");
  }
  const auto all_there = [&] {
    const json checks = get("/v1/agent/checks");
    for (int i = 0; i < kServices; ++i) {
      const json check = checks.value("service:s" + std::to_string(i) + "-h", json::object());
      if (check.value("Status", "") != "passing") return false;
    }
    return true;
  };
  ASSERT_TRUE(house.poll_until(all_there));
  house.loop.run_for(1500ms);  // the query that guards our entries is out

  call("PUT", "/v1/agent/service/deregister/s0-h");
  EXPECT_TRUE(house.poll_until(all_there, 3s)) << "removed by hand";

  consul.kill();
  ASSERT_TRUE(consul.start());
  const auto start = Clock::now();
  EXPECT_TRUE(house.poll_until(all_there, 5s)) << "restarted empty";
  std::cout << kServices << " entries back after "
            << std::chrono::duration<double, std::milli>(Clock::now() - start).count() << " ms\n";

  consul.freeze();
  registrar.report("s3-h", Health::kPassing, "");
  house.loop.run_for(6s);
  consul.thaw();
  registrar.report("s3-h", Health::kPassing, "");
  EXPECT_TRUE(house.poll_until(all_there, 10s)) << "frozen for a while";
}

TEST_F(ConsulTest, LeavesMaintenanceToWhoeverSwitchedItOn) {
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  registrar.add(make_service("web"));
  registrar.report("web-h", Health::kPassing, "");
  ASSERT_TRUE(house.poll_until([&] { return check_of("web").value("Status", "") == "passing"; }));
  call("PUT", "/v1/agent/service/maintenance/web-h?enable=true&reason=swap");
  for (int i = 0; i < 10; ++i) {
    registrar.report("web-h", Health::kPassing, "");
    house.loop.run_for(100ms);
  }
  EXPECT_TRUE(get("/v1/agent/checks").contains("_service_maintenance:web-h"));
  EXPECT_TRUE(get("/v1/health/service/web?passing=1").empty());
}

}  // namespace
}  // namespace containerpilot::discovery
