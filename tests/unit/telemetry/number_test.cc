#include "containerpilot/telemetry/number.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "unit/telemetry/comma_locale.h"

namespace containerpilot::telemetry {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(MetricValue, ReadsWhatTheOriginalReads) {
  const std::pair<const char*, double> cases[] = {
      {"1", 1},       {"1.5", 1.5},    {"-1", -1},         {" 1 ", 1},
      {"\t1\n", 1},   {"1E3", 1000},   {"5.", 5},          {".5", 0.5},
      {"+1", 1},      {"010", 10},     {"1_000", 1000},    {"0_1", 1},
      {"0x1p4", 16},  {"0x_1p4", 16},  {"0x.8p1", 1},      {"inf", kInf},
      {"+Inf", kInf}, {"-iNf", -kInf}, {"Infinity", kInf}, {"1e-999", 0},
      {"1e-5", 1e-5}, {"-0.0", -0.0},  {"1e308", 1e308},   {"0x1p-1074", 0x1p-1074}};
  for (const auto& [text, expected] : cases) {
    const auto value = parse_metric_value(text);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(value.value(), expected) << text;
  }
  EXPECT_TRUE(std::isnan(parse_metric_value("nan").value()));
  EXPECT_TRUE(std::isnan(parse_metric_value("NaN\n").value()));
}

TEST(MetricValue, RefusesTheRest) {
  for (const char* text :
       {"",      " ",      "1.5s", "abc",  "1 2",  "--1",  "+-1", "0b1", "0o7",
        "１",    "1e",     "true", "0x",   "0x1",  "1__0", "_1",  "1_",  "1,5",
        "1e999", "-1e999", "+nan", "-nan", "infi", ".",    "-",   "1e+", "nan(1)"}) {
    EXPECT_FALSE(parse_metric_value(text)) << text;
  }
  EXPECT_FALSE(parse_metric_value(std::string(400, '9')));
  EXPECT_EQ(parse_metric_value("0." + std::string(400, '0') + "1").value(), 0);
  EXPECT_NE(parse_metric_value("1e999").error().text().find("too large"), std::string::npos);
  EXPECT_NE(parse_metric_value("1,5").error().text().find("'1,5'"), std::string::npos);
}

TEST(MetricValue, WritesTheShortestTextThatReadsBack) {
  const std::pair<double, const char*> cases[] = {{0, "0"},         {1, "1"},
                                                  {-3, "-3"},       {0.1, "0.1"},
                                                  {1e6, "1000000"}, {1e21, "1e+21"},
                                                  {2.5, "2.5"},     {kInf, "+Inf"},
                                                  {-kInf, "-Inf"},  {1.0 / 3, "0.3333333333333333"},
                                                  {NAN, "NaN"},     {5e-324, "5e-324"}};
  for (const auto& [value, expected] : cases) {
    std::string out = "x ";
    append_number(out, value);
    EXPECT_EQ(out, std::string("x ") + expected);
  }
}

TEST(MetricValue, DoesNotCareAboutACommaLocale) {
  const CommaLocale comma;
  std::string out;
  append_number(out, 1.5);
  EXPECT_EQ(out, "1.5");
  append_number(out, 1234567);
  EXPECT_EQ(out, "1.51234567");
  EXPECT_EQ(parse_metric_value("1.5").value(), 1.5);
  EXPECT_FALSE(parse_metric_value("1,5"));
}

}  // namespace
}  // namespace containerpilot::telemetry
