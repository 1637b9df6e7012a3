#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/http.h"
#include "support/fake_dns.h"
#include "support/fd_leak.h"
#include "support/real_loop.h"
#include "support/temp_dir.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using test::FakeDns;
using Addresses = std::vector<Address>;
using Answer = std::optional<Result<Addresses>>;

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    auto made = make_resolver(
        loop.reactor(),
        {.servers = {dns.address()}, .hosts_file = dir.write("hosts", "10.1.1.1 from-hosts\n")});
    resolver = std::move(made).value();
  }
  Result<Addresses> resolve(const std::string& host, Duration timeout = 5s) {
    Answer answer;
    const Watch watch = resolver->resolve(host, 80, timeout,
                                          [&](Result<Addresses> got) { answer = std::move(got); });
    EXPECT_FALSE(answer) << "never from inside the call";
    EXPECT_TRUE(loop.run_until([&] { return answer.has_value(); }));
    return std::move(*answer);
  }
  Result<Addresses> resolve_all(const std::string& host, Duration timeout = 5s) {
    Answer answer;
    const Watch watch = resolver->resolve_all(
        host, 80, timeout, [&](Result<Addresses> got) { answer = std::move(got); });
    EXPECT_TRUE(loop.run_until([&] { return answer.has_value(); }));
    return std::move(*answer);
  }
  Result<Addresses> resolve_srv(const std::string& name, Duration timeout = 5s) {
    Answer answer;
    const Watch watch = resolver->resolve_srv(
        name, timeout, [&](Result<Addresses> got) { answer = std::move(got); });
    EXPECT_TRUE(loop.run_until([&] { return answer.has_value(); }));
    return std::move(*answer);
  }

  test::FdLeakCheck no_fd_left;
  test::TempDir dir;
  test::RealLoop loop;
  FakeDns dns{loop.reactor()};
  std::unique_ptr<Resolver> resolver;
};

TEST_F(ResolverTest, AsksDnsForBothFamilies) {
  dns.set("web.test", {"10.0.0.1", "10.0.0.2", "2001:db8::1"});
  const auto found = resolve("web.test");
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found.value(), (Addresses{{"10.0.0.1", 80}, {"10.0.0.2", 80}, {"2001:db8::1", 80}}));
}

TEST_F(ResolverTest, AnswersLiteralsHostsAndLocalhostWithoutDns) {
  EXPECT_EQ(resolve("192.0.2.7").value(), (Addresses{{"192.0.2.7", 80}}));
  EXPECT_EQ(resolve("::1").value(), (Addresses{{"::1", 80}}));
  EXPECT_EQ(resolve("From-Hosts").value(), (Addresses{{"10.1.1.1", 80}}));
  EXPECT_EQ(resolve("localhost").value(), (Addresses{{"127.0.0.1", 80}, {"::1", 80}}));
  EXPECT_TRUE(dns.questions().empty());
}

TEST_F(ResolverTest, SaysThatANameDoesNotExist) {
  const auto found = resolve("nowhere.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::kNotFound);
  EXPECT_EQ(found.error().text(), "cannot resolve 'nowhere.test': no such name");
  dns.set("empty.test", {});
  EXPECT_EQ(resolve("empty.test").error().code(), Errc::kNotFound);
  EXPECT_EQ(resolve("").error().code(), Errc::kNotFound);
  EXPECT_NE(resolve(std::string(70, 'x') + ".test").error().code(), Errc::kTimeout);
}

TEST_F(ResolverTest, AFailingServerIsUnavailable) {
  dns.fail();
  const auto found = resolve("web.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::kUnavailable) << found.error().text();
}

TEST_F(ResolverTest, ADeadServerCostsTheTimeoutAndNeverTheLoop) {
  dns.be_silent();
  loop.forget_lag();
  std::vector<Watch> watches;
  int failed = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    watches.push_back(resolver->resolve("web" + std::to_string(i) + ".test", 80, 400ms,
                                        [&](const Result<Addresses>& got) {
                                          ASSERT_FALSE(got);
                                          EXPECT_EQ(got.error().code(), Errc::kTimeout);
                                          ++failed;
                                        }));
  }
  ASSERT_TRUE(loop.run_until([&] { return failed == 50; }));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 400ms);
  EXPECT_LT(took, 3s);
  EXPECT_LT(loop.lag().longest_turn, 50ms) << "all fifty calls included";
  EXPECT_LE(loop.lag().blocked, 2);
}

TEST_F(ResolverTest, OneFamilyIsEnoughWhenTheOtherIsNeverAnswered) {
  dns.set("web.test", {"10.0.0.1"});
  dns.be_silent(FakeDns::Type::kAaaa);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(resolve("web.test").value(), (Addresses{{"10.0.0.1", 80}}));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

TEST_F(ResolverTest, AllAddressesAreThoseOfBothFamilies) {
  dns.set("web.test", {"10.0.0.1", "2001:db8::1"});
  dns.set("v4.test", {"10.0.0.2"});
  EXPECT_EQ(resolve_all("web.test").value(), (Addresses{{"10.0.0.1", 80}, {"2001:db8::1", 80}}));
  EXPECT_EQ(resolve_all("v4.test").value(), (Addresses{{"10.0.0.2", 80}}));
  EXPECT_EQ(resolve_all("nowhere.test").error().code(), Errc::kNotFound);
  EXPECT_EQ(resolve_all("192.0.2.7").value(), (Addresses{{"192.0.2.7", 80}}));
}

TEST_F(ResolverTest, AllAddressesAreAnErrorWhenAFamilyIsNotKnown) {
  dns.set("web.test", {"10.0.0.1", "2001:db8::1"});
  dns.set_srv("_web._tcp.test", {{1, 1, 80, "web.test"}});
  dns.fail(FakeDns::Type::kA);
  EXPECT_EQ(resolve("web.test").value(), (Addresses{{"2001:db8::1", 80}}));
  EXPECT_EQ(resolve_all("web.test").error().code(), Errc::kUnavailable);
  EXPECT_EQ(resolve_srv("_web._tcp.test").error().code(), Errc::kUnavailable);
  dns.be_silent(FakeDns::Type::kA);
  EXPECT_EQ(resolve_all("web.test", 600ms).error().code(), Errc::kTimeout)
      << "neither after a grace nor at the deadline";
}

TEST_F(ResolverTest, FollowsSrvRecordsInOrderOfPriority) {
  dns.set("a.test", {"10.0.0.1"});
  dns.set("b.test", {"10.0.0.2", "10.0.0.3"});
  dns.set_srv("_web._tcp.test",
              {{20, 0, 8001, "a.test"}, {10, 5, 8002, "b.test"}, {10, 9, 8003, "a.test"}});
  EXPECT_EQ(
      resolve_srv("_web._tcp.test").value(),
      (Addresses{{"10.0.0.1", 8003}, {"10.0.0.2", 8002}, {"10.0.0.3", 8002}, {"10.0.0.1", 8001}}));
}

TEST_F(ResolverTest, AnSrvAnswerIsCompleteOrAnError) {
  dns.set("a.test", {"10.0.0.1"});
  dns.set_srv("_web._tcp.test", {{1, 1, 80, "a.test"}, {1, 1, 81, "gone.test"}});
  EXPECT_EQ(resolve_srv("_web._tcp.test").value(), (Addresses{{"10.0.0.1", 80}}))
      << "a target that does not exist is no instance";
  EXPECT_EQ(resolve_srv("_none._tcp.test").error().code(), Errc::kNotFound);
  dns.set_srv("_refused._tcp.test", {{0, 0, 0, "."}});
  EXPECT_EQ(resolve_srv("_refused._tcp.test").error().code(), Errc::kNotFound);

  dns.be_silent(FakeDns::Type::kA);
  dns.be_silent(FakeDns::Type::kAaaa);
  EXPECT_EQ(resolve_srv("_web._tcp.test", 300ms).error().code(), Errc::kTimeout);
}

TEST_F(ResolverTest, ADroppedWatchIsNeverAnswered) {
  dns.set("web.test", {"10.0.0.1"});
  bool called = false;
  Watch watch =
      resolver->resolve("web.test", 80, 5s, [&](const Result<Addresses>&) { called = true; });
  watch = Watch();
  // One that is answered and drops itself in its callback.
  bool answered = false;
  Watch self;
  self = resolver->resolve("web.test", 80, 5s, [&](const Result<Addresses>&) {
    self = Watch();
    answered = true;
  });
  ASSERT_TRUE(loop.run_until([&] { return answered; }));
  loop.run_for(20ms);
  EXPECT_FALSE(called);
}

TEST(Resolver, RefusesAServerThatIsNoAddress) {
  test::RealLoop loop;
  const auto made = make_resolver(loop.reactor(), {.servers = {"dns.test:53"}});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::kInvalid);
}

}  // namespace
}  // namespace containerpilot
