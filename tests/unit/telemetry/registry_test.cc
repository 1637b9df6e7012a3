#include "containerpilot/telemetry/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <thread>

#include "unit/telemetry/comma_locale.h"

namespace containerpilot::telemetry {
namespace {

using testing::HasSubstr;
using testing::Not;

MetricSpec metric(std::string name, MetricType type = MetricType::kGauge) {
  MetricSpec spec;
  spec.name = std::move(name);
  spec.help = "Help of " + spec.name + ".";
  spec.type = type;
  return spec;
}

std::string text(const Registry& registry, TextFormat format = TextFormat::kPrometheus004) {
  std::string out;
  registry.render(format, out);
  return out;
}

TEST(Registry, WritesTextFormatByteForByte) {
  Registry registry;
  MetricSpec labelled = metric("queue_depth");
  labelled.labels = {{"queue", "in"}, {"zone", "a\"b\\c\nd"}};
  labelled.help = "Back\\slash and\nnewline \"quoted\".";
  ASSERT_TRUE(registry.declare(labelled));
  ASSERT_TRUE(registry.declare(metric("runs_total", MetricType::kCounter)));
  MetricSpec histogram = metric("wait_seconds", MetricType::kHistogram);
  histogram.buckets = {0.5, 1, 10};
  ASSERT_TRUE(registry.declare(histogram));

  ASSERT_TRUE(registry.record("queue_depth", {}, 42.5));
  ASSERT_TRUE(registry.record("queue_depth", {{"queue", "out"}}, -1));
  ASSERT_TRUE(registry.record("runs_total", {}, 3));
  ASSERT_TRUE(registry.record("runs_total", {{"result", "ok"}}, 1));
  for (const double value : {0.25, 1.0, 3.0, 99.0}) {
    ASSERT_TRUE(registry.record("wait_seconds", {{"name", "web"}}, value));
  }
  EXPECT_EQ(text(registry), R"(# HELP queue_depth Back\\slash and\nnewline "quoted".
# TYPE queue_depth gauge
queue_depth{queue="in",zone="a\"b\\c\nd"} 42.5
queue_depth{queue="out",zone="a\"b\\c\nd"} -1
# HELP runs_total Help of runs_total.
# TYPE runs_total counter
runs_total 3
runs_total{result="ok"} 1
# HELP wait_seconds Help of wait_seconds.
# TYPE wait_seconds histogram
wait_seconds_bucket{name="web",le="0.5"} 1
wait_seconds_bucket{name="web",le="1"} 2
wait_seconds_bucket{name="web",le="10"} 3
wait_seconds_bucket{name="web",le="+Inf"} 4
wait_seconds_sum{name="web"} 103.25
wait_seconds_count{name="web"} 4
)");
}

TEST(Registry, WritesOpenMetricsByteForByte) {
  Registry registry;
  MetricSpec unit = metric("run_seconds_total", MetricType::kCounter);
  unit.unit = "seconds";
  unit.help = "With \"quotes\".";
  ASSERT_TRUE(registry.declare(unit));
  ASSERT_TRUE(registry.declare(metric("hits", MetricType::kCounter)));
  MetricSpec histogram = metric("wait_seconds", MetricType::kHistogram);
  histogram.buckets = {0.5, 1};
  histogram.unit = "seconds";
  ASSERT_TRUE(registry.declare(histogram));
  ASSERT_TRUE(registry.record("run_seconds_total", {}, 1.5));
  ASSERT_TRUE(registry.record("hits", {}, 2));
  ASSERT_TRUE(registry.record("wait_seconds", {}, 1));
  EXPECT_EQ(text(registry, TextFormat::kOpenMetrics100), R"(# TYPE hits unknown
# HELP hits Help of hits.
hits 2
# TYPE run_seconds counter
# UNIT run_seconds seconds
# HELP run_seconds With \"quotes\".
run_seconds_total 1.5
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
# HELP wait_seconds Help of wait_seconds.
wait_seconds_bucket{le="0.5"} 0
wait_seconds_bucket{le="1.0"} 1
wait_seconds_bucket{le="+Inf"} 1
wait_seconds_sum 1
wait_seconds_count 1
# EOF
)");
}

TEST(Registry, WritesSummariesWithNaNBeforeTheFirstValue) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("size_bytes", MetricType::kSummary)));
  ASSERT_TRUE(registry.series("size_bytes"));
  EXPECT_EQ(text(registry), R"(# HELP size_bytes Help of size_bytes.
# TYPE size_bytes summary
size_bytes{quantile="0.5"} NaN
size_bytes{quantile="0.9"} NaN
size_bytes{quantile="0.99"} NaN
size_bytes_sum 0
size_bytes_count 0
)");
  for (int i = 1; i <= 100; ++i) ASSERT_TRUE(registry.record("size_bytes", {}, i));
  const std::string out = text(registry);
  EXPECT_THAT(out, HasSubstr("size_bytes_sum 5050\nsize_bytes_count 100\n"));
  const auto median = out.find("quantile=\"0.5\"} ");
  ASSERT_NE(median, std::string::npos);
  EXPECT_NEAR(std::stod(out.substr(median + 16)), 50, 5);  // its error: 5 % of the ranks
  EXPECT_THAT(out, Not(HasSubstr("NaN")));
}

TEST(Registry, SpellsBoundsAsGoDoes) {
  Registry registry;
  MetricSpec histogram = metric("h", MetricType::kHistogram);
  histogram.buckets = {-1, 0, 0.00005, 0.0001, 2.5, 100000, 1e6, 1.5e6, 1e21};
  ASSERT_TRUE(registry.declare(histogram));
  ASSERT_TRUE(registry.series("h"));
  const auto bounds = [&](TextFormat format) {
    std::string found;
    const std::string out = text(registry, format);
    for (auto at = out.find("le=\""); at != std::string::npos; at = out.find("le=\"", at + 1)) {
      found += out.substr(at + 4, out.find('"', at + 4) - at - 4) + " ";
    }
    return found;
  };
  EXPECT_EQ(bounds(TextFormat::kPrometheus004),
            "-1 0 5e-05 0.0001 2.5 100000 1e+06 1.5e+06 1e+21 +Inf ");
  EXPECT_EQ(bounds(TextFormat::kOpenMetrics100),
            "-1.0 0.0 5e-05 0.0001 2.5 100000.0 1e+06 1.5e+06 1e+21 +Inf ");
}

TEST(Registry, WritesNonFiniteGaugesAsPrometheusSpellsThem) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("g")));
  ASSERT_TRUE(registry.record("g", {{"v", "nan"}}, NAN));
  ASSERT_TRUE(registry.record("g", {{"v", "inf"}}, std::numeric_limits<double>::infinity()));
  EXPECT_THAT(text(registry), HasSubstr("g{v=\"inf\"} +Inf\ng{v=\"nan\"} NaN\n"));
}

TEST(Registry, IsNotMovedByACommaLocale) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("g")));
  ASSERT_TRUE(registry.record("g", {}, 1234567.25));
  const std::string before = text(registry);
  ASSERT_TRUE(registry.record("g", {}, 0));
  ASSERT_TRUE(registry.record("g", {}, 1234567.25));
  const CommaLocale comma;
  EXPECT_EQ(text(registry), before);
  EXPECT_THAT(before, HasSubstr("g 1234567.25\n"));
}

TEST(Registry, ShowsEachChangeThroughTheCache) {
  Registry registry;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(registry.declare(metric("m" + std::to_string(1000 + i))));
    ASSERT_TRUE(registry.record("m" + std::to_string(1000 + i), {}, i));
  }
  const std::string before = text(registry);
  EXPECT_EQ(text(registry), before);
  auto handle = registry.series("m1100").value();
  ASSERT_TRUE(handle.record(-7));
  EXPECT_THAT(text(registry), HasSubstr("m1100 -7\n"));
  EXPECT_THAT(text(registry, TextFormat::kOpenMetrics100), HasSubstr("m1100 -7\n"));
  ASSERT_TRUE(handle.record(100));
  EXPECT_EQ(text(registry), before);
  ASSERT_TRUE(registry.record("m1100", {{"a", "b"}}, 1));
  EXPECT_THAT(text(registry), HasSubstr("m1100{a=\"b\"} 1\n"));
  registry.remove_series("m1100", {{"a", "b"}});
  EXPECT_EQ(text(registry), before);
  registry.remove("m1100");
  EXPECT_THAT(text(registry), Not(HasSubstr("m1100")));
}

TEST(Registry, MendsItsTextLikeOneThatWritesAllAnew) {
  constexpr int kFamilies = 200;
  Registry mended;
  std::map<std::pair<int, int>, double> values;  // by family and label
  const auto name = [](int i) { return "m" + std::to_string(1000 + i); };
  for (int i = 0; i < kFamilies; ++i) ASSERT_TRUE(mended.declare(metric(name(i))));
  std::minstd_rand dice(20161107);
  for (int round = 0; round < 200; ++round) {
    for (int change = static_cast<int>(dice() % 5); change > 0; --change) {
      const int family = static_cast<int>(dice() % kFamilies), label = static_cast<int>(dice() % 3);
      const Labels labels = {{"l", std::to_string(label)}};
      if (dice() % 4 == 0) {
        values.erase({family, label});
        mended.remove_series(name(family), labels);
      } else {
        const double value = values[{family, label}] =
            dice() % 3 == 0 ? 1e9 : static_cast<double>(dice() % 9);
        ASSERT_TRUE(mended.record(name(family), labels, value));
      }
    }
    Registry anew;
    for (int i = 0; i < kFamilies; ++i) ASSERT_TRUE(anew.declare(metric(name(i))));
    for (const auto& [key, value] : values) {
      ASSERT_TRUE(anew.record(name(key.first), {{"l", std::to_string(key.second)}}, value));
    }
    // Each format is asked for only now and then, and mends what it missed.
    const auto format = dice() % 3 == 0 ? TextFormat::kOpenMetrics100 : TextFormat::kPrometheus004;
    ASSERT_EQ(text(mended, format), text(anew, format)) << "round " << round;
  }
}

TEST(Registry, LeavesOutFamiliesWithoutSeries) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("g")));
  EXPECT_EQ(text(registry), "");
  EXPECT_EQ(text(registry, TextFormat::kOpenMetrics100), "# EOF\n");
  EXPECT_TRUE(registry.has("g"));
}

TEST(Registry, KeepsCountersFromFalling) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("c_total", MetricType::kCounter)));
  ASSERT_TRUE(registry.record("c_total", {}, 0.1));
  const auto refused = registry.record("c_total", {}, -1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kInvalid);
  EXPECT_EQ(refused.error().text(), "cannot add -1 to counter 'c_total': a counter never falls");
  EXPECT_FALSE(registry.record("c_total", {}, NAN));
  EXPECT_FALSE(registry.record("c_total", {}, std::numeric_limits<double>::infinity()));
  ASSERT_TRUE(registry.record_total("c_total", {}, 0.3));
  EXPECT_EQ(registry.value("c_total", {}).value(), 0.3);  // exactly: no differences are added up
  EXPECT_FALSE(registry.record_total("c_total", {}, 0.2));
  EXPECT_EQ(registry.value("c_total", {}).value(), 0.3);
}

TEST(Registry, RefusesWhatWouldPoisonHistogramsAndSummaries) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("h", MetricType::kHistogram)));
  ASSERT_TRUE(registry.declare(metric("s", MetricType::kSummary)));
  EXPECT_FALSE(registry.record("h", {}, NAN));
  EXPECT_FALSE(registry.record("s", {}, std::numeric_limits<double>::infinity()));
  EXPECT_FALSE(registry.record_total("h", {}, 1));
  EXPECT_FALSE(registry.value("h", {}));
}

TEST(Registry, RefusesBadDeclarations) {
  Registry registry;
  for (const char* name : {"", "1a", "a-b", "a b", "ä"})
    EXPECT_FALSE(registry.declare(metric(name))) << name;
  MetricSpec bad = metric("ok");
  bad.labels = {{"__reserved", "x"}};
  EXPECT_FALSE(registry.declare(bad));
  bad.labels = {{"fine", "\xff"}};
  EXPECT_FALSE(registry.declare(bad));
  bad.labels.clear();
  bad.help = "\xc0\xaf";
  EXPECT_FALSE(registry.declare(bad));
  MetricSpec histogram = metric("h", MetricType::kHistogram);
  histogram.buckets = {1, 1};
  EXPECT_FALSE(registry.declare(histogram));
  histogram.buckets = std::vector<double>();
  EXPECT_FALSE(registry.declare(histogram));
  MetricSpec summary = metric("s", MetricType::kSummary);
  summary.quantiles = {{1.5, 0.1}};
  EXPECT_FALSE(registry.declare(summary));
  EXPECT_TRUE(registry.names().empty());

  ASSERT_TRUE(registry.declare(metric("h", MetricType::kHistogram)));
  EXPECT_FALSE(registry.record("h", {{"le", "1"}}, 1));
  EXPECT_FALSE(registry.record("h", {{"a", "\xff"}}, 1));
  const auto unknown = registry.record("nobody", {}, 1);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), Errc::kNotFound);
}

TEST(Registry, RefusesFamiliesWhoseSamplesWouldMix) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("x", MetricType::kHistogram)));
  EXPECT_FALSE(registry.declare(metric("x_count")));
  EXPECT_FALSE(registry.declare(metric("x_bucket")));
  ASSERT_TRUE(registry.declare(metric("y_sum")));
  EXPECT_FALSE(registry.declare(metric("y", MetricType::kSummary)));
  ASSERT_TRUE(registry.declare(metric("z", MetricType::kSummary)));
  EXPECT_TRUE(registry.declare(metric("z_bucket")));
  ASSERT_TRUE(registry.declare(metric("g")));
  EXPECT_TRUE(registry.declare(metric("g_count")));
}

TEST(Registry, KeepsValuesWhenOnlyTheHelpChanges) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("g")));
  ASSERT_TRUE(registry.record("g", {}, 5));
  MetricSpec again = metric("g");
  again.help = "New help.";
  ASSERT_TRUE(registry.declare(again));
  EXPECT_EQ(text(registry), "# HELP g New help.\n# TYPE g gauge\ng 5\n");
  EXPECT_FALSE(registry.declare(metric("g", MetricType::kCounter)));
  again.labels = {{"a", "b"}};
  ASSERT_TRUE(registry.declare(again));
  EXPECT_EQ(text(registry), "");
}

TEST(Registry, TiesNoTypeToALegacyName) {
  Registry registry;
  MetricSpec legacy = metric("containerpilot_events", MetricType::kCounter);
  legacy.legacy_name = true;
  ASSERT_TRUE(registry.declare(legacy));
  ASSERT_TRUE(registry.record("containerpilot_events", {}, 1));
  EXPECT_THAT(text(registry), HasSubstr("# TYPE containerpilot_events untyped\n"));
  EXPECT_THAT(text(registry, TextFormat::kOpenMetrics100),
              HasSubstr("# TYPE containerpilot_events unknown\n"));
}

TEST(Registry, NeverWritesTwoOpenMetricsFamiliesOfOneName) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("queue")));
  ASSERT_TRUE(registry.declare(metric("queue_total", MetricType::kCounter)));
  ASSERT_TRUE(registry.record("queue", {}, 1));
  ASSERT_TRUE(registry.record("queue_total", {}, 1));
  EXPECT_THAT(text(registry, TextFormat::kOpenMetrics100),
              HasSubstr("# TYPE queue_total unknown\n"));
}

TEST(Registry, AddsUpAFamily) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("g")));
  EXPECT_EQ(registry.total("g").value().series, 0U);
  ASSERT_TRUE(registry.record("g", {{"a", "1"}}, 1));
  ASSERT_TRUE(registry.record("g", {{"a", "2"}}, 2.5));
  ASSERT_TRUE(registry.record("g", {{"a", "2"}}, 3.5));
  const FamilyTotal total = registry.total("g").value();
  EXPECT_EQ(total.sum, 4.5);
  EXPECT_EQ(total.series, 2U);
  EXPECT_EQ(total.records, 3U);
  EXPECT_FALSE(registry.total("nobody"));
}

TEST(Registry, RemovesWhatHasALabelOfThatValue) {
  Registry registry;
  MetricSpec metric;
  metric.name = "m";
  ASSERT_TRUE(registry.declare(metric));
  for (const Labels& labels : {Labels{{"name", "web"}}, Labels{{"code", "1"}, {"name", "web"}},
                               Labels{{"code", "1"}, {"name", "web2"}}, Labels{{"xname", "web"}},
                               Labels{{"a", "1,name=\"web\""}}}) {
    ASSERT_TRUE(registry.record("m", labels, 1));
  }
  registry.remove_series_with("m", "name", "web");
  EXPECT_EQ(registry.total("m").value().series, 3U);
  registry.remove_series_with("m", "a", "1,name=\"web\"");
  EXPECT_EQ(registry.total("m").value().series, 2U);
  EXPECT_TRUE(registry.value("m", {{"code", "1"}, {"name", "web2"}}));
}

TEST(Registry, LetsAHandleOutliveItsSeries) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("g")));
  auto handle = registry.series("g").value();
  registry.remove("g");
  EXPECT_TRUE(handle.record(1));
  EXPECT_EQ(text(registry), "");
  EXPECT_FALSE(SeriesHandle().record(1));
}

TEST(Registry, CanBeRenderedWhileOthersRecord) {
  Registry registry;
  ASSERT_TRUE(registry.declare(metric("c_total", MetricType::kCounter)));
  ASSERT_TRUE(registry.series("c_total"));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    auto handle = registry.series("c_total").value();
    for (int i = 0; i < 20000; ++i) {
      ASSERT_TRUE(handle.record(1));
      if (i % 100 == 0) {
        ASSERT_TRUE(registry.declare(metric("g" + std::to_string(i))));
        ASSERT_TRUE(registry.record("g" + std::to_string(i), {}, 1));
        if (i % 200 == 0) registry.remove("g" + std::to_string(i));
      }
    }
    done = true;
  });
  while (!done) EXPECT_THAT(text(registry), HasSubstr("# TYPE c_total counter\n"));
  writer.join();
  EXPECT_THAT(text(registry), HasSubstr("\nc_total 20000\n"));
}

}  // namespace
}  // namespace containerpilot::telemetry
