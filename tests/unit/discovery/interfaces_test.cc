#include "containerpilot/discovery/interfaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace containerpilot::discovery {
namespace {

using testing::HasSubstr;

// In the order of list_addresses(): by name, then by 16-byte address.
const std::vector<InterfaceAddress> kHost = {
    {"br-lan.5@x", "172.18.0.1"}, {"eth0", "10.2.0.1"}, {"eth0", "192.168.1.100"},
    {"eth0", "fdc6:238c::1"},     {"eth0", "fe80::1"},  {"eth1", "10.0.0.100"},
    {"eth1", "10.0.0.200"},       {"eth2", "fe80::2"},  {"lo", "::1"},
    {"lo", "127.0.0.1"},
};

std::string chosen(const std::vector<std::string>& specs,
                   const std::vector<InterfaceAddress>& candidates = kHost) {
  const auto address = choose_address(specs, candidates);
  return address ? address.value().ip : "error: " + address.error().text();
}

// Expected values from the table in spec v3, section 5.5.
TEST(ChooseAddress, FollowsTheTableOfForms) {
  EXPECT_EQ(chosen({"inet"}), "172.18.0.1");
  EXPECT_EQ(chosen({"inet6"}), "fdc6:238c::1");
  EXPECT_EQ(chosen({"eth0"}), "10.2.0.1");
  EXPECT_EQ(chosen({"eth0:inet"}), "10.2.0.1");
  EXPECT_EQ(chosen({"eth0:inet6"}), "fdc6:238c::1");
  EXPECT_EQ(chosen({"eth2:inet6"}), "fe80::2");
  EXPECT_EQ(chosen({"eth0[0]"}), "10.2.0.1");
  EXPECT_EQ(chosen({"eth0[2]"}), "fdc6:238c::1");
  EXPECT_EQ(chosen({"lo"}), "127.0.0.1");
  EXPECT_EQ(chosen({"lo:inet6"}), "::1");
  EXPECT_EQ(chosen({"192.168.0.0/16"}), "192.168.1.100");
  EXPECT_EQ(chosen({"10.0.0.0/16"}), "10.0.0.100");
  EXPECT_EQ(chosen({"10.0.0.128/25"}), "10.0.0.200");
  EXPECT_EQ(chosen({"127.0.0.0/8"}), "127.0.0.1");
  EXPECT_EQ(chosen({"fdc6:238c::/32"}), "fdc6:238c::1");
  EXPECT_EQ(chosen({"0.0.0.0/0"}), "172.18.0.1");
  EXPECT_EQ(chosen({"static:192.0.2.7"}), "192.0.2.7");
  EXPECT_EQ(chosen({"static:FD00::0005"}), "fd00::5");
}

TEST(ChooseAddress, TakesTheFirstSpecThatMatches) {
  EXPECT_EQ(chosen({"eth7", "eth1[5]", "eth2:inet", "eth1"}), "10.0.0.100");
  EXPECT_EQ(choose_address({"eth7", "eth1"}, kHost).value().why, "'eth1' matched eth1 10.0.0.100");
}

TEST(ChooseAddress, TakesNamesWithDashDotAndAt) { EXPECT_EQ(chosen({"br-lan.5@x"}), "172.18.0.1"); }

TEST(ChooseAddress, ListsEveryBadSpecOnALineOfItsOwn) {
  const auto address = choose_address({"eth0", "eth0[-1]", "eth0:inet5"}, kHost);
  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().code(), Errc::kInvalid);
  EXPECT_EQ(std::count(address.error().text().begin(), address.error().text().end(), '\n'), 1);
  EXPECT_THAT(address.error().text(), HasSubstr("'eth0[-1]'"));
  EXPECT_THAT(address.error().text(), HasSubstr("'eth0:inet5'"));
}

TEST(ChooseAddress, RefusesWhatTheLanguageDoesNotHave) {
  for (const char* spec : {"eth0[-1]", "eth0[1", "eth0[]", "eth0:inet5", "eth0:", "10.0.0.1", "::1",
                           "static:zz", "static:123", "static:", "10.0.0.0/33", "10.0.0/8",
                           "fe80::/129", "/8", "", "eth 0", "eth0[99999999999999999999]"}) {
    const Status status = check_interface_spec(spec);
    ASSERT_FALSE(status) << spec;
    EXPECT_EQ(status.error().code(), Errc::kInvalid) << spec;
  }
}

TEST(ChooseAddress, SaysWhatItLookedAtWhenNothingMatches) {
  const auto address = choose_address({"eth9", "10.9.0.0/16"}, {{"lo", "127.0.0.1"}});
  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().code(), Errc::kNotFound);
  EXPECT_THAT(address.error().text(), HasSubstr("'eth9', '10.9.0.0/16'"));
  EXPECT_THAT(address.error().text(), HasSubstr("lo 127.0.0.1"));
}

TEST(ChooseAddress, WithoutSpecsPrefersEth0AndAvoidsVirtualAndLinkLocalOnes) {
  EXPECT_EQ(chosen({}), "10.2.0.1");
  // Docker swarm puts a service's virtual address on eth0, with a network of its own.
  EXPECT_EQ(chosen({}, {{"eth0", "10.0.0.5", 32}, {"eth0", "10.0.0.6", 24}}), "10.0.0.6");
  EXPECT_EQ(chosen({}, {{"eth0", "169.254.1.1", 16}, {"eth1", "10.1.0.1", 24}}), "10.1.0.1");
  EXPECT_EQ(chosen({}, {{"eth0", "fd00::1", 64}, {"eth0", "fe80::1", 64}}), "fd00::1");
  EXPECT_EQ(chosen({}, {{"eth0", "10.0.0.5", 32}, {"lo", "127.0.0.1", 8}}), "10.0.0.5");
  EXPECT_EQ(chosen({}, {{"eth1", "192.168.1.5", 24}, {"lo", "10.0.0.5", 32}}), "192.168.1.5");
  EXPECT_EQ(chosen({}, {{"lo", "10.0.0.5", 24}, {"lo", "10.0.0.6", 32}, {"wan", "10.1.0.1", 24}}),
            "10.1.0.1");
  EXPECT_EQ(chosen({}, {{"eth0", "fd00::5", 64}, {"lo", "::1", 128}}), "fd00::5");
  EXPECT_EQ(chosen({}, {{"eth0", "fd00::5", 64}, {"eth1", "10.1.0.1", 24}}), "10.1.0.1");
  EXPECT_THAT(chosen({}, {{"lo", "127.0.0.1", 8}}), HasSubstr("none besides loopback"));
}

TEST(ChooseAddress, WithoutSpecsTakesEth0sOnlyAddressWhateverItsNetwork) {
  EXPECT_EQ(chosen({}, {{"docker0", "172.17.0.1", 16}, {"eth0", "10.128.0.5", 32}}), "10.128.0.5");
  EXPECT_EQ(chosen({}, {{"eth0", "10.128.0.5", 32}, {"eth0", "fd00::5", 64}}), "10.128.0.5");
  EXPECT_EQ(
      chosen({}, {{"docker0", "fd01::1", 64}, {"eth0", "fd00::5", 128}, {"eth0", "fe80::1", 64}}),
      "fd00::5");
  EXPECT_EQ(chosen({}, {{"eth1", "192.168.1.5", 24}, {"tun0", "10.8.0.2", 32}}), "192.168.1.5");
}

TEST(ListAddresses, FindsLoopbackWithItsNetworkInOrder) {
  const auto addresses = list_addresses();
  ASSERT_TRUE(addresses);
  EXPECT_NE(std::find(addresses.value().begin(), addresses.value().end(),
                      InterfaceAddress{"lo", "127.0.0.1", 8}),
            addresses.value().end());
  EXPECT_TRUE(
      std::is_sorted(addresses.value().begin(), addresses.value().end(),
                     [](const auto& a, const auto& b) { return a.interface < b.interface; }));
}

}  // namespace
}  // namespace containerpilot::discovery
