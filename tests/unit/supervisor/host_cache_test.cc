#include "host_cache.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "support/fake_http.h"
#include "support/sim_reactor.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using Addresses = std::vector<Address>;
using Answer = std::optional<Result<Addresses>>;

class HostCacheTest : public testing::Test {
 protected:
  Watch ask(Answer& answer, Duration timeout = 2s) {
    return cache.resolve("catalog", 80, timeout, [&](Result<Addresses> got) {
      EXPECT_FALSE(answer) << "told twice";
      answer = std::move(got);
    });
  }
  Addresses ask() {
    Answer answer;
    const Watch watch = ask(answer);
    EXPECT_FALSE(answer) << "never from inside the call";
    loop.advance(2s);
    return answer && *answer ? answer->value() : Addresses{};
  }

  test::SimReactor loop;
  test::FakeResolver resolver{loop};
  HostCache cache{loop, resolver};
};

TEST_F(HostCacheTest, AsksOnceForAllWhoWaitAndForHalfAMinute) {
  resolver.set("catalog", {"10.0.0.1"});
  Answer one, two;
  const Watch first = ask(one);
  const Watch second = ask(two);
  loop.settle();
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->value(), (Addresses{{"10.0.0.1", 80}}));
  loop.advance(29s);
  EXPECT_EQ(ask().size(), 1u);
  EXPECT_EQ(resolver.lookups("catalog"), 1);
  resolver.set("catalog", {"10.0.0.2"});
  loop.advance(1s);
  EXPECT_EQ(ask(), (Addresses{{"10.0.0.2", 80}}));
}

TEST_F(HostCacheTest, KeepsOldAddressesWhileDnsGivesNoAnswer) {
  resolver.set("catalog", {"10.0.0.1"});
  ask();
  resolver.hang("catalog");
  loop.advance(31s);
  EXPECT_EQ(ask(), (Addresses{{"10.0.0.1", 80}}));
  EXPECT_EQ(resolver.lookups("catalog"), 2);
  EXPECT_EQ(ask().size(), 1u) << "and does not pay the timeout again at once";
  EXPECT_EQ(resolver.lookups("catalog"), 2);
}

TEST_F(HostCacheTest, BelievesDnsThatANameIsGone) {
  resolver.set("catalog", {"10.0.0.1"});
  ask();
  loop.advance(31s);
  resolver.fail("catalog", Error(Errc::kNotFound, "no such name"));
  Answer answer;
  const Watch watch = ask(answer);
  loop.settle();
  ASSERT_TRUE(answer);
  ASSERT_FALSE(*answer);
  EXPECT_EQ(answer->error().code(), Errc::kNotFound);
  resolver.hang("catalog");
  EXPECT_TRUE(ask().empty()) << "nothing old is left to fall back to";
}

TEST_F(HostCacheTest, AsksAgainAfterForget) {
  resolver.set("catalog", {"10.0.0.1"});
  ask();
  resolver.set("catalog", {"10.0.0.2"});
  cache.forget("catalog", 80);
  cache.forget("never-heard-of", 80);
  EXPECT_EQ(ask(), (Addresses{{"10.0.0.2", 80}}));
}

TEST_F(HostCacheTest, EndsTheLookupWhenNobodyWaits) {
  resolver.hang("catalog");
  Answer one, two;
  Watch first = ask(one);
  Watch second = ask(two);
  first = Watch();
  EXPECT_EQ(loop.timers(), 1u) << "the fake's timeout";
  second = Watch();
  EXPECT_EQ(loop.timers(), 0u);
  resolver.set("catalog", {"10.0.0.1"});
  EXPECT_EQ(ask().size(), 1u) << "and the next one starts afresh";
  EXPECT_FALSE(one || two);
}

}  // namespace
}  // namespace containerpilot
