#include "containerpilot/discovery/watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fake_catalog.h"
#include "support/fake_http.h"
#include "support/log_capture.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Instance instance(const std::string& id, std::vector<std::string> tags = {},
                  std::uint16_t port = 80) {
  return {id, "web", "192.0.2.1", port, std::move(tags), {}};
}

WatchSpec watch(const std::string& name, const std::string& tag = "", const std::string& dc = "") {
  WatchSpec spec;
  spec.name = name;
  spec.source = "watch." + name + tag + dc;
  spec.interval = 1s;
  spec.tag = tag;
  spec.dc = dc;
  return spec;
}

WatchSpec dns_watch(const std::string& host, std::uint16_t port) {
  WatchSpec spec = watch("redis");
  spec.dns = host;
  spec.dns_port = port;
  spec.interval = 5s;
  return spec;
}

class WatcherTest : public testing::Test {
 protected:
  void note(const Change& change) {
    std::string line = change.watch.source + ":";
    for (const Instance& i : change.removed) line += " -" + i.id;
    for (const Instance& i : change.added) line += " +" + i.id;
    told.push_back(line);
    told_at.push_back(loop.now());
  }
  /// Questions asked per second over `length`.
  double rate(Duration length) {
    catalog.forget_log();
    loop.advance(length);
    return static_cast<double>(catalog.asked.size()) /
           std::chrono::duration<double>(length).count();
  }

  test::LogCapture log;
  test::SimReactor loop;
  FakeCatalog catalog{loop};
  test::FakeResolver resolver{loop};
  std::vector<std::string> told;
  std::vector<TimePoint> told_at;
  Watcher watcher{loop, &catalog, resolver, [this](const Change& change) { note(change); }};
};

TEST_F(WatcherTest, TellsOfAChangeTheMomentTheCatalogDoes) {
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web")});
  loop.advance(10ms);
  EXPECT_THAT(told, ElementsAre("watch.web: +a"));
  loop.advance(45s);
  const TimePoint changed = loop.now();
  catalog.set_instances("web", {instance("b"), instance("c")});
  loop.advance(10ms);
  EXPECT_THAT(told, ElementsAre("watch.web: +a", "watch.web: -a +b +c"));
  EXPECT_EQ(told_at.back() - changed, catalog.latency);
}

TEST_F(WatcherTest, AFirstEmptyAnswerIsNoChange) {
  watcher.set({watch("web")});
  loop.advance(1s);
  EXPECT_THAT(told, IsEmpty());
  EXPECT_TRUE(watcher.states().at(0).known);
  catalog.set_instances("web", {instance("a")});
  loop.advance(1s);
  catalog.set_instances("web", {});
  loop.advance(1s);
  EXPECT_THAT(told, ElementsAre("watch.web: +a", "watch.web: -a"));
}

TEST_F(WatcherTest, SeesAddressPortAndTagsChange) {
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web")});
  loop.advance(1s);
  catalog.set_instances("web", {instance("a", {}, 81)});
  loop.advance(1s);
  catalog.set_instances("web", {instance("a", {"primary"}, 81)});
  loop.advance(1s);
  EXPECT_THAT(told, ElementsAre("watch.web: +a", "watch.web: -a +a", "watch.web: -a +a"));
}

TEST_F(WatcherTest, MaySeeAddressesOnly) {  // as 1.x and 2.x
  WatchSpec spec = watch("web");
  spec.addresses_only = true;
  catalog.set_instances("web", {instance("a"), instance("b", {}, 81)});
  watcher.set({spec});
  loop.advance(1s);
  catalog.set_instances("web", {instance("a", {"blue"}), instance("c", {}, 81)});
  loop.advance(1s);
  EXPECT_EQ(told.size(), 1U);
  catalog.set_instances("web", {instance("a", {"blue"}), instance("c", {}, 82)});
  loop.advance(1s);
  EXPECT_THAT(told, ElementsAre("watch.web: +a +b", "watch.web: -c +c"));
}

TEST_F(WatcherTest, TellsAfterAPauseWhatItMissed) {
  WatchSpec spec = watch("web");
  spec.paused_in_maintenance = true;
  catalog.set_instances("web", {instance("a")});
  watcher.set({spec, watch("web", "blue")});
  loop.advance(1s);
  watcher.pause(true);
  catalog.set_instances("web", {instance("a"), instance("b", {"blue"})});
  loop.advance(1min);
  EXPECT_THAT(told, ElementsAre("watch.web: +a", "watch.webblue: +b"));
  watcher.pause(false);
  loop.advance(1s);
  EXPECT_THAT(told, ElementsAre("watch.web: +a", "watch.webblue: +b", "watch.web: +b"));
  watcher.pause(true);
  catalog.set_instances("web", {instance("a")});
  loop.advance(1s);
  catalog.set_instances("web", {instance("a"), instance("b", {"blue"})});
  loop.advance(1s);
  watcher.pause(false);
  loop.advance(1s);
  EXPECT_EQ(std::count(told.begin(), told.end(), "watch.web: +b"), 1);  // as it was before
}

TEST_F(WatcherTest, AsksOnceAMinuteWhenNothingHappens) {
  watcher.set({watch("web")});
  loop.advance(1s);
  EXPECT_LE(rate(10min), 1.0 / 59);
}

TEST_F(WatcherTest, TellsOfItsCalls) {
  std::vector<std::string> calls;
  watcher.observe_calls([&](std::string_view operation, bool good, Duration) {
    calls.push_back(std::string(operation) + (good ? " ok" : " failed"));
  });
  watcher.set({watch("web")});
  loop.advance(65s);
  catalog.trouble = Error(Errc::kUnavailable, "cannot watch: dead");
  catalog.drop_waiting();
  loop.advance(1ms);
  EXPECT_THAT(calls, ElementsAre("query ok", "wait ok", "wait failed"));
}

TEST_F(WatcherTest, FirstQuestionIsThatOfTheOldProgram) {
  watcher.set({watch("web", "blue", "dc2")});
  loop.advance(1ms);
  EXPECT_EQ(catalog.asked.at(0).index, 0u);
  EXPECT_EQ(catalog.asked.at(0).query.tag, "blue");
  EXPECT_EQ(catalog.asked.at(0).query.dc, "dc2");
}

// D18: in the old program two watches on one service shared one list and told of changes at every
// poll.
TEST_F(WatcherTest, WatchesWithDifferentTagsShareAQueryAndDoNotDisturbEachOther) {
  catalog.set_instances("web", {instance("a", {"blue"}), instance("b", {"green"}), instance("c")});
  watcher.set({watch("web", "blue"), watch("web", "green"), watch("web")});
  loop.advance(10ms);
  EXPECT_EQ(catalog.asked.front().query.tag, "");
  EXPECT_THAT(told, ElementsAre("watch.webblue: +a", "watch.webgreen: +b", "watch.web: +a +b +c"));
  told.clear();
  loop.advance(1min);
  EXPECT_THAT(told, IsEmpty());
  EXPECT_EQ(catalog.waiting(), 1u);
  catalog.set_instances("web", {instance("a", {"blue"}), instance("c")});
  loop.advance(1s);
  EXPECT_THAT(told, ElementsAre("watch.webgreen: -b", "watch.web: -b"));
}

TEST_F(WatcherTest, DatacentersAreApart) {
  watcher.set({watch("web"), watch("web", "", "dc2")});
  loop.advance(1s);
  EXPECT_EQ(catalog.waiting(), 2u);
}

TEST_F(WatcherTest, ALowerIndexStartsOver) {
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web")});
  loop.advance(10s);
  catalog.holds_back = false;  // one answer with the new life's index, at once
  catalog.restart_index();
  catalog.holds_back = true;
  loop.advance(5s);
  EXPECT_EQ(catalog.asked.back().index, 2u);
  EXPECT_EQ(catalog.waiting(), 1u);
  catalog.set_instances("web", {instance("b")});
  loop.advance(1s);
  EXPECT_EQ(told.back(), "watch.web: -a +b");
}

TEST_F(WatcherTest, PollsAtItsIntervalWhenAnswersHaveNoIndex) {
  catalog.indexed = false;
  watcher.set({watch("web")});
  loop.advance(10ms);
  EXPECT_NEAR(rate(100s), 1.0, 0.02);
  catalog.set_instances("web", {instance("a")});
  loop.advance(1s);
  EXPECT_THAT(told, ElementsAre("watch.web: +a"));
}

TEST_F(WatcherTest, PollsAtItsIntervalWhenAnswersAreNotHeldBack) {
  catalog.holds_back = false;
  watcher.set({watch("web")});
  loop.advance(1s);
  EXPECT_NEAR(rate(100s), 1.0, 0.02);
}

TEST_F(WatcherTest, IsNotKeptBusyByNoise) {
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web")});
  loop.advance(1s);
  catalog.forget_log();
  for (int i = 0; i < 10000; ++i) {
    catalog.make_noise("web");
    loop.advance(1ms);
  }
  EXPECT_LE(catalog.asked.size(), 25u);  // ten seconds
  const TimePoint changed = loop.now();
  catalog.set_instances("web", {instance("b")});
  loop.advance(2s);
  EXPECT_EQ(told.back(), "watch.web: -a +b");
  EXPECT_LE(told_at.back() - changed, 1100ms);
}

TEST_F(WatcherTest, ABurstOfChangesIsSeenQuicklyToItsEnd) {
  watcher.set({watch("web")});
  loop.advance(1s);
  for (int i = 0; i < 100; ++i) {
    catalog.set_instances("web", {instance("i" + std::to_string(i))});
    loop.advance(1ms);
  }
  loop.advance(30ms);
  EXPECT_THAT(told.back(), HasSubstr("+i99"));
  EXPECT_LE(told.size(), 10u);
}

TEST_F(WatcherTest, KeepsTheLastListInAnOutageAndTellsOfNoChange) {
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web")});
  loop.advance(1s);
  catalog.trouble = Error(Errc::kUnavailable, "cannot connect");
  catalog.drop_waiting();
  loop.advance(1min);
  EXPECT_EQ(watcher.states().at(0).instances.size(), 1u);
  EXPECT_THAT(watcher.states().at(0).last_error, HasSubstr("cannot"));
  catalog.trouble.reset();
  loop.advance(5s);
  EXPECT_EQ(told.size(), 1u);
  EXPECT_EQ(watcher.states().at(0).last_error, "");
  EXPECT_EQ(catalog.waiting(), 1u);
  EXPECT_EQ(log.count("does not answer"), 1);
  EXPECT_EQ(log.entries().size(), 2u);
}

TEST_F(WatcherTest, ManyWatchesProbeADeadCatalogLikeOne) {
  std::vector<WatchSpec> watches;
  for (int i = 0; i < 100; ++i) watches.push_back(watch("s" + std::to_string(i)));
  catalog.trouble = Error(Errc::kUnavailable, "cannot connect");
  watcher.set(watches);
  loop.advance(1min);
  EXPECT_LE(rate(1min), 1.1);
  catalog.trouble.reset();
  catalog.set_instances("s99", {instance("x")});
  loop.advance(3s);
  EXPECT_THAT(told, ElementsAre("watch.s99: +x"));
}

TEST_F(WatcherTest, AskAgainAfterAnOutageNoticedByOthers) {
  // The catalog's host is cut off: waiting queries hang, but a beat fails and then works again.
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web")});
  loop.advance(1s);
  catalog.forget_log();
  catalog.availability().begin()->failed(Error(Errc::kTimeout, "cannot update: no answer"));
  loop.advance(200ms);
  catalog.availability().retry_now();
  catalog.availability().begin()->answered();
  loop.advance(1s);
  ASSERT_GE(catalog.asked.size(), 1u);
  EXPECT_EQ(catalog.asked.front().index, 0u);
}

TEST_F(WatcherTest, TheQuestionThatEndsAnOutageIsNotHeldBack) {
  // The outage begins between an answer and the next question, and nothing changes meanwhile.
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web")});
  loop.advance(1s);
  for (const std::string id : {"b", "c"}) {  // after the second one it takes a breath
    catalog.set_instances("web", {instance(id)});
    loop.advance(2ms);
  }
  ASSERT_EQ(catalog.waiting(), 0u);
  catalog.availability().begin()->failed(Error(Errc::kTimeout, "cannot update: no answer"));
  loop.advance(200ms);
  EXPECT_TRUE(catalog.availability().up());
  EXPECT_EQ(catalog.waiting(), 1u);
}

TEST_F(WatcherTest, ARefusedQueryWarnsOnceAndIsAskedSeldom) {
  catalog.query_trouble = Error(Errc::kDenied, "cannot watch 'web': 403");
  watcher.set({watch("web")});
  loop.advance(10min);
  EXPECT_EQ(log.count("cannot watch 'web': 403, retrying"), 1);
  EXPECT_LE(rate(10min), 0.25);
  catalog.query_trouble.reset();
  catalog.set_instances("web", {instance("a")});
  loop.advance(11s);
  EXPECT_THAT(told, ElementsAre("watch.web: +a"));
  EXPECT_EQ(log.count("watching 'web' works again"), 1);
}

TEST_F(WatcherTest, ACatalogInTroubleIsAskedSeldomWhateverElseWorks) {
  catalog.set_instances("web", {instance("a")});
  catalog.set_instances("api", {instance("b")});
  watcher.set({watch("web"), watch("api")});
  loop.advance(1s);
  catalog.query_trouble = Error(Errc::kInternal, "cannot watch: answered 503");
  catalog.set_instances("web", {instance("a"), instance("c")});
  // Beats go on meanwhile: their good answers must not make the refused question a busy one.
  for (int i = 0; i < 60; ++i) {
    catalog.availability().begin()->answered();
    loop.advance(100ms);
  }
  EXPECT_LE(catalog.asked.size(), 15u);  // not 60
  EXPECT_EQ(log.count("answered 503, retrying"), 1);
  EXPECT_FALSE(log.contains("does not answer"));
  catalog.query_trouble.reset();
  loop.advance(2s);
  EXPECT_EQ(told.back(), "watch.web: +c");
}

TEST_F(WatcherTest, AWatchThatJoinsAQueryGetsItsListAtOnce) {
  catalog.set_instances("web", {instance("a", {"blue"})});
  watcher.set({watch("web"), watch("web", "green")});
  loop.advance(10s);
  told.clear();
  catalog.forget_log();
  watcher.set({watch("web"), watch("web", "green"), watch("web", "blue")});
  loop.advance(1ms);
  EXPECT_THAT(told, ElementsAre("watch.webblue: +a"));
  EXPECT_THAT(catalog.asked, IsEmpty());
}

TEST_F(WatcherTest, WatchesThatStayKeepTheirStateAndQuery) {
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web"), watch("db")});
  loop.advance(10s);
  catalog.forget_log();
  told.clear();
  watcher.set({watch("web")});
  loop.advance(10s);
  EXPECT_THAT(told, IsEmpty());
  EXPECT_THAT(catalog.asked, IsEmpty());
  EXPECT_EQ(catalog.waiting(), 1u);
  EXPECT_EQ(watcher.states().at(0).instances.size(), 1u);
}

TEST_F(WatcherTest, MayBeChangedByWhoeverIsTold) {
  Watcher* self = nullptr;
  int calls = 0;
  Watcher other(loop, &catalog, resolver, [&](const Change&) {
    ++calls;
    self->set({});
  });
  self = &other;
  catalog.set_instances("web", {instance("a")});
  other.set({watch("web")});
  loop.advance(1min);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(catalog.waiting(), 0u);
}

TEST_F(WatcherTest, BeyondThePlacesQueriesTakeTurns) {
  catalog.places = 4;
  Watcher many(loop, &catalog, resolver, [this](const Change& change) { note(change); });
  std::vector<WatchSpec> watches;
  for (int i = 0; i < 20; ++i) watches.push_back(watch("s" + std::to_string(i)));
  many.set(watches);
  loop.advance(1s);
  EXPECT_EQ(catalog.waiting(), 4u);
  EXPECT_LE(rate(100s), 0.1 * 20);
  // The bound holds for each of them, and it is what the state says.
  for (int i = 0; i < 20; ++i) {
    const std::string name = "s" + std::to_string(i);
    const auto states = many.states();
    const Duration bound = states[static_cast<std::size_t>(i)].staleness;
    EXPECT_LE(bound, 10s);
    const TimePoint changed = loop.now();
    catalog.set_instances(name, {instance("x")});
    loop.advance(bound + 50ms);
    ASSERT_FALSE(told.empty());
    EXPECT_EQ(told.back(), "watch." + name + ": +x")
        << "after " << (loop.now() - changed) / 1ms << " ms";
  }
}

TEST_F(WatcherTest, TurnsAreSpreadOverTheInterval) {
  catalog.places = 4;
  Watcher many(loop, &catalog, resolver, [](const Change&) {});
  std::vector<WatchSpec> watches;
  for (int i = 0; i < 104; ++i) watches.push_back(watch("s" + std::to_string(i)));
  many.set(watches);
  loop.advance(20s);
  for (int second = 0; second < 9; ++second) EXPECT_LE(rate(1s), 50) << second;
  // In small groups: waking up costs more than asking.
  catalog.forget_log();
  loop.advance(10s);
  std::set<TimePoint> moments;
  for (const auto& asked : catalog.asked) moments.insert(asked.at);
  EXPECT_LE(moments.size(), 50u);
}

TEST_F(WatcherTest, AnAnswerThatIsTheSameIsNoChange) {
  catalog.places = 0;
  catalog.knows_answers = true;
  catalog.set_instances("web", {instance("a")});
  watcher.set({watch("web")});
  loop.advance(1min);
  EXPECT_THAT(told, ElementsAre("watch.web: +a"));
  EXPECT_EQ(watcher.states().at(0).instances.size(), 1u);
  EXPECT_LT(loop.now() - *watcher.states().at(0).last_answer, 10s);
  catalog.set_instances("web", {});
  loop.advance(10s);
  EXPECT_EQ(told.back(), "watch.web: -a");
}

TEST_F(WatcherTest, PlacesComeAndGoWithWhatTheCatalogAllows) {
  catalog.places = 4;
  Watcher many(loop, &catalog, resolver, [](const Change&) {});
  std::vector<WatchSpec> watches;
  for (int i = 0; i < 20; ++i) watches.push_back(watch("s" + std::to_string(i)));
  many.set(watches);
  loop.advance(1s);
  EXPECT_EQ(catalog.waiting(), 4u);
  catalog.places = 1000;
  loop.advance(10s);
  EXPECT_EQ(catalog.waiting(), 20u);
  catalog.places = 4;
  catalog.drop_waiting();
  loop.advance(20s);
  EXPECT_EQ(catalog.waiting(), 4u);
}

TEST_F(WatcherTest, AServiceThatChangesGetsAPlace) {
  catalog.places = 1;
  Watcher two(loop, &catalog, resolver, [this](const Change& change) { note(change); });
  two.set({watch("calm"), watch("busy")});
  loop.advance(1s);
  catalog.set_instances("busy", {instance("x")});
  loop.advance(10s);
  EXPECT_EQ(two.states().at(1).staleness, 0s);
  EXPECT_EQ(two.states().at(0).staleness, Watcher::kPollInterval);
  told.clear();
  catalog.set_instances("busy", {});
  loop.advance(50ms);
  EXPECT_THAT(told, ElementsAre("watch.busy: -x"));
  catalog.set_instances("calm", {instance("y")});
  loop.advance(10s);
  EXPECT_EQ(told.back(), "watch.calm: +y");
}

TEST_F(WatcherTest, DnsAddressesAreInstances) {
  resolver.set("redis.prod", {"192.0.2.9", "192.0.2.8", "2001:db8::1"});
  watcher.set({dns_watch("redis.prod", 6379)});
  loop.advance(1s);
  EXPECT_THAT(told,
              ElementsAre("watch.redis: +192.0.2.8:6379 +192.0.2.9:6379 +[2001:db8::1]:6379"));
  resolver.set("redis.prod", {"2001:db8::1", "192.0.2.9", "192.0.2.8"});  // only the order
  loop.advance(10s);
  EXPECT_EQ(told.size(), 1u);
  resolver.set("redis.prod", {"192.0.2.8"});
  loop.advance(5s);
  EXPECT_EQ(told.size(), 2u);
  EXPECT_THAT(catalog.asked, IsEmpty());
}

TEST_F(WatcherTest, ADnsNameThatVanishesHasNoInstances) {
  resolver.set("redis.prod", {"192.0.2.8"});
  watcher.set({dns_watch("redis.prod", 6379)});
  loop.advance(1s);
  resolver.set("redis.prod", {});
  resolver.fail("redis.prod", Error(Errc::kNotFound, "cannot resolve: no such name"));
  loop.advance(5s);
  EXPECT_EQ(told.back(), "watch.redis: -192.0.2.8:6379");
}

TEST_F(WatcherTest, ADnsServerInTroubleChangesNothing) {
  resolver.set("redis.prod", {"192.0.2.8"});
  watcher.set({dns_watch("redis.prod", 6379)});
  loop.advance(1s);
  resolver.hang("redis.prod");
  loop.advance(1min);
  EXPECT_EQ(told.size(), 1u);
  EXPECT_THAT(watcher.states().at(0).last_error, HasSubstr("redis.prod"));
  EXPECT_EQ(log.count("cannot watch DNS name 'redis.prod'"), 1);
  resolver.set("redis.prod", {"192.0.2.8"});
  loop.advance(15s);
  EXPECT_EQ(watcher.states().at(0).last_error, "");
}

TEST_F(WatcherTest, ADnsAnswerThatLacksAFamilyChangesNothing) {
  resolver.set("redis.prod", {"192.0.2.8", "2001:db8::1"});
  watcher.set({dns_watch("redis.prod", 6379)});
  loop.advance(1s);
  resolver.set_half("redis.prod", {"2001:db8::1"}, Error(Errc::kTimeout, "no answer about A"));
  loop.advance(1min);
  EXPECT_THAT(told, ElementsAre("watch.redis: +192.0.2.8:6379 +[2001:db8::1]:6379"));
  EXPECT_THAT(watcher.states().at(0).last_error, HasSubstr("no answer about A"));
  resolver.set("redis.prod", {"2001:db8::1"});
  loop.advance(15s);
  EXPECT_EQ(told.back(), "watch.redis: -192.0.2.8:6379");
}

TEST_F(WatcherTest, ADnsServerThatIsSilentAboutAFamilyWillDo) {
  resolver.set_half("redis.prod", {"192.0.2.8"}, Error(Errc::kTimeout, "no answer about AAAA"));
  watcher.set({dns_watch("redis.prod", 6379)});
  loop.advance(1s);
  resolver.set_half("redis.prod", {"192.0.2.9"}, Error(Errc::kTimeout, "no answer about AAAA"));
  loop.advance(1min);
  EXPECT_THAT(told, ElementsAre("watch.redis: +192.0.2.8:6379",
                                "watch.redis: -192.0.2.8:6379 +192.0.2.9:6379"));
  EXPECT_EQ(watcher.states().at(0).last_error, "");
}

TEST_F(WatcherTest, SrvRecordsCarryTheirPorts) {
  resolver.set_srv("_redis._tcp.prod", {{"192.0.2.8", 7000}, {"192.0.2.9", 7001}});
  watcher.set({dns_watch("_redis._tcp.prod", 0)});
  loop.advance(1s);
  EXPECT_THAT(told, ElementsAre("watch.redis: +192.0.2.8:7000 +192.0.2.9:7001"));
}

TEST_F(WatcherTest, WithoutACatalogOnlyDnsWorks) {
  resolver.set("redis.prod", {"192.0.2.8"});
  Watcher none(loop, nullptr, resolver, [this](const Change& change) { note(change); });
  none.set({watch("web"), dns_watch("redis.prod", 6379)});
  loop.advance(10s);
  EXPECT_THAT(told, ElementsAre("watch.redis: +192.0.2.8:6379"));
  EXPECT_THAT(none.states().at(0).last_error, HasSubstr("there is no catalog"));
}

TEST_F(WatcherTest, LeavesNothingBehind) {
  {
    Watcher other(loop, &catalog, resolver, [](const Change&) {});
    other.set({watch("web"), dns_watch("redis.prod", 6379)});
    loop.advance(1s);
    EXPECT_GT(loop.timers(), 0u);
  }
  loop.settle();
  EXPECT_EQ(loop.timers(), 0u);
  EXPECT_EQ(catalog.waiting(), 0u);
}

}  // namespace
}  // namespace containerpilot::discovery
