#include "go_duration.h"

#include <gtest/gtest.h>

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;

TEST(GoDuration, ReadsWhatGoReads) {
  EXPECT_EQ(parse_go_duration("10s"), Duration(10s));
  EXPECT_EQ(parse_go_duration("1h30m"), Duration(90min));
  EXPECT_EQ(parse_go_duration("1.5s"), Duration(1500ms));
  EXPECT_EQ(parse_go_duration(".5s"), Duration(500ms));
  EXPECT_EQ(parse_go_duration("250ms"), Duration(250ms));
  EXPECT_EQ(parse_go_duration("3us2ns"), Duration(3002ns));
  EXPECT_EQ(parse_go_duration("0"), Duration(0));
}

TEST(GoDuration, RefusesTheRest) {
  for (const char* text : {"", "10", "s", "10 s", "-1s", "+1s", "1d", "1e3s", "infs", "nans",
                           "1..5s", "10s ", "99999999h"}) {
    EXPECT_EQ(parse_go_duration(text), std::nullopt) << text;
  }
}

TEST(GoDuration, WritesWholeSecondsAsTheOldProgramDid) {
  EXPECT_EQ(to_go_duration(5s), "5s");
  EXPECT_EQ(to_go_duration(90s), "90s");
  EXPECT_EQ(to_go_duration(1500ms), "1500ms");
  EXPECT_EQ(to_go_duration(1us), "1ms");
}

}  // namespace
}  // namespace containerpilot::discovery
