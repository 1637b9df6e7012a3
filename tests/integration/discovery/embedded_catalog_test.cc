#include "containerpilot/discovery/embedded_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "containerpilot/supervisor/process.h"
#include "house.h"
#include "support/log_capture.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

using Clock = std::chrono::steady_clock;

class EmbeddedCatalogTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { block_signals(); }  // before the log starts a thread
  EmbeddedCatalogTest() { house.start_embedded(); }

  void register_raw(const std::string& id, const std::string& name,
                    const std::string& ttl = "30s") {
    const json body = {
        {"ID", id}, {"Name", name}, {"Port", 80}, {"Check", {{"TTL", ttl}, {"Status", "passing"}}}};
    ASSERT_EQ(house.curl("PUT", "/v1/agent/service/register", body.dump()).status, 200);
  }

  test::LogCapture log;
  House house;
};

TEST_F(EmbeddedCatalogTest, AnswersWhatConsulAnswers) {
  register_raw("web-1", "web");
  EXPECT_EQ(house.curl("GET", "/v1/status/leader").body, "\"" + house.embedded->address() + "\"\n");
  EXPECT_EQ(json::parse(house.curl("GET", "/v1/agent/self").body)["Config"]["Datacenter"], "dc1");
  EXPECT_EQ(json::parse(house.curl("GET", "/v1/agent/services").body)["web-1"]["Service"], "web");
  EXPECT_EQ(json::parse(house.curl("GET", "/v1/agent/service/web-1").body)["Port"], 80);
  EXPECT_EQ(json::parse(house.curl("GET", "/v1/agent/checks").body)["service:web-1"]["Status"],
            "passing");
  EXPECT_TRUE(json::parse(house.curl("GET", "/v1/catalog/services").body).contains("web"));
  EXPECT_EQ(json::parse(house.curl("GET", "/v1/catalog/service/web").body).at(0)["ServiceID"],
            "web-1");
  EXPECT_EQ(json::parse(house.curl("GET", "/v1/health/checks/web").body).at(0)["ServiceID"],
            "web-1");
  EXPECT_EQ(house.curl("PUT", "/v1/agent/check/fail/service:web-1?note=broken%20disk").status, 200);
  const json critical = json::parse(house.curl("GET", "/v1/health/state/critical").body);
  EXPECT_EQ(critical.at(0)["Output"], "broken disk");
  EXPECT_EQ(house.curl("GET", "/v1/health/service/web?passing").body, "[]\n");
  EXPECT_EQ(json::parse(house.curl("GET", "/v1/health/service/web?passing=false").body).size(), 1u);
  EXPECT_EQ(house.curl("PUT", "/v1/agent/service/maintenance/web-1?enable=true&reason=x").status,
            200);
  EXPECT_EQ(house.curl("PUT", "/v1/agent/service/deregister/web-1").status, 200);
  EXPECT_EQ(house.curl("PUT", "/v1/agent/service/deregister/web-1").status, 404);
  EXPECT_EQ(house.curl("GET", "/v1/agent/services").body, "{}\n");
}

TEST_F(EmbeddedCatalogTest, SaysWhatItDoesNotUnderstand) {
  EXPECT_EQ(house.curl("GET", "/v1/kv/secret").status, 404);
  const HttpResponse wrong_method = house.curl("GET", "/v1/agent/service/register");
  // A GET there asks for a service of that id.
  EXPECT_EQ(wrong_method.status, 404);
  const HttpResponse put = house.curl("PUT", "/v1/agent/services");
  EXPECT_EQ(put.status, 405);
  EXPECT_EQ(*find_header(put.headers, "Allow"), "GET");
  EXPECT_EQ(house.curl("PUT", "/v1/agent/service/register", "{").status, 400);
  EXPECT_EQ(house.curl("GET", "/v1/health/service/web?index=abc").status, 400);
  EXPECT_EQ(house.curl("GET", "/v1/health/service/web?index=1&wait=soon").status, 400);
  EXPECT_EQ(house.curl("GET", "/v1/health/service/web?dc=mars").status, 500);
  EXPECT_EQ(house.curl("GET", "/v1/health/state/odd").status, 400);
  EXPECT_EQ(house.curl("PUT", "/v1/agent/check/pass/nobody").status, 404);
  EXPECT_EQ(house.curl("PUT", "/v1/agent/service/maintenance/nobody").status, 400);
}

TEST_F(EmbeddedCatalogTest, HoldsAnAnswerBackUntilItsTimeIsOver) {
  register_raw("web-1", "web");
  const std::string index =
      *find_header(house.curl("GET", "/v1/health/service/web").headers, "X-Consul-Index");
  const auto start = Clock::now();
  const HttpResponse same = house.curl("GET", "/v1/health/service/web?wait=200ms&index=" + index);
  EXPECT_GE(Clock::now() - start, 200ms);
  EXPECT_LE(Clock::now() - start, 1s);
  EXPECT_EQ(*find_header(same.headers, "X-Consul-Index"), index);
  // An index of another life is answered at once.
  const auto again = Clock::now();
  house.curl("GET", "/v1/health/service/web?wait=5s&index=99999999999999");
  EXPECT_LE(Clock::now() - again, 1s);
}

TEST_F(EmbeddedCatalogTest, LetsABeatRunOut) {
  register_raw("web-1", "web", "300ms");
  EXPECT_TRUE(house.poll_until(
      [&] { return house.curl("GET", "/v1/health/service/web?passing=1").body == "[]\n"; }, 3s));
  const json checks = json::parse(house.curl("GET", "/v1/agent/checks").body);
  EXPECT_EQ(checks["service:web-1"]["Output"], "TTL expired");
}

TEST_F(EmbeddedCatalogTest, TellsWatchersWithinMilliseconds) {
  const auto catalog = house.connect_consul(house.embedded->address());
  std::optional<Clock::time_point> seen;
  Watcher watcher(house.loop.reactor(), catalog.get(), *house.resolver,
                  [&](const Change&) { seen = Clock::now(); });
  register_raw("web-1", "web");
  register_raw("web-2", "web");
  watcher.set({make_watch("web")});
  ASSERT_TRUE(house.loop.run_until([&] { return seen.has_value(); }));
  Latencies latencies;
  for (int i = 0; i < 300; ++i) {
    // Not sooner than the waiting query is out again.
    house.loop.run_for(25ms);
    seen.reset();
    const std::string verb = i % 2 == 0 ? "fail" : "pass";
    const auto start = Clock::now();
    HttpRequest request;
    request.method = "PUT";
    request.url =
        "http://" + house.embedded->address() + "/v1/agent/check/" + verb + "/service:web-2";
    const Watch call = house.calls->request(std::move(request), [](const auto&) {});
    ASSERT_TRUE(house.loop.run_until([&] { return seen.has_value(); }));
    latencies.add(*seen - start);
  }
  std::cout << "change to watch, embedded: median " << latencies.percentile(50) << " ms, p99 "
            << latencies.percentile(99) << " ms\n";
  EXPECT_LT(latencies.percentile(50), 20.0);
  EXPECT_LT(latencies.percentile(99), 100.0);
}

TEST_F(EmbeddedCatalogTest, AThousandWatchersWaitAndAreAllTold) {
  constexpr std::size_t kWatchers = 1000;
  register_raw("web-1", "web");
  const std::string index =
      *find_header(house.curl("GET", "/v1/health/service/web").headers, "X-Consul-Index");
  auto many = std::move(make_http_client(house.loop.reactor(), *house.resolver, kWatchers)).value();
  std::vector<Watch> calls;
  std::size_t told = 0;
  std::set<std::string> bodies;
  for (std::size_t i = 0; i < kWatchers; ++i) {
    HttpRequest request;
    request.url = "http://" + house.embedded->address() +
                  "/v1/health/service/web?passing=1&wait=60s&index=" + index;
    request.timeout = 60s;
    calls.push_back(many->request(std::move(request), [&](Result<HttpResponse> answer) {
      ASSERT_TRUE(answer) << answer.error().text();
      ++told;
      bodies.insert(answer.value().body);
    }));
  }
  house.loop.run_for(2s);
  ASSERT_EQ(told, 0u);
  house.loop.forget_lag();
  const auto start = Clock::now();
  register_raw("web-2", "web");
  ASSERT_TRUE(house.loop.run_until([&] { return told == kWatchers; }, 20s));
  std::cout << "1000 watchers told in "
            << std::chrono::duration<double, std::milli>(Clock::now() - start).count()
            << " ms, longest turn "
            << std::chrono::duration<double, std::milli>(house.loop.lag().longest_turn).count()
            << " ms\n";
  EXPECT_EQ(bodies.size(), 1u);
  EXPECT_EQ(json::parse(*bodies.begin()).size(), 2u);
}

TEST_F(EmbeddedCatalogTest, ForgetsWatchersThatLeave) {
  register_raw("web-1", "web");
  const std::string index =
      *find_header(house.curl("GET", "/v1/health/service/web").headers, "X-Consul-Index");
  for (int i = 0; i < 10; ++i) {
    HttpRequest request;
    request.url =
        "http://" + house.embedded->address() + "/v1/health/service/web?wait=60s&index=" + index;
    Watch call = house.polls->request(std::move(request), [](const auto&) { FAIL(); });
    house.loop.run_for(10ms);
    call = Watch();
  }
  register_raw("web-2", "web");
  EXPECT_EQ(house.curl("GET", "/v1/status/leader").status, 200);
}

TEST_F(EmbeddedCatalogTest, EveryEntryIsBackTwoSecondsAfterARestart) {
  constexpr std::size_t kServices = 50;
  const std::string address = house.embedded->address();
  const auto catalog = house.connect_consul(address);
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  std::size_t changes = 0;
  Watcher watcher(house.loop.reactor(), catalog.get(), *house.resolver,
                  [&](const Change&) { ++changes; });
  for (std::size_t i = 0; i < kServices; ++i) {
    const std::string name = "s" + std::to_string(i);
    registrar.add(make_service(name));
    registrar.report(name + "-h", Health::kPassing, "");
  }
  const auto registered = [&] {
    return house.embedded ? json::parse(house.curl("GET", "/v1/agent/services").body).size() : 0;
  };
  ASSERT_TRUE(house.poll_until([&] { return registered() == kServices; }));
  watcher.set({make_watch("s7")});
  ASSERT_TRUE(house.loop.run_until([&] { return changes == 1; }));
  house.loop.run_for(1500ms);  // the waiting query on our own entry is out

  for (const Duration away : {Duration(0), Duration(3s)}) {
    house.embedded.reset();
    house.loop.run_for(away);
    house.start_embedded(address);
    const auto start = Clock::now();
    ASSERT_TRUE(house.poll_until([&] { return registered() == kServices; }, 10s));
    const auto took = Clock::now() - start;
    std::cout << kServices << " entries back after "
              << std::chrono::duration<double, std::milli>(took).count() << " ms\n";
    EXPECT_LE(took, 2s);
    // Watchers see the service again, or never noticed.
    ASSERT_TRUE(
        house.loop.run_until([&] { return watcher.states().at(0).instances.size() == 1; }, 5s));
  }
}

TEST_F(EmbeddedCatalogTest, ShutdownLeavesNoEntry) {
  const auto catalog = house.connect_consul(house.embedded->address());
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  for (int i = 0; i < 20; ++i) {
    const std::string name = "s" + std::to_string(i);
    registrar.add(make_service(name));
    registrar.report(name + "-h", Health::kPassing, "");
  }
  ASSERT_TRUE(house.loop.run_until([&] { return registrar.stats().calls_ok >= 21; }));
  bool done = false;
  registrar.shutdown(5s, [&] { done = true; });
  ASSERT_TRUE(house.loop.run_until([&] { return done; }, 2s));
  EXPECT_EQ(house.curl("GET", "/v1/agent/services").body, "{}\n");
}

TEST_F(EmbeddedCatalogTest, ServesAnIndependentClient) {
  auto launcher = std::move(make_launcher(house.loop.reactor())).value();
  std::optional<ExitStatus> exit;
  ProcessSpec spec;
  spec.argv = {"python3", "tests/integration/discovery/python_consul_client.py",
               house.embedded->address()};
  Launcher::Request request{spec,
                            {"PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"},
                            Output::kInherit,
                            "python3-consul"};
  const auto process =
      launcher->start(std::move(request), [&](ExitStatus status) { exit = status; });
  ASSERT_TRUE(process) << process.error().text();
  ASSERT_TRUE(house.loop.run_until([&] { return exit.has_value(); }, 30s));
  if (exit->code == 77)
    GTEST_SKIP() << "python3-consul is not installed: apt-get install python3-consul";
  EXPECT_TRUE(exit->success()) << describe(*exit);
}

}  // namespace
}  // namespace containerpilot::discovery
