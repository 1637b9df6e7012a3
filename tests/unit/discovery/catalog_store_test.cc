#include "catalog_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/sim_reactor.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class CatalogStoreTest : public testing::Test {
 protected:
  Registration web(Duration ttl = 10s) {
    Registration registration;
    registration.service.id = "web-1";
    registration.service.name = "web";
    CheckDefinition check;
    check.id = "service:web-1";
    check.ttl = ttl;
    check.status = Health::kPassing;
    registration.checks.push_back(check);
    return registration;
  }
  Health health(const std::string& id = "web-1") { return store.services().at(id).health(); }

  test::SimReactor loop;
  std::vector<std::string> changed;
  CatalogStore store{loop, [this](const std::string& name) { changed.push_back(name); }};
};

TEST_F(CatalogStoreTest, ABeatThatDoesNotComeMakesTheServiceCritical) {
  ASSERT_TRUE(store.register_service(web()));
  loop.advance(9s);
  ASSERT_TRUE(store.update_check("service:web-1", Health::kPassing, "ok"));
  loop.advance(9999ms);
  EXPECT_EQ(health(), Health::kPassing);
  loop.advance(1ms);
  EXPECT_EQ(health(), Health::kCritical);
  EXPECT_EQ(store.services().at("web-1").checks.at("service:web-1").output, "TTL expired");
  ASSERT_TRUE(store.update_check("service:web-1", Health::kPassing, "ok"));
  EXPECT_EQ(health(), Health::kPassing);
}

TEST_F(CatalogStoreTest, OnlyVisibleChangesRaiseTheIndex) {
  const auto register_index = store.index();
  ASSERT_TRUE(store.register_service(web()));
  const auto index = store.index();
  EXPECT_GT(index, register_index);
  ASSERT_TRUE(store.update_check("service:web-1", Health::kPassing, "another output"));
  ASSERT_TRUE(store.register_service(web()));
  EXPECT_EQ(store.index(), index);
  ASSERT_TRUE(store.update_check("service:web-1", Health::kWarning, ""));
  EXPECT_EQ(store.index(), index + 1);
  EXPECT_THAT(changed, ElementsAre("web", "web"));
}

TEST_F(CatalogStoreTest, TheIndexOfANameNeverGoesBack) {
  Registration other = web();
  other.service = {};
  other.service.id = other.service.name = "other";
  other.checks.clear();
  std::uint64_t last = store.index_of("web");
  const auto grows = [&] {
    const std::uint64_t now = store.index_of("web");
    const bool grew = now > last;
    last = now;
    return grew;
  };
  ASSERT_TRUE(store.register_service(web()));
  EXPECT_TRUE(grows());
  ASSERT_TRUE(store.register_service(other));
  EXPECT_FALSE(grows());  // another's change is no news
  ASSERT_TRUE(store.deregister_service("web-1"));
  EXPECT_TRUE(grows());
  ASSERT_TRUE(store.register_service(web()));
  EXPECT_TRUE(grows());
}

TEST_F(CatalogStoreTest, BeginsAboveTheIndexOfAnEarlierLife) {
  ASSERT_TRUE(store.register_service(web()));
  const auto index = store.index();
  loop.advance(1s);
  const CatalogStore next(loop, [](const std::string&) {});
  EXPECT_GT(next.index(), index);
}

TEST_F(CatalogStoreTest, RemovesWhatWasCriticalForTooLong) {
  Registration registration = web(1s);
  registration.checks[0].deregister_after = 60s;
  ASSERT_TRUE(store.register_service(registration));
  loop.advance(60s);
  EXPECT_EQ(health(), Health::kCritical);
  loop.advance(1s);
  EXPECT_TRUE(store.services().empty());
  EXPECT_EQ(loop.timers(), 0u);
}

TEST_F(CatalogStoreTest, BeatingCriticalDoesNotPostponeTheRemoval) {
  Registration registration = web();
  registration.checks[0].deregister_after = 60s;
  ASSERT_TRUE(store.register_service(registration));
  for (int i = 0; i < 59; ++i) {
    ASSERT_TRUE(store.update_check("service:web-1", Health::kCritical, "no"));
    loop.advance(1s);
  }
  EXPECT_EQ(store.services().size(), 1u);
  loop.advance(1s);
  EXPECT_TRUE(store.services().empty());
}

TEST_F(CatalogStoreTest, ANewRegistrationWithoutAStatusKeepsTheOldOne) {
  ASSERT_TRUE(store.register_service(web()));
  Registration again = web();
  again.checks[0].status.reset();
  again.service.port = 81;
  ASSERT_TRUE(store.register_service(again));
  EXPECT_EQ(health(), Health::kPassing);
}

TEST_F(CatalogStoreTest, MaintenanceIsACriticalCheckOfItsOwn) {
  ASSERT_TRUE(store.register_service(web()));
  ASSERT_TRUE(store.set_maintenance("web-1", true, "disk swap"));
  EXPECT_EQ(health(), Health::kCritical);
  EXPECT_EQ(store.services().at("web-1").checks.at("_service_maintenance:web-1").notes,
            "disk swap");
  loop.advance(5s);
  ASSERT_TRUE(store.set_maintenance("web-1", false, ""));
  ASSERT_TRUE(store.set_maintenance("web-1", false, ""));
  EXPECT_EQ(health(), Health::kPassing);
  EXPECT_EQ(store.set_maintenance("nobody", true, "").error().code(), Errc::kNotFound);
}

TEST_F(CatalogStoreTest, ChecksBelongToOneService) {
  ASSERT_TRUE(store.register_service(web()));
  Registration thief = web();
  thief.service.id = "web-2";
  EXPECT_EQ(store.register_service(thief).error().code(), Errc::kInvalid);
  CheckDefinition check;
  check.id = "extra";
  check.service_id = "web-1";
  ASSERT_TRUE(store.register_check(check));
  EXPECT_EQ(health(), Health::kCritical);
  ASSERT_TRUE(store.deregister_check("extra"));
  EXPECT_EQ(health(), Health::kPassing);
  EXPECT_EQ(store.deregister_check("extra").error().code(), Errc::kNotFound);
  check.service_id = "nobody";
  EXPECT_EQ(store.register_check(check).error().code(), Errc::kNotFound);
  check.service_id.clear();
  EXPECT_EQ(store.register_check(check).error().code(), Errc::kInvalid);
}

TEST_F(CatalogStoreTest, AnEntryThatTakesAnotherNameLeavesTheOldOne) {
  ASSERT_TRUE(store.register_service(web()));
  changed.clear();
  Registration renamed = web();
  renamed.service.name = "api";
  ASSERT_TRUE(store.register_service(renamed));
  EXPECT_THAT(changed, ElementsAre("web", "api"));
  EXPECT_EQ(store.services().at("web-1").checks.size(), 1u);
}

TEST_F(CatalogStoreTest, HoldsNoMoreThanItsLimits) {
  Registration registration = web();
  for (std::size_t i = 0; i <= CatalogStore::kMaxChecksPerService; ++i) {
    registration.checks.push_back(registration.checks[0]);
    registration.checks.back().id = std::to_string(i);
  }
  EXPECT_EQ(store.register_service(registration).error().code(), Errc::kUnavailable);
  EXPECT_THAT(store.services(), IsEmpty());
}

}  // namespace
}  // namespace containerpilot::discovery
