// Where ours differs on purpose: what -check tells of it, and that CHANGELOG.md says the same.

#include "config/compatibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/agent/config.h"
#include "load.h"

namespace containerpilot::agent {
namespace {

using test::messages;
using test::options;
using testing::IsEmpty;

TEST(Compatibility, CheckTellsWhereOursDiffers) {
  LoadOptions check = options();
  check.check = true;
  const LoadResult result = load_config({"",
                                         "{ consul: 'https://c:1',\n  jobs: [{ name: 'a', exec: "
                                         "'/bin/sh',\n    restarts: 'unlimited' }] }",
                                         false},
                                        check);
  EXPECT_EQ(check_report(result),
            "0 errors, 0 warnings\n\n"
            "differs from the original for this file:\n"
            "  <inline>:1 consul: `https` to Consul checks the certificate\n"
            "    to keep the old behaviour: consul: {address: …, tls: {verify: false}}\n"
            "  <inline>:1 consul: Proxies of the environment\n"
            "    to keep the old behaviour: the proxy's address in place of the catalog's\n"
            "  <inline>:2 jobs: Reload leaves unchanged jobs running\n"
            "    to keep the old behaviour: restart the agent or the job instead\n"
            "  <inline>:2 jobs[0].exec: A job has ended when its process has\n"
            "    to keep the old behaviour: let the last process run in the foreground\n"
            "  <inline>:3 jobs[0].restarts: A crashed job that fails again and again waits before "
            "it is restarted\n"
            "    to keep the old behaviour: restarts: {limit: \"unlimited\", delay: \"0s\"}\n");
  EXPECT_THAT(load_config({"", "{catalog: 'none'}", false}, check).differences, IsEmpty());
}

/// The Compatibility section of CHANGELOG.md, its white space as single spaces.
std::string compatibility_section() {
  std::ifstream file("CHANGELOG.md");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  std::replace(text.begin(), text.end(), '\n', ' ');
  for (std::size_t at = 0; (at = text.find("  ", at)) != std::string::npos;) text.erase(at, 1);
  const std::size_t section = text.find("### Compatibility");
  return section == std::string::npos ? "" : text.substr(section);
}

TEST(Compatibility, EveryDifferenceIsInTheChangelog) {
  const std::string section = compatibility_section();
  for (const std::string& title : compatibility_titles()) {
    EXPECT_NE(section.find("**" + title), std::string::npos) << title;
  }
}

TEST(Compatibility, EveryChangelogEntryOnAKeyIsADifferenceToTell) {
  // About no key, or told of by an error or a warning at the key itself.
  const std::vector<std::string> others = {"The exit code is not always 0",
                                           "QUIT is a shutdown",
                                           "A second stop signal hurries",
                                           "As PID 1 there is one process",
                                           "When nobody reads the log",
                                           "Children find",
                                           "Every generation accepts JSON5",
                                           "Unknown keys in files of 1.x and 2.x",
                                           "Empty `preStart`",
                                           "More values are accepted",
                                           "Errors of a configuration",
                                           "What jobs left behind ends with the agent",
                                           "`CONSUL_HTTP_AUTH`",
                                           "A telemetry port or a control socket",
                                           "`-config` also takes the text",
                                           "Commands tell their failures on stderr",
                                           "`-config` given several times",
                                           "`jobs: {}`",
                                           "Two jobs of one name",
                                           "Keys of generation 3 that had no effect",
                                           "Templates and texts have bounds"};
  std::vector<std::string> known = compatibility_titles();
  known.insert(known.end(), others.begin(), others.end());
  const std::string section = compatibility_section();
  constexpr std::string_view kEntry = " - **";
  int entries = 0;
  for (std::size_t at = 0; (at = section.find(kEntry, at)) != std::string::npos; ++entries) {
    at += kEntry.size();
    EXPECT_TRUE(std::any_of(known.begin(), known.end(), [&](const std::string& title) {
      return section.compare(at, title.size(), title) == 0;
    })) << section.substr(at, 60);
  }
  EXPECT_GT(entries, 30);
}

TEST(Compatibility, CheckTellsOfHttpsHoweverItIsWritten) {
  const auto told = [](const std::string& consul) {
    LoadOptions check = options();
    check.check = true;
    const LoadResult result = load_config({"", "{ consul: " + consul + " }", false}, check);
    EXPECT_TRUE(result.plan) << messages(result);
    return check_report(result).find("checks the certificate") != std::string::npos;
  };
  EXPECT_TRUE(told("'https://c:1'"));
  EXPECT_TRUE(told("{ address: 'c:1', scheme: 'https' }"));
  EXPECT_TRUE(told("{ Address: 'https://c:1', tls: { servername: 'c' } }"));
  EXPECT_FALSE(told("{ address: 'c:1', scheme: 'https', tls: { verify: false } }"));
  EXPECT_FALSE(told("'c:1'"));
}

}  // namespace
}  // namespace containerpilot::agent
