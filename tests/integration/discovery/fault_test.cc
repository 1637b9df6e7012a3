#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "fault_proxy.h"
#include "house.h"
#include "real_servers.h"
#include "support/log_capture.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// A thousand troubles one after another, and in the end everything stands as it should.
TEST(CatalogFaults, LeaveTheFinalStateTrue) {
  constexpr int kFaults = 1000;
  constexpr std::size_t kServices = 30;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };

  const test::LogCapture log;
  House house;
  house.start_embedded();
  const std::string address = house.embedded->address();
  FaultProxy proxy(house.loop.reactor(),
                   static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  const auto catalog = house.connect_consul(proxy.address());
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  Watcher watcher(house.loop.reactor(), catalog.get(), *house.resolver, [](const Change&) {});
  std::vector<WatchSpec> watches;
  for (std::size_t i = 0; i < kServices; ++i) {
    const std::string name = "s" + std::to_string(i);
    registrar.add(make_service(name, 60s));
    registrar.report(name + "-h", Health::kPassing, "");
    watches.push_back(make_watch(name));
  }
  watcher.set(watches);
  house.loop.run_for(500ms);

  std::vector<Health> health(kServices, Health::kPassing);
  for (int i = 0; i < kFaults; ++i) {
    switch (below(10)) {
      case 0:  // killed, and back empty
        house.embedded.reset();
        house.loop.run_for(std::chrono::milliseconds(below(20)));
        house.start_embedded(address);
        break;
      case 1:
        proxy.reset_all();
        break;
      default:
        proxy.set(FaultProxy::kFaults[below(FaultProxy::kFaults.size())]);
        break;
    }
    for (int beats = 0; beats < 3; ++beats) {
      const std::size_t which = below(kServices);
      health[which] = below(4) == 0 ? Health::kCritical : Health::kPassing;
      registrar.report("s" + std::to_string(which) + "-h", health[which], "");
    }
    house.loop.run_for(std::chrono::milliseconds(5 + below(30)));
    if (below(3) == 0) proxy.set(FaultProxy::Fault::kNone);
  }
  const Duration longest = house.loop.lag().longest_turn;
  proxy.set(FaultProxy::Fault::kNone);
  EXPECT_LT(longest, 50ms);

  const auto true_again = [&] {
    const json checks = json::parse(house.curl("GET", "/v1/agent/checks").body);
    const auto states = watcher.states();
    for (std::size_t i = 0; i < kServices; ++i) {
      const auto check = checks.find("service:s" + std::to_string(i) + "-h");
      if (check == checks.end() || (*check)["Status"] != health_name(health[i])) return false;
      if (states[i].instances.size() != (health[i] == Health::kPassing ? 1u : 0u)) return false;
    }
    return true;
  };
  // Nobody beats any more, and a good answer that was a lie shows with the next comparison.
  EXPECT_TRUE(house.poll_until(true_again, Registrar::kCompareInterval + 15s))
      << house.curl("GET", "/v1/agent/checks").body;
  std::cout << kFaults << " faults: longest turn of the loop (CPU; proxy and catalog included) "
            << std::chrono::duration<double, std::milli>(longest).count() << " ms, "
            << log.entries().size() << " log lines\n";
}

/// The same with a real etcd behind the proxy.
TEST(CatalogFaults, LeaveEtcdTrueInTheEnd) {
  constexpr int kFaults = 300;
  constexpr std::size_t kServices = 20;
  block_signals();
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };

  const test::LogCapture log;
  House house;
  EtcdServer etcd(house);
  if (!etcd.start(/*empty=*/true)) GTEST_SKIP() << "etcd is not installed";
  FaultProxy proxy(house.loop.reactor(), etcd.port());
  CatalogSpec spec;
  spec.kind = CatalogSpec::Kind::kEtcd;
  spec.etcd.endpoints = {"http://" + proxy.address()};
  const auto catalog =
      std::move(make_catalog(house.loop.reactor(), spec, *house.calls, *house.polls)).value();
  Registrar registrar(house.loop.reactor(), *catalog, "h");
  Watcher watcher(house.loop.reactor(), catalog.get(), *house.resolver, [](const Change&) {});
  std::vector<WatchSpec> watches;
  std::vector<Health> health(kServices, Health::kPassing);
  for (std::size_t i = 0; i < kServices; ++i) {
    const std::string name = "s" + std::to_string(i);
    registrar.add(make_service(name, 60s));
    registrar.report(name + "-h", Health::kPassing, "");
    watches.push_back(make_watch(name));
  }
  watcher.set(watches);
  house.loop.run_for(500ms);
  for (int i = 0; i < kFaults; ++i) {
    if (below(4) == 0) {
      proxy.reset_all();
    } else {
      proxy.set(FaultProxy::kFaults[below(FaultProxy::kFaults.size())]);
    }
    if (i == kFaults / 2) {  // killed, and back empty
      etcd.kill();
      ASSERT_TRUE(etcd.start(/*empty=*/true));
    }
    const std::size_t which = below(kServices);
    health[which] = below(4) == 0 ? Health::kCritical : Health::kPassing;
    registrar.report("s" + std::to_string(which) + "-h", health[which], "");
    house.loop.run_for(std::chrono::milliseconds(5 + below(30)));
    if (below(3) == 0) proxy.set(FaultProxy::Fault::kNone);
  }
  proxy.set(FaultProxy::Fault::kNone);
  // What the watches see came through etcd: so it has every entry as it should be.
  const auto wrong = [&] {
    std::string text;
    const auto states = watcher.states();
    for (std::size_t i = 0; i < kServices; ++i) {
      const std::size_t wanted = health[i] == Health::kCritical ? 0 : 1;
      if (states[i].instances.size() == wanted && states[i].last_error.empty()) continue;
      text += states[i].watch.name + " has " + std::to_string(states[i].instances.size()) +
              " instances, not " + std::to_string(wanted) + "; " + states[i].last_error + "\n";
    }
    return text;
  };
  EXPECT_TRUE(house.poll_until([&] { return wrong().empty(); }, Registrar::kCompareInterval + 15s))
      << wrong();
}

}  // namespace
}  // namespace containerpilot::discovery
