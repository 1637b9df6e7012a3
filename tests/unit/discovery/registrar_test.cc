#include "containerpilot/discovery/registrar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_catalog.h"
#include "support/log_capture.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Error kDead(Errc::kUnavailable, "cannot connect");
const Error kCannotTell(Errc::kNotFound, "cannot read own entries: 404");

ServiceSpec service(const std::string& name) {
  ServiceSpec spec;
  spec.id = name + "-h";
  spec.name = name;
  spec.address = "192.0.2.1";
  spec.port = 80;
  spec.ttl = 10s;
  return spec;
}

class RegistrarTest : public testing::Test {
 protected:
  /// One service, registered and passing, its log forgotten.
  void register_web(Duration ttl = 10s) {
    ServiceSpec spec = service("web");
    spec.ttl = ttl;
    registrar.add(spec);
    registrar.report("web-h", Health::kPassing, "");
    loop.advance(100ms);
    ASSERT_TRUE(catalog.stored.contains("web-h"));
    catalog.forget_log();
  }
  /// Beats every second, as a health check would.
  void beat(Duration length, const std::string& id = "web-h") {
    for (Duration t{0}; t < length; t += 1s) {
      registrar.report(id, Health::kPassing, "");
      loop.advance(1s);
    }
  }
  std::function<void()> note(bool& flag) {
    return [&flag] { flag = true; };
  }

  test::LogCapture log;
  test::SimReactor loop;
  FakeCatalog catalog{loop};
  Registrar registrar{loop, catalog, "h"};
};

TEST_F(RegistrarTest, RegistersAtTheFirstPassingReport) {
  registrar.add(service("web"));
  loop.advance(10s);
  EXPECT_THAT(catalog.log, ElementsAre("list"));
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(100ms);
  EXPECT_THAT(catalog.log, ElementsAre("list", "register web-h passing"));
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(100ms);
  EXPECT_EQ(catalog.log.back(), "update web-h passing: ok");
}

TEST_F(RegistrarTest, DoesNotRegisterWhatWasNeverWell) {
  registrar.add(service("web"));
  registrar.report("web-h", Health::kCritical, "connection refused");
  loop.advance(1min);
  EXPECT_EQ(catalog.stored.size(), 0u);
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(100ms);
  EXPECT_EQ(catalog.stored.at("web-h").health, Health::kPassing);
}

TEST_F(RegistrarTest, RegistersAtOnceWithAnInitialStatus) {
  ServiceSpec spec = service("web");
  spec.initial_status = Health::kCritical;
  registrar.add(spec);
  loop.advance(100ms);
  EXPECT_EQ(catalog.count("register web-h critical"), 1);
  registrar.report("web-h", Health::kCritical, "starting");
  loop.advance(100ms);
  EXPECT_EQ(catalog.log.back(), "update web-h critical: starting");
}

TEST_F(RegistrarTest, TellsOfACriticalCheckAtOnceWithItsOutput) {
  register_web();
  registrar.report("web-h", Health::kCritical, "exit 1: no route");
  loop.advance(1ms);
  EXPECT_THAT(catalog.log, ElementsAre("update web-h critical: exit 1: no route"));
  registrar.report("web-h", Health::kWarning, "slow");
  loop.advance(1ms);
  EXPECT_EQ(catalog.stored.at("web-h").health, Health::kWarning);
}

TEST_F(RegistrarTest, CutsOutputAtACharactersBorder) {
  register_web();
  registrar.report("web-h", Health::kCritical,
                   std::string(Registrar::kMaxOutput - 1, 'x') + "\xC3\xA9");
  loop.advance(10ms);
  EXPECT_EQ(catalog.stored.at("web-h").output, std::string(Registrar::kMaxOutput - 1, 'x'));
}

TEST_F(RegistrarTest, SendsOutputAfterARegistrationThatCannotCarryIt) {
  registrar.add(service("web"));
  loop.advance(100ms);
  registrar.report("web-h", Health::kWarning, "disk 91 %");
  loop.advance(100ms);
  EXPECT_THAT(catalog.log,
              ElementsAre("list", "register web-h warning", "update web-h warning: disk 91 %"));
}

TEST_F(RegistrarTest, RegistersAgainWhatTheCatalogDoesNotKnow) {
  register_web();
  catalog.stored.clear();
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(10ms);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, NoticesByItselfWhatWasRemovedByHand) {
  register_web(1min);
  catalog.stored.clear();
  loop.advance(Registrar::kCompareInterval + 1s);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
  EXPECT_TRUE(log.contains("putting 'web-h' right in the catalog: it was gone"));
}

TEST_F(RegistrarTest, IsToldByTheCatalogThatItsEntryWentAway) {
  catalog.set_instances("web", {{"web-h", "web", "192.0.2.1", 80, {}, {}}});
  register_web();
  loop.advance(2s);
  ASSERT_EQ(catalog.waiting(), 1u);
  catalog.stored.clear();
  catalog.set_instances("web", {});
  loop.advance(1s);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

/// Where entries hang on leases one whose check hung was put back as passing, once per TTL.
TEST_F(RegistrarTest, WhatRanOutWithItsLeaseStaysAwayUntilTheNextReport) {
  catalog.set_instances("web", {{"web-h", "web", "192.0.2.1", 80, {}, {}}});
  register_web();
  for (int i = 0; i < 5; ++i) {
    loop.advance(10s);
    catalog.stored.clear();
    catalog.set_instances("web", {});
  }
  loop.advance(Registrar::kCompareInterval);
  EXPECT_EQ(catalog.count("register web-h passing"), 0);
  EXPECT_FALSE(registrar.entries().at(0).registered);
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(10ms);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

/// The last thing its check said was not heard, and was told when the lease was gone.
TEST_F(RegistrarTest, AnOldReportDoesNotBringBackWhatRanOut) {
  register_web();
  catalog.list_trouble = kCannotTell;
  catalog.trouble = kDead;
  registrar.report("web-h", Health::kWarning, "slow");
  loop.advance(10s);
  catalog.trouble.reset();
  catalog.stored.clear();
  loop.advance(1min);
  EXPECT_EQ(catalog.count("register web-h warning"), 0);
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(10ms);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, WhatHasNoTtlComesBackHoweverOldItsReport) {
  register_web(0s);
  loop.advance(1h);
  catalog.stored.clear();
  loop.advance(Registrar::kCompareInterval + 1s);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

/// Consul was killed a moment after an entry was put right, when no query was waiting for it.
TEST_F(RegistrarTest, NoticesARestartWhileNothingWaits) {
  catalog.set_instances("web", {{"web-h", "web", "192.0.2.1", 80, {}, {}}});
  register_web();
  loop.advance(2s);
  for (const char* tag : {"x", "y"}) {
    catalog.set_instances("web", {{"web-h", "web", "192.0.2.1", 80, {tag}, {}}});
    loop.advance(100ms);
  }
  loop.advance(600ms);  // what the changes made it compare is over
  ASSERT_EQ(catalog.waiting(), 0u);
  catalog.set_instances("web", {});
  catalog.restart_index();
  catalog.stored.clear();
  loop.advance(2s);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, ABusyServiceDoesNotKeepItBusy) {
  register_web();
  loop.advance(2s);
  catalog.forget_log();
  for (int i = 0; i < 1000; ++i) {
    catalog.make_noise("web");
    loop.advance(10ms);
  }
  EXPECT_LE(catalog.asked.size(), 21u);  // in 10 s
}

TEST_F(RegistrarTest, NoticesARestartThatOnlyShowedAsTrouble) {
  catalog.set_instances("web", {{"web-h", "web", "192.0.2.1", 80, {}, {}}});
  register_web();
  loop.advance(2s);
  catalog.query_trouble = Error(Errc::kInternal, "cannot watch: no leader");
  catalog.stored.clear();
  catalog.set_instances("web", {});  // ends the waiting query
  loop.advance(1s);
  catalog.query_trouble.reset();
  loop.advance(3s);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

/// One answer that made no sense, of a proxy perhaps, and nobody watched over the entries any more.
TEST_F(RegistrarTest, GoesOnWatchingAfterAnAnswerThatMadeNoSense) {
  catalog.set_instances("web", {{"web-h", "web", "192.0.2.1", 80, {}, {}}});
  register_web();
  loop.advance(2s);
  catalog.query_trouble = Error(Errc::kInvalid, "cannot watch: '/0' is an integer");
  catalog.set_instances("web", {});  // ends the waiting query
  catalog.set_instances("web", {{"web-h", "web", "192.0.2.1", 80, {}, {}}});
  loop.advance(1s);
  catalog.query_trouble.reset();
  loop.advance(3s);
  EXPECT_EQ(catalog.waiting(), 1u);
}

TEST_F(RegistrarTest, OneLostEntryMakesItLookForOthers) {
  catalog.indexed = false;  // no query waits that could tell
  for (const char* name : {"a", "b"}) {
    registrar.add(service(name));
    registrar.report(std::string(name) + "-h", Health::kPassing, "");
  }
  loop.advance(5s);
  catalog.stored.clear();
  registrar.report("a-h", Health::kPassing, "");
  loop.advance(1s);
  EXPECT_EQ(catalog.stored.size(), 2u);
}

TEST_F(RegistrarTest, PutsRightWhatWasAltered) {
  register_web();
  catalog.stored.at("web-h").spec.port = 81;
  catalog.stored.at("web-h").spec.tags = {"evil"};
  loop.advance(Registrar::kCompareInterval + 1s);
  EXPECT_EQ(catalog.stored.at("web-h").spec.port, 80);
  EXPECT_THAT(catalog.stored.at("web-h").spec.tags, IsEmpty());
}

TEST_F(RegistrarTest, IsContentWithACatalogThatKeepsNoMeta) {
  ServiceSpec spec = service("web");
  spec.meta = {{"version", "1"}};
  registrar.add(spec);
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(100ms);
  catalog.stored.at("web-h").spec.meta.clear();
  catalog.stored.at("web-h").keeps_meta = false;
  loop.advance(5min);
  EXPECT_EQ(catalog.count("register web-h passing"), 1);
}

TEST_F(RegistrarTest, LeavesTagsToOthersWhereTheyMayOverrideThem) {
  ServiceSpec spec = service("web");
  spec.enable_tag_override = true;
  registrar.add(spec);
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(100ms);
  catalog.stored.at("web-h").spec.tags = {"theirs"};
  loop.advance(2 * Registrar::kCompareInterval);
  EXPECT_THAT(catalog.stored.at("web-h").spec.tags, ElementsAre("theirs"));
}

TEST_F(RegistrarTest, RegistersAgainWhenTheCheckIsMissing) {
  register_web();
  catalog.stored.at("web-h").has_check = false;
  loop.advance(Registrar::kCompareInterval + 1s);
  EXPECT_TRUE(catalog.stored.at("web-h").has_check);
}

TEST_F(RegistrarTest, TellsAgainOfIllHealthThatNobodyHeard) {
  registrar.add(service("web"));
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(1s);
  registrar.report("web-h", Health::kCritical, "broken");
  loop.advance(1s);
  catalog.stored["web-h"].health = Health::kPassing;  // a proxy said "done" and did nothing
  loop.advance(Registrar::kCompareInterval);
  EXPECT_EQ(catalog.stored["web-h"].health, Health::kCritical);
  EXPECT_EQ(catalog.stored["web-h"].output, "broken");
}

/// A check that hangs reports nothing: the catalog says so by the TTL, and must not be talked out
/// of it.
TEST_F(RegistrarTest, DoesNotRepeatGoodHealthThatIsNotNew) {
  registrar.add(service("web"));
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(1s);
  catalog.stored["web-h"].health = Health::kCritical;
  loop.advance(Registrar::kCompareInterval + 1s);
  EXPECT_EQ(catalog.stored["web-h"].health, Health::kCritical);
}

TEST_F(RegistrarTest, RegistersAChangedDescription) {
  register_web();
  ServiceSpec spec = service("web");
  spec.port = 8080;
  registrar.add(spec);
  loop.advance(10ms);
  EXPECT_EQ(catalog.stored.at("web-h").spec.port, 8080);
}

TEST_F(RegistrarTest, BringsEverythingBackWithinTwoSecondsOfARestart) {
  for (int i = 0; i < 50; ++i) {
    const std::string name = "s" + std::to_string(i);
    registrar.add(service(name));
    registrar.report(name + "-h", Health::kPassing, "");
  }
  loop.advance(1s);
  ASSERT_EQ(catalog.stored.size(), 50u);
  catalog.trouble = kDead;
  catalog.drop_waiting();
  loop.advance(1min);
  for (int i = 0; i < 50; ++i)
    registrar.report("s" + std::to_string(i) + "-h", Health::kPassing, "");
  EXPECT_FALSE(registrar.stats().catalog_up);
  catalog.trouble.reset();
  catalog.stored.clear();
  loop.advance(2s);
  EXPECT_EQ(catalog.stored.size(), 50u);
  EXPECT_TRUE(registrar.stats().catalog_up);
  EXPECT_EQ(log.count("does not answer"), 1);
  EXPECT_EQ(log.count("answers again"), 1);
}

TEST_F(RegistrarTest, DoesTheSameWhereTheCatalogCannotTellItsEntries) {
  catalog.list_trouble = kCannotTell;
  catalog.indexed = false;
  register_web();
  catalog.trouble = kDead;
  beat(5s);
  catalog.trouble.reset();
  catalog.stored.clear();
  loop.advance(2s);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

// A stand-in that answers 200 with an empty body to whatever it does not know.
TEST_F(RegistrarTest, IsNotIrritatedByAListItCannotRead) {
  catalog.list_trouble =
      Error(Errc::kInvalid, "cannot read the answer: it is empty, expected JSON");
  register_web();
  beat(60s);
  EXPECT_EQ(catalog.count("update web-h passing: ok"), 60);
  EXPECT_LE(catalog.count("list"), 4);
  ASSERT_EQ(log.entries().size(), 2U);
  EXPECT_EQ(log.count("Service registered: web"), 1);  // as 3.8.0 said it
  EXPECT_EQ(log.count("it is empty, expected JSON, ignoring; altered entries are not put right"),
            1);
}

TEST_F(RegistrarTest, TellsOnceThatItCannotReadItsEntriesAndWhenItCanAgain) {
  catalog.list_trouble = kCannotTell;
  register_web();
  beat(2min);
  EXPECT_GT(catalog.count("list"), 3);
  EXPECT_EQ(log.count("cannot read own entries: 404"), 1);
  catalog.list_trouble.reset();
  beat(1min);
  EXPECT_EQ(log.count("own entries can be read again"), 1);
  catalog.list_trouble = kCannotTell;
  beat(1min);
  EXPECT_EQ(log.count("cannot read own entries: 404"), 2);
}

TEST_F(RegistrarTest, DoesNotHammerADeadCatalog) {
  for (int i = 0; i < 20; ++i) {
    const std::string name = "s" + std::to_string(i);
    registrar.add(service(name));
    registrar.report(name + "-h", Health::kPassing, "");
  }
  catalog.trouble = kDead;
  loop.advance(10s);
  catalog.forget_log();
  for (int second = 0; second < 60; ++second) {
    for (int i = 0; i < 20; ++i)
      registrar.report("s" + std::to_string(i) + "-h", Health::kPassing, "");
    loop.advance(1s);
  }
  EXPECT_LE(catalog.log.size(), 65u);  // one probe each 1 to 2 s, whatever is waiting
  EXPECT_GE(catalog.log.size(), 29u);
}

TEST_F(RegistrarTest, BeatsPassWhileRegistrationsHang) {
  catalog.indexed = false;  // no query that waits
  register_web();
  catalog.latency = 4s;
  for (int i = 0; i < 30; ++i) {
    const std::string name = "s" + std::to_string(i);
    registrar.add(service(name));
    registrar.report(name + "-h", Health::kPassing, "");
  }
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(100ms);
  EXPECT_THAT(catalog.log, Contains("update web-h passing: ok"));
  beat(60s);
  EXPECT_LE(catalog.most_under_way, kCallConnections);  // the comparison included
}

TEST_F(RegistrarTest, SendsOnlyTheLatestOfManyReports) {
  register_web();
  catalog.latency = 500ms;
  for (int i = 0; i < 10; ++i) registrar.report("web-h", Health::kCritical, std::to_string(i));
  loop.advance(5s);
  EXPECT_THAT(catalog.log, ElementsAre("update web-h critical: 0", "update web-h critical: 9"));
}

TEST_F(RegistrarTest, WithdrawsUntilTheNextReport) {
  register_web();
  bool done = false;
  registrar.withdraw("web-h", 1s, note(done));
  EXPECT_FALSE(done);
  loop.advance(10ms);
  EXPECT_TRUE(done);
  EXPECT_FALSE(catalog.stored.contains("web-h"));
  loop.advance(2min);
  EXPECT_FALSE(catalog.stored.contains("web-h"));
  // D11 of the old program: after maintenance the service never came back.
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(10ms);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, WithdrawingWhatIsNotThereNeedsNoCall) {
  registrar.add(service("web"));
  loop.advance(100ms);
  catalog.forget_log();
  bool done = false, unknown = false;
  registrar.withdraw("web-h", 1s, note(done));
  registrar.withdraw("other-h", 1s, note(unknown));
  loop.advance(0s);
  EXPECT_TRUE(done);
  EXPECT_TRUE(unknown);
  EXPECT_THAT(catalog.log, IsEmpty());
}

TEST_F(RegistrarTest, WithdrawalWaitsForARegistrationUnderWay) {
  registrar.add(service("web"));
  loop.advance(100ms);
  catalog.latency = 200ms;
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(100ms);
  bool done = false;
  registrar.withdraw("web-h", 5s, note(done));
  loop.advance(1s);
  EXPECT_TRUE(done);
  EXPECT_FALSE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, WithdrawalGivesUpAtItsBoundButGoesOnTrying) {
  register_web();
  catalog.trouble = kDead;
  bool done = false;
  registrar.withdraw("web-h", 300ms, note(done));
  loop.advance(299ms);
  EXPECT_FALSE(done);
  loop.advance(1ms);
  EXPECT_TRUE(done);
  loop.advance(1min);
  catalog.trouble.reset();
  loop.advance(2s);
  EXPECT_FALSE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, AReportEndsAWithdrawalUnderWay) {
  register_web();
  catalog.latency = 100ms;
  bool done = false;
  registrar.withdraw("web-h", 10s, note(done));
  loop.advance(50ms);
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(1s);
  EXPECT_TRUE(done);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, RemoveForgets) {
  register_web();
  bool done = false;
  registrar.remove("web-h", 1s, note(done));
  loop.advance(10ms);
  EXPECT_TRUE(done);
  EXPECT_TRUE(registrar.entries().empty());
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(1min);
  EXPECT_FALSE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, ShutdownTakesEverythingOutAtOnce) {
  for (int i = 0; i < 20; ++i) {
    const std::string name = "s" + std::to_string(i);
    registrar.add(service(name));
    registrar.report(name + "-h", Health::kPassing, "");
  }
  loop.advance(1s);
  catalog.forget_log();
  bool done = false;
  registrar.shutdown(5s, note(done));
  loop.advance(20ms);
  EXPECT_TRUE(done);
  EXPECT_TRUE(catalog.stored.empty());
  EXPECT_EQ(catalog.log.front(), "deregister s0-h");
}

TEST_F(RegistrarTest, ComesBackAfterTheCatalogWasStoppedForAWhile) {
  register_web(1min);
  bool done = false;
  registrar.withdraw_all(5s, note(done));
  loop.advance(20ms);
  EXPECT_TRUE(done);
  EXPECT_TRUE(catalog.stored.empty());
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(20ms);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
  catalog.stored.clear();  // and is guarded again
  loop.advance(Registrar::kCompareInterval);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, ShutdownNeverWaitsLongerThanItsBound) {
  register_web();
  catalog.hang = true;
  registrar.report("web-h", Health::kPassing, "");
  bool done = false;
  registrar.shutdown(2s, note(done));
  loop.advance(1999ms);
  EXPECT_FALSE(done);
  loop.advance(1ms);
  EXPECT_TRUE(done);
}

TEST_F(RegistrarTest, ShutdownTriesADeadCatalogOnceMore) {
  register_web();
  catalog.trouble = kDead;
  beat(10s);
  catalog.trouble.reset();
  bool done = false;
  registrar.shutdown(500ms, note(done));
  loop.advance(10ms);
  EXPECT_TRUE(done);
  EXPECT_TRUE(catalog.stored.empty());
}

TEST_F(RegistrarTest, ShutdownOfNothingIsDoneAtOnce) {
  bool done = false;
  registrar.shutdown(5s, note(done));
  EXPECT_FALSE(done);
  loop.advance(0s);
  EXPECT_TRUE(done);
}

TEST_F(RegistrarTest, RemovesWhatAnEarlierLifeLeft) {
  catalog.stored["old-h"] = {service("old"), Health::kCritical, "TTL expired", /*expired=*/true,
                             true};
  catalog.stored["alive-h"] = {service("alive"), Health::kPassing, "ok", false, true};
  ServiceSpec other = service("other");
  other.id = "other-elsewhere";
  catalog.stored[other.id] = {other, Health::kCritical, "TTL expired", true, true};
  ServiceSpec neighbour = service("web");
  neighbour.id = "web-app-h";  // of host "app-h"
  catalog.stored[neighbour.id] = {neighbour, Health::kCritical, "TTL expired", true, true};
  registrar.add(service("web"));
  loop.advance(1s);
  EXPECT_FALSE(catalog.stored.contains("old-h"));
  EXPECT_TRUE(catalog.stored.contains("web-app-h"));
  EXPECT_TRUE(catalog.stored.contains("alive-h"));  // perhaps of another agent with our host name
  EXPECT_TRUE(catalog.stored.contains("other-elsewhere"));
  EXPECT_EQ(registrar.entries().size(), 1u);
}

TEST_F(RegistrarTest, AnEntryOfAnEarlierLifeDoesNotPassForThisOne) {
  catalog.stored["web-h"] = {service("web"), Health::kPassing, "ok", false, true};
  registrar.add(service("web"));
  loop.advance(1s);
  EXPECT_FALSE(catalog.stored.contains("web-h"));  // nobody has seen it well yet
}

TEST_F(RegistrarTest, LeavesAReapedEntryAwayUntilItIsBetter) {
  ServiceSpec spec = service("web");
  spec.deregister_critical_after = "1m";
  registrar.add(spec);
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(1s);
  registrar.report("web-h", Health::kCritical, "down");
  loop.advance(65s);
  catalog.stored.clear();  // as Consul does
  for (int i = 0; i < 60; ++i) {
    registrar.report("web-h", Health::kCritical, "down");
    loop.advance(1s);
  }
  EXPECT_FALSE(catalog.stored.contains("web-h"));
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(1s);
  EXPECT_TRUE(catalog.stored.contains("web-h"));
}

TEST_F(RegistrarTest, ARefusedEntryDisturbsNoOther) {
  catalog.refused = {"bad-h"};
  registrar.add(service("bad"));
  registrar.add(service("web"));
  for (int i = 0; i < 60; ++i) {
    registrar.report("bad-h", Health::kPassing, "");
    registrar.report("web-h", Health::kPassing, "");
    loop.advance(1s);
  }
  EXPECT_EQ(catalog.count("update web-h passing: ok"), 59);
  EXPECT_LE(catalog.count("register bad-h passing"), 20);
  EXPECT_EQ(log.count("cannot register: refused"), 1);
  EXPECT_FALSE(log.contains("does not answer"));
  EXPECT_THAT(registrar.entries().at(0).last_error, HasSubstr("refused"));
}

TEST_F(RegistrarTest, AnEntryTheCatalogAlwaysFailsOnDisturbsNoOther) {
  catalog.failing.emplace("bad-h", Error(Errc::kUnavailable, "cannot register: 500"));
  registrar.add(service("bad"));
  registrar.add(service("web"));
  for (int i = 0; i < 60; ++i) {
    registrar.report("bad-h", Health::kPassing, "");
    registrar.report("web-h", Health::kPassing, "");
    loop.advance(1s);
  }
  EXPECT_GE(catalog.count("update web-h passing: ok"), 58);
  EXPECT_LE(catalog.count("register bad-h passing"), 70);
  EXPECT_FALSE(log.contains("does not answer"));
  EXPECT_EQ(log.count("cannot register: 500"), 1);
}

TEST_F(RegistrarTest, IsNotMadeToLoopByACatalogThatForgetsAtOnce) {
  registrar.add(service("web"));
  registrar.report("web-h", Health::kWarning, "half");
  for (int i = 0; i < 100; ++i) {
    loop.advance(100ms);
    catalog.stored.clear();
  }
  EXPECT_LE(catalog.log.size(), 60u);
}

TEST_F(RegistrarTest, ComparesAgainOnlyNowAndThen) {
  register_web();
  beat(600s);
  EXPECT_LE(catalog.count("list"), 24);
  EXPECT_GE(catalog.count("list"), 19);
}

TEST_F(RegistrarTest, TellsOfItsCalls) {
  std::vector<std::string> told;
  registrar.observe_calls([&](std::string_view operation, bool ok, Duration latency) {
    told.push_back(std::string(operation) + (ok ? " ok " : " failed ") +
                   std::to_string(latency / 1ms));
  });
  registrar.add(service("web"));
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(10ms);
  registrar.report("web-h", Health::kPassing, "");
  loop.advance(10ms);
  registrar.withdraw("web-h", 1s, {});
  loop.advance(10ms);
  EXPECT_THAT(told, testing::UnorderedElementsAre("list ok 1", "register ok 1", "update ok 1",
                                                  "deregister ok 1"));
  EXPECT_EQ(registrar.stats().calls_ok, 4u);
}

TEST_F(RegistrarTest, ShowsItsEntries) {
  register_web();
  registrar.report("web-h", Health::kCritical, "bad");
  loop.advance(10ms);
  const EntryState state = registrar.entries().at(0);
  EXPECT_TRUE(state.registered);
  EXPECT_FALSE(state.withdrawn);
  EXPECT_EQ(state.health, Health::kCritical);
  EXPECT_EQ(state.output, "bad");
}

TEST_F(RegistrarTest, LeavesNothingBehind) {
  {
    Registrar other(loop, catalog);
    other.add(service("x"));
    other.report("x-h", Health::kPassing, "");
    loop.advance(1500us);
  }
  EXPECT_EQ(loop.timers(), 0u);
}

}  // namespace
}  // namespace containerpilot::discovery
