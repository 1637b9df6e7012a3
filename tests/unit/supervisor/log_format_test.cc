#include "log_format.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

// Expected lines: spec v3, section 8 (recorded from ContainerPilot 3.8.0).
namespace containerpilot::detail {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Json = nlohmann::json;

constexpr WallTime kWhen{1767323045s + 678901234ns};  // 2026-01-02T03:04:05.678901234Z

class LogLines : public ::testing::Test {
 protected:
  void SetUp() override { set_zone("UTC"); }
  void TearDown() override { set_zone("UTC"); }
  static void set_zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
    std::string flush_the_cached_second;
    append_time(flush_the_cached_second, WallTime(1s), Fraction::kNone);
  }
  static std::string time_text(WallTime when, Fraction fraction = Fraction::kNanoseconds) {
    std::string out;
    append_time(out, when, fraction);
    return out;
  }
  static std::string entry(LogFormat format, LogLevel level, std::string_view message,
                           LogFields fields = {}) {
    std::string out;
    format_entry(format, out, kWhen, level, "", message, fields);
    return out;
  }
  static std::string child(LogFormat format, const LineSource& source, std::string_view line) {
    std::string out;
    format_child_line(format, out, kWhen, source, line);
    return out;
  }
};

TEST_F(LogLines, OfTheAgentInDefaultFormat) {
  EXPECT_EQ(entry(LogFormat::kDefault, LogLevel::kWarn, "hello world", {{"job", "web"}}),
            "2026-01-02T03:04:05.678901234Z hello world\n");
}

TEST_F(LogLines, OfTheAgentInTextFormat) {
  EXPECT_EQ(entry(LogFormat::kText, LogLevel::kInfo, "hello world"),
            "time=\"2026-01-02T03:04:05Z\" level=info msg=\"hello world\" \n");
  EXPECT_EQ(entry(LogFormat::kText, LogLevel::kWarn, "ready"),
            "time=\"2026-01-02T03:04:05Z\" level=warning msg=ready \n");
  EXPECT_EQ(entry(LogFormat::kText, LogLevel::kError, "a",
                  {{"job", "web"}, {"attempt", std::int64_t{3}}}),
            "time=\"2026-01-02T03:04:05Z\" level=error msg=a attempt=3 job=web \n");
}

TEST_F(LogLines, OfTheAgentInJsonFormatHaveSortedKeys) {
  EXPECT_EQ(entry(LogFormat::kJson, LogLevel::kWarn, "hi"),
            R"({"level":"warning","msg":"hi","time":"2026-01-02T03:04:05.678901234Z"})"
            "\n");
  EXPECT_EQ(
      entry(LogFormat::kJson, LogLevel::kDebug, "hi", {{"value", 1.5}, {"job", "web"}}),
      R"({"job":"web","level":"debug","msg":"hi","time":"2026-01-02T03:04:05.678901234Z","value":1.5})"
      "\n");
}

TEST_F(LogLines, OfAChildWithFieldsOfItsOwn) {  // those of 2.x
  const LineFields fields = {{"process", "task"}, {"task", "a b"}};
  const LineSource source{.job = "task/a b", .pid = 7, .fields = fields};
  EXPECT_EQ(child(LogFormat::kDefault, source, "hi"), "2026-01-02T03:04:05.678901234Z hi\n");
  EXPECT_EQ(child(LogFormat::kText, source, "hi"),
            "time=\"2026-01-02T03:04:05Z\" level=info msg=hi job=\"task/a b\" pid=7 process=task "
            "task=\"a b\" \n");
  EXPECT_EQ(Json::parse(child(LogFormat::kJson, source, "hi")),
            Json({{"job", "task/a b"},
                  {"level", "info"},
                  {"msg", "hi"},
                  {"pid", 7},
                  {"process", "task"},
                  {"task", "a b"},
                  {"time", "2026-01-02T03:04:05.678901234Z"}}));
}

TEST_F(LogLines, NameTheirModuleInTextAndJson) {
  std::string out;
  format_entry(LogFormat::kText, out, kWhen, LogLevel::kInfo, "supervisor", "hi",
               {{"pid", std::int64_t{7}}});
  EXPECT_EQ(out, "time=\"2026-01-02T03:04:05Z\" level=info msg=hi mod=supervisor pid=7 \n");
}

TEST_F(LogLines, OfAJob) {
  const LineSource source{.job = "lg", .pid = 25472};
  EXPECT_EQ(child(LogFormat::kDefault, source, "a \"b\""),
            "2026-01-02T03:04:05.678901234Z lg 25472 a \"b\"\n");
  EXPECT_EQ(child(LogFormat::kText, source, "a \"b\""),
            "time=\"2026-01-02T03:04:05Z\" level=info msg=\"a \\\"b\\\"\" job=lg pid=25472 \n");
  EXPECT_EQ(
      child(LogFormat::kJson, source, "a \"b\""),
      R"({"job":"lg","level":"info","msg":"a \"b\"","pid":25472,"time":"2026-01-02T03:04:05.678901234Z"})"
      "\n");
}

TEST_F(LogLines, OfACheckCarryOnlyThePidInDefaultFormat) {
  const LineSource source{.check = "check.lg", .pid = 12};
  EXPECT_EQ(child(LogFormat::kDefault, source, "x"), "2026-01-02T03:04:05.678901234Z 12 x\n");
  EXPECT_EQ(child(LogFormat::kText, source, "x"),
            "time=\"2026-01-02T03:04:05Z\" level=info msg=x check=check.lg pid=12 \n");
  EXPECT_EQ(
      child(LogFormat::kJson, source, "x"),
      R"({"check":"check.lg","level":"info","msg":"x","pid":12,"time":"2026-01-02T03:04:05.678901234Z"})"
      "\n");
}

TEST_F(LogLines, OfASensorCarryItsName) {
  const LineSource source{.sensor = "queue", .pid = 9};
  EXPECT_EQ(child(LogFormat::kDefault, source, "x"), "2026-01-02T03:04:05.678901234Z queue 9 x\n");
  EXPECT_EQ(Json::parse(child(LogFormat::kJson, source, "x"))["sensor"], "queue");
}

TEST_F(LogLines, StayBareWhenAsked) {
  EXPECT_EQ(child(LogFormat::kJson, {.job = "lg", .pid = 1, .bare = true}, "as it came"),
            "as it came\n");
}

TEST_F(LogLines, MergeJsonOfAChildWhoseOwnMembersWin) {
  const LineSource source{.job = "lg", .pid = 7, .merge_json = true};
  const Json merged = Json::parse(child(
      LogFormat::kJson, source, R"( {"level":"error","msg":"no","at":{"msg":[1,2]},"n":1e3} )"));
  EXPECT_EQ(merged, Json::parse(R"({"job":"lg","pid":7,"time":"2026-01-02T03:04:05.678901234Z",
                                    "level":"error","msg":"no","at":{"msg":[1,2]},"n":1000.0})"));
  EXPECT_EQ(Json::parse(child(LogFormat::kJson, source, "{}")).size(), 4u);
}

TEST_F(LogLines, DoNotMergeWhatIsNotAJsonObject) {
  const LineSource source{.job = "lg", .pid = 7, .merge_json = true};
  for (const std::string line :
       {"plain", "[1]", "{\"a\":1", "{\"a\":01}", "{\"a\":1}x{}", "{a:1}", "{\"a\":\"\xff\"}",
        "{\"a\":1,}", "{\"a\" 1}", "{\"\\x\":1}", "{\"a\":tru}", "{\"a\":1.}", "{\"a\":}"}) {
    const std::string out = child(LogFormat::kJson, source, line);
    ASSERT_TRUE(Json::accept(out)) << line;
    EXPECT_TRUE(Json::parse(out).contains("msg")) << line;
  }
}

TEST_F(LogLines, DropTrailingZerosOfTheFraction) {
  EXPECT_EQ(time_text(WallTime(1767323045s)), "2026-01-02T03:04:05Z");
  EXPECT_EQ(time_text(WallTime(1767323045s + 500ms)), "2026-01-02T03:04:05.5Z");
  EXPECT_EQ(time_text(WallTime(1767323045s + 1ns)), "2026-01-02T03:04:05.000000001Z");
  EXPECT_EQ(time_text(WallTime(1767323045s + 120us)), "2026-01-02T03:04:05.00012Z");
  EXPECT_EQ(time_text(kWhen, Fraction::kNone), "2026-01-02T03:04:05Z");
}

TEST_F(LogLines, ShowLocalTimeWithItsOffset) {
  set_zone("Europe/Berlin");
  EXPECT_EQ(time_text(WallTime(1767323045s)), "2026-01-02T04:04:05+01:00");
  EXPECT_EQ(time_text(WallTime(1783000000s)), "2026-07-02T15:46:40+02:00");
  set_zone("America/St_Johns");
  EXPECT_EQ(time_text(WallTime(1767323045s)), "2026-01-01T23:34:05-03:30");
}

TEST_F(LogLines, EscapeWhatJsonDemands) {
  const std::string nasty =
      "q\" b\\ n\n r\r t\t nul\0 esc\x1b del\x7f bad\xff\xc3( \xe2\x82\xac \xf0\x9f\x98\x80"s;
  const std::string out = child(LogFormat::kJson, {.job = nasty, .pid = 1}, nasty);
  const std::string expected =
      "q\" b\\ n\n r\r t\t nul\0 esc\x1b del\x7f bad\xef\xbf\xbd\xef\xbf\xbd( \xe2\x82\xac \xf0\x9f\x98\x80"s;
  ASSERT_TRUE(Json::accept(out)) << out;
  EXPECT_EQ(Json::parse(out)["msg"], expected);
  EXPECT_EQ(Json::parse(out)["job"], expected);
}

// The library is the judge of what is UTF-8: every first byte, then the bytes around each boundary.
TEST_F(LogLines, AreAlwaysValidJsonWhateverBytesTheyHold) {
  constexpr unsigned char kEdges[] = {0x00, 0x1f, ' ',  '"',  '\\', 0x7f, 0x80,
                                      0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
  const auto check = [](const std::string& line) {
    std::string out;
    append_json_string(out, line);
    ASSERT_TRUE(Json::accept(out)) << ::testing::PrintToString(line);
    const std::string raw = "\"" + line + "\"";
    if (line.find_first_of("\"\\") == line.npos && Json::accept(raw)) {
      ASSERT_EQ(Json::parse(out), Json::parse(raw)) << ::testing::PrintToString(line);
    }
  };
  for (int first = 0; first < 256; ++first) {
    for (const unsigned char second : kEdges) {
      const std::string two = {'x', static_cast<char>(first), static_cast<char>(second)};
      check(two);
      if (first != 0xe0 && first != 0xed && first != 0xef && first != 0xf0 && first != 0xf4)
        continue;
      for (const unsigned char third : kEdges) {
        check(two + static_cast<char>(third));
        check(two + static_cast<char>(third) + static_cast<char>(0x80));
      }
    }
  }
}

TEST_F(LogLines, EscapeQuotesAndControlsInText) {
  std::string out;
  append_text_value(out, "a\"b\\c\nd\0e\x7f \xc3\xa4"s);
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\nd\\x00e\\x7f \xc3\xa4\"");
}

TEST_F(LogLines, PrintNumbersThatJsonHasNoWordFor) {
  const double inf = std::numeric_limits<double>::infinity();
  const Json out =
      Json::parse(entry(LogFormat::kJson, LogLevel::kInfo, "m", {{"a", -inf}, {"b", inf - inf}}));
  EXPECT_EQ(out["a"], "-Inf");
  EXPECT_EQ(out["b"], "NaN");
}

}  // namespace
}  // namespace containerpilot::detail
