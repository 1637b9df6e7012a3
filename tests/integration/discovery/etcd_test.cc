#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "etcd_wire.h"
#include "real_servers.h"
#include "support/log_capture.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Against Debian's real etcd.
class EtcdTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { block_signals(); }  // before the log starts a thread
  void SetUp() override {
    if (!etcd.start(/*empty=*/true))
      GTEST_SKIP() << "etcd is not installed: apt-get install etcd-server";
    catalog = connect({etcd.url()});
  }
  std::unique_ptr<Catalog> connect(std::vector<std::string> endpoints,
                                   const std::string& user = "") {
    CatalogSpec spec;
    spec.etcd.user = user;
    spec.etcd.password = user.empty() ? "" : "s3cr3t";
    spec.kind = CatalogSpec::Kind::kEtcd;
    spec.etcd.endpoints = std::move(endpoints);
    return std::move(make_catalog(house.loop.reactor(), spec, *house.calls, *house.polls)).value();
  }
  /// What etcd says to that, past our driver.
  std::string ask(const std::string& path, std::string request_body) {
    std::optional<std::string> body;
    HttpRequest request;
    request.method = "POST";
    request.url = etcd.url() + "/v3" + path;
    request.body = std::move(request_body);
    const Watch call = house.calls->request(std::move(request), [&](Result<HttpResponse> answer) {
      body = answer ? answer.value().body : std::string();
    });
    house.loop.run_until([&] { return body.has_value(); });
    return *body;
  }
  /// The raw value of a key.
  std::string value_of(const std::string& name) {
    const auto range = decode_range(
        ask("/kv/range", encode_delete(etcd_key("/containerpilot", name, name + "-h"))));
    return range && !range.value().pairs.empty() ? range.value().pairs[0].value : "";
  }

  test::LogCapture log;
  House house;
  EtcdServer etcd{house};
  std::unique_ptr<Catalog> catalog;
};

TEST_F(EtcdTest, AnEntryLivesAsLongAsItsBeats) {
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  registrar.add(make_service("web", 2s));
  const auto beat = [&] { registrar.report("web-h", Health::kPassing, ""); };
  beat();
  ASSERT_TRUE(house.poll_until([&] { return !value_of("web").empty(); }));
  EXPECT_EQ(value_of("web"),
            R"({"id":"web-h","name":"web","address":"192.0.2.1","port":80,"tags":[]})");
  const auto end = Clock::now() + 4s;
  while (Clock::now() < end) {
    beat();
    house.loop.run_for(200ms);
    EXPECT_FALSE(value_of("web").empty());
  }
  EXPECT_TRUE(
      house.poll_until([&] { return value_of("web").empty(); }, 10s));  // nobody beats any more
  beat();
  EXPECT_TRUE(house.poll_until([&] { return !value_of("web").empty(); }));
  registrar.report("web-h", Health::kCritical, "no");
  EXPECT_TRUE(house.poll_until([&] { return value_of("web").empty(); }));
  beat();
  EXPECT_TRUE(house.poll_until([&] { return !value_of("web").empty(); }));
  bool done = false;
  registrar.shutdown(5s, [&] { done = true; });
  EXPECT_TRUE(house.loop.run_until([&] { return done; }));
  EXPECT_EQ(value_of("web"), "");
}

TEST_F(EtcdTest, TellsWatchersWithinMilliseconds) {
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  registrar.add(make_service("web"));
  std::optional<Clock::time_point> seen;
  Watcher watcher(house.loop.reactor(), catalog.get(), *house.resolver,
                  [&](const Change&) { seen = Clock::now(); });
  watcher.set({make_watch("web")});
  ASSERT_TRUE(house.loop.run_until([&] { return watcher.states().at(0).known; }));
  Latencies latencies;
  for (int i = 0; i < 200; ++i) {
    house.loop.run_for(25ms);
    seen.reset();
    const auto start = Clock::now();
    registrar.report("web-h", i % 2 == 0 ? Health::kPassing : Health::kCritical, "");
    ASSERT_TRUE(house.loop.run_until([&] { return seen.has_value(); })) << i;
    latencies.add(*seen - start);
  }
  std::cout << "report to watch, through etcd: median " << latencies.percentile(50) << " ms, p99 "
            << latencies.percentile(99) << " ms\n";
  EXPECT_LT(latencies.percentile(50), 20.0);
  EXPECT_LT(latencies.percentile(99), 100.0);
}

TEST_F(EtcdTest, EverythingIsBackAfterItWasWipedKilledOrFrozen) {
  constexpr int kServices = 20;
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  std::vector<std::string> names;
  for (int i = 0; i < kServices; ++i) {
    names.push_back("s" + std::to_string(i));
    registrar.add(make_service(names.back(), 30s));
  }
  const auto beat = [&] {
    for (const std::string& name : names) registrar.report(name + "-h", Health::kPassing, "");
  };
  Watcher watcher(house.loop.reactor(), catalog.get(), *house.resolver, [](const Change&) {});
  watcher.set({make_watch("s3")});
  const auto all_there = [&] {
    for (const std::string& name : names) {
      if (value_of(name).empty()) return false;
    }
    return watcher.states().at(0).instances.size() == 1 &&
           watcher.states().at(0).last_error.empty();
  };
  beat();
  ASSERT_TRUE(house.poll_until(all_there));

  etcd.kill();
  beat();
  house.loop.run_for(1s);
  ASSERT_TRUE(etcd.start(/*empty=*/true));
  EXPECT_TRUE(house.poll_until(all_there, 4s));

  etcd.kill();
  ASSERT_TRUE(etcd.start(/*empty=*/false));
  EXPECT_TRUE(house.poll_until(all_there, 4s));

  etcd.freeze();
  beat();
  house.loop.forget_lag();
  house.loop.run_for(6s);
  etcd.thaw();
  beat();
  EXPECT_TRUE(house.poll_until(all_there, 10s));
  EXPECT_LE(log.count("does not answer"), 3);
}

TEST_F(EtcdTest, NeedsNoAuthenticationAndNoticesWhenItIsSwitchedOn) {
  const auto other = connect({etcd.url()}, "root");
  Registrar registrar(house.loop.reactor(), *other, "h");
  registrar.add(make_service("web"));
  registrar.report("web-h", Health::kPassing, "");
  EXPECT_TRUE(house.poll_until([&] { return !value_of("web").empty(); }));

  ask("/auth/user/add", R"({"name":"root","password":"s3cr3t"})");
  ask("/auth/role/add", R"({"name":"root"})");
  ask("/auth/user/grant", R"({"user":"root","role":"root"})");
  ask("/auth/enable", "{}");
  ASSERT_THAT(ask("/kv/range", R"({"key":"YQ=="})"), testing::HasSubstr("user name is empty"));
  std::optional<Status> registered;
  const Watch call =
      other->register_service(make_service("db"), Health::kPassing,
                              [&](Status status) { registered.emplace(std::move(status)); });
  ASSERT_TRUE(house.loop.run_until([&] { return registered.has_value(); }));
  EXPECT_TRUE(*registered) << registered->error().text();
}

TEST_F(EtcdTest, GoesOnWithAnotherEndpoint) {
  const auto other = connect({"http://127.0.0.1:1", etcd.url()});
  std::optional<Status> registered;
  const Watch call =
      other->register_service(make_service("web"), Health::kPassing,
                              [&](Status status) { registered.emplace(std::move(status)); });
  ASSERT_TRUE(house.loop.run_until([&] { return registered.has_value(); }));
  EXPECT_TRUE(*registered) << registered->error().text();
  EXPECT_NE(value_of("web"), "");
}

}  // namespace
}  // namespace containerpilot::discovery
