#include "hosts_file.h"

#include <gtest/gtest.h>

namespace containerpilot {
namespace {

using Ips = std::vector<std::string>;

TEST(HostsFile, FindsNamesAndAliasesInOrder) {
  const char* const file =
      "127.0.0.1\tlocalhost\n"
      "# 10.0.0.9 web\n"
      "10.0.0.1  web web.example.com   # web2\n"
      "  ::1 ip6-localhost\tWEB\n"
      "10.0.0.1 web\n"
      "10.0.0.2\r\n"
      "not-an-ip web\n"
      "10.0.0.3 webb\n"
      "10.0.0.4 last";
  EXPECT_EQ(find_in_hosts(file, "web"), (Ips{"10.0.0.1", "::1"}));
  EXPECT_EQ(find_in_hosts(file, "Web.Example.Com."), (Ips{"10.0.0.1"}));
  EXPECT_EQ(find_in_hosts(file, "last"), (Ips{"10.0.0.4"}));
  EXPECT_EQ(find_in_hosts(file, "web2"), Ips());
  EXPECT_EQ(find_in_hosts(file, "10.0.0.2"), Ips());
  EXPECT_EQ(find_in_hosts(file, ""), Ips());
  EXPECT_EQ(find_in_hosts("", "web"), Ips());
}

TEST(HostsFile, KnowsWhatIsLocal) {
  EXPECT_TRUE(is_localhost("localhost"));
  EXPECT_TRUE(is_localhost("LocalHost."));
  EXPECT_TRUE(is_localhost("db.localhost"));
  EXPECT_FALSE(is_localhost("notlocalhost"));
  EXPECT_FALSE(is_localhost("localhost.example.com"));
  EXPECT_FALSE(is_localhost(".localhost"));
  EXPECT_FALSE(is_localhost(""));
}

}  // namespace
}  // namespace containerpilot
