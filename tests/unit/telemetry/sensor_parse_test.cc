#include "sensor_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace containerpilot::telemetry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

SensorSpec sensor(std::map<std::string, std::string> values = {}) {
  SensorSpec spec;
  spec.name = "queue";
  spec.metric.name = "queue_depth";
  spec.values = std::move(values);
  return spec;
}

std::map<std::string, double> by_name(const Parsed& parsed) {
  std::map<std::string, double> out;
  for (const Sample& sample : parsed.samples) out[sample.name] = sample.value;
  return out;
}

TEST(NumberOutput, IsOneNumberAndNothingElse) {
  const Parsed good = parse_number_output(" 42.5\n", sensor());
  ASSERT_EQ(good.samples.size(), 1U);
  EXPECT_EQ(good.samples[0].name, "queue_depth");
  EXPECT_EQ(good.samples[0].value, 42.5);
  EXPECT_THAT(good.errors, IsEmpty());
  for (const char* text : {"", "1 2", "1\n2", "depth 4", "1,5"}) {
    EXPECT_THAT(parse_number_output(text, sensor()).samples, IsEmpty()) << text;
    EXPECT_EQ(parse_number_output(text, sensor()).errors.size(), 1U) << text;
  }
}

TEST(JsonOutput, FollowsPointersIntoOneDocument) {
  const Parsed parsed = parse_json_output(
      R"({"depth": 7, "nested": {"a/b": [1, 2.5]}, "on": true, "text": "0.5"})",
      sensor({{"depth", "/depth"}, {"slash", "/nested/a~1b/1"}, {"on", "/on"}, {"text", "/text"}}));
  EXPECT_THAT(parsed.errors, IsEmpty());
  EXPECT_THAT(by_name(parsed), UnorderedElementsAre(Pair("depth", 7), Pair("slash", 2.5),
                                                    Pair("on", 1), Pair("text", 0.5)));
}

TEST(JsonOutput, KeepsTheGoodValuesBesideABadOne) {
  const Parsed parsed = parse_json_output(
      R"({"good": 1, "null": null, "list": [], "word": "many"})", sensor({{"a_good", "/good"},
                                                                          {"b_null", "/null"},
                                                                          {"c_list", "/list"},
                                                                          {"d_word", "/word"},
                                                                          {"e_none", "/x/y"}}));
  EXPECT_THAT(by_name(parsed), ElementsAre(Pair("a_good", 1)));
  ASSERT_EQ(parsed.errors.size(), 4U);
  EXPECT_EQ(parsed.errors[3], "cannot find a number for 'e_none' at '/x/y'");
  EXPECT_THAT(parse_json_output("{\"depth\": 7", sensor({{"depth", "/depth"}})).errors,
              ElementsAre(HasSubstr("not JSON")));
}

TEST(JsonOutput, TakesLabelsFromTheOutput) {
  SensorSpec spec = sensor({{"depth", "/depth"}});
  spec.value_labels = {{"queue", "/name"}, {"shard", "/shard"}};
  const Parsed parsed = parse_json_output(R"({"name": "in", "shard": 3, "depth": 7})", spec);
  ASSERT_EQ(parsed.samples.size(), 1U);
  EXPECT_THAT(parsed.samples[0].labels, ElementsAre(Pair("queue", "in"), Pair("shard", "3")));
  // Without its label a value would be another series: nothing is better.
  EXPECT_THAT(parse_json_output(R"({"name": "in", "depth": 7})", spec).samples, IsEmpty());
}

TEST(JsonOutput, ChecksItsPointersBeforehand) {
  EXPECT_TRUE(check_pointers(sensor({{"a", "/x/0"}, {"b", ""}})));
  EXPECT_FALSE(check_pointers(sensor({{"a", "x"}})));
  EXPECT_FALSE(check_pointers(sensor({{"a", "/~2"}})));
}

TEST(PrometheusOutput, KeepsTypesLabelsAndHelp) {
  const Parsed parsed = parse_prometheus_output(
      "# HELP jobs Jobs \\\\ done\\nsince start.\n"
      "# TYPE jobs counter\n"
      "jobs{queue=\"a\\\"b\\\\c\\nd\", shard = \"1\" ,} 5 1700000000000\r\n"
      "# TYPE depth gauge\n"
      "  depth   +Inf\n"
      "# TYPE hits counter\n"
      "hits_total 3\n"
      "# just a remark\n"
      "\n"
      "plain NaN\n");
  EXPECT_THAT(parsed.errors, IsEmpty());
  ASSERT_EQ(parsed.samples.size(), 4U);
  EXPECT_EQ(parsed.samples[0].name, "jobs");
  EXPECT_THAT(parsed.samples[0].labels,
              ElementsAre(Pair("queue", "a\"b\\c\nd"), Pair("shard", "1")));
  EXPECT_EQ(parsed.samples[0].type, MetricType::kCounter);
  EXPECT_TRUE(parsed.samples[0].total);
  EXPECT_EQ(parsed.samples[0].help, "Jobs \\ done\nsince start.");
  EXPECT_TRUE(std::isinf(parsed.samples[1].value));
  EXPECT_FALSE(parsed.samples[1].untyped);
  EXPECT_EQ(parsed.samples[2].type, MetricType::kCounter);
  EXPECT_TRUE(parsed.samples[3].untyped);
}

TEST(PrometheusOutput, TakesHistogramsApart) {
  const Parsed parsed = parse_prometheus_output(
      "# TYPE wait histogram\nwait_bucket{le=\"1\"} 2\nwait_bucket{le=\"+Inf\"} 3\nwait_sum "
      "4\nwait_count 3\n");
  ASSERT_EQ(parsed.samples.size(), 4U);
  for (const Sample& sample : parsed.samples) EXPECT_TRUE(sample.untyped) << sample.name;
  EXPECT_THAT(parsed.samples[0].labels, ElementsAre(Pair("le", "1")));
}

TEST(PrometheusOutput, NamesTheLineItCannotRead) {
  for (const char* line : {"1abc 5", "a{b=\"c} 5", "a{b=c} 5", "a{b=\"c\"", "a", "a b", "a 1 2 3",
                           "a{__x=\"1\"} 1", "a{b=\"1\",b=\"2\"} 1", "a{b=\"\xff\"} 1", "{} 1"}) {
    const Parsed parsed = parse_prometheus_output(std::string("ok 1\n") + line + "\n");
    EXPECT_EQ(parsed.samples.size(), 1U) << line;
    ASSERT_EQ(parsed.errors.size(), 1U) << line;
    EXPECT_THAT(parsed.errors[0], HasSubstr("line 2 '"));
  }
  EXPECT_THAT(parse_prometheus_output("# nothing\n").errors,
              ElementsAre(HasSubstr("cannot find a sample")));
}

}  // namespace
}  // namespace containerpilot::telemetry
