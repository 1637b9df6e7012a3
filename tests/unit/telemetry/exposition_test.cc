#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <sstream>

#include "containerpilot/telemetry/agent_metrics.h"
#include "containerpilot/telemetry/registry.h"
#include "negotiate.h"
#include "support/openmetrics.h"

namespace containerpilot::telemetry {
namespace {

using test::openmetrics_problems;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(OpenMetricsValidator, AcceptsAGoodExposition) {
  EXPECT_THAT(
      openmetrics_problems(
          "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds A \\\"b\\\".\n"
          "a_seconds_total{x=\"\\n\\\\\"} 1\n"
          "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count "
          "2\n"
          "# TYPE e stateset\ne{e=\"on\"} 1\ne{e=\"off\"} 0\n"
          "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 0\ns_count 0\n# EOF\n"),
      IsEmpty());
}

TEST(OpenMetricsValidator, FindsEachFault) {
  const char* faults[] = {
      "# TYPE a gauge\na 1\n",                       // no end
      "# TYPE a gauge\n\na 1\n# EOF\n",              // empty line
      "# TYPE a gauge\na 1\n# EOF\nb 1\n",           // after the end
      "# TYPE a_total counter\na_total 1\n# EOF\n",  // _total in TYPE
      "# TYPE a counter\na 1\n# EOF\n",              // no _total in the sample
      "# TYPE a counter\na_total -1\n# EOF\n",       // falling
      "# TYPE a counter\na_total NaN\n# EOF\n",
      "# HELP a x\n# TYPE a gauge\na 1\n# EOF\n",  // order
      "# TYPE a gauge\n# HELP a x\n# UNIT a a\na 1\n# EOF\n",
      "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",  // unit is no suffix
      "# TYPE a gauge\n# TYPE a gauge\na 1\n# EOF\n",    // twice
      "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x=\"1\"} 1\n# EOF\n",  // interleaved
      "# TYPE a gauge\na 1\na 1\n# EOF\n",  // series twice
      "# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n# EOF\n",
      "# TYPE a gauge\na{__x=\"1\"} 1\n# EOF\n",
      "# TYPE a gauge\na{x=\"\\t\"} 1\n# EOF\n",  // escape
      "# TYPE a gauge\na 1 1700000000\n# EOF\n",  // timestamp
      "# TYPE a gauge\na 1,5\n# EOF\n",
      "# TYPE a gauge\nb 1\n# EOF\n",  // other family
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# "
      "EOF\n",
      "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_sum 3\nh_count 1\n# EOF\n",
      "# TYPE h histogram\nh_bucket{le=\"1.0\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# "
      "EOF\n",
      "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 3\n# EOF\n",
      "# TYPE h histogram\nh_bucket{le=\"-1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# "
      "EOF\n",
      "# TYPE s summary\ns{quantile=\"1.5\"} 1\n# EOF\n",
      "# TYPE e stateset\ne{e=\"on\"} 1\ne{e=\"off\"} 1\n# EOF\n",
      "# TYPE e stateset\ne{e=\"on\"} 0\n# EOF\n",
      "# TYPE e stateset\ne{e=\"on\"} 1\ne{e=\"off\"} 2\n# EOF\n",
      "# TYPE e stateset\ne{state=\"on\"} 1\n# EOF\n",
      "# TYPE a gauge\na 1 # {trace=\"x\"} 1\n# EOF\n",
      "# TYPE a gauge\na 1\n# TYPE a_count gauge\na_count 1\n# TYPE b histogram\n# TYPE b_count "
      "gauge\nb_count 1\n# EOF\n",
      "# TYPE a nonsense\na 1\n# EOF\n",
  };
  for (const char* text : faults) EXPECT_FALSE(openmetrics_problems(text).empty()) << text;
}

/// Families and series of every kind, names and values a user could think of.
void fill_at_random(Registry& registry, unsigned seed) {
  std::mt19937 random(seed);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution(low, high)(random);
  };
  const char* stems[] = {"queue", "queue_total", "wait_seconds", "size_bytes",
                         "x",     "x_sum",       "x_count",      "x_bucket",
                         "a:b",   "_y",          "y_info",       "z_total_total"};
  const char* values[] = {"",        "plain", "with \"quotes\"", "back\\slash", "new\nline",
                          "ünïcödé", "{}=,"};
  for (int i = 0; i < 20; ++i) {
    MetricSpec metric;
    metric.name = stems[pick(0, 11)];
    metric.help = values[pick(0, 6)];
    metric.unit = pick(0, 1) == 0 ? "" : "seconds";
    metric.type = static_cast<MetricType>(pick(0, 3));
    metric.legacy_name = pick(0, 4) == 0;
    if (pick(0, 1) == 0) metric.labels = {{"zone", values[pick(0, 6)]}};
    if (pick(0, 2) == 0) metric.buckets = {-2, 0.5, 1e6, 1e21};
    if (!registry.declare(metric)) continue;
    for (int k = pick(0, 4); k > 0; --k) {
      const Labels labels = {{"k", values[pick(0, 6)]}};
      static_cast<void>(registry.record(metric.name, labels, pick(-1000, 100000) / 8.0));
    }
  }
}

TEST(Exposition, IsAlwaysValidOpenMetrics) {
  const unsigned seed = std::random_device()();
  for (unsigned i = 0; i < 60; ++i) {
    Registry registry;
    fill_at_random(registry, seed + i);
    std::string text;
    registry.render(TextFormat::kOpenMetrics100, text);
    ASSERT_THAT(openmetrics_problems(text), IsEmpty()) << "seed " << seed + i << "\n" << text;
  }
}

TEST(AgentMetrics, KeepTheirOwnRules) {
  for (const AgentMetric& metric : agent_metrics()) {
    const std::string& name = metric.spec.name;
    EXPECT_FALSE(metric.spec.help.empty()) << name;
    EXPECT_EQ(metric.spec.help.back(), '.') << name;
    for (const std::string_view label : metric.label_names) {
      // Prometheus would rename these two.
      EXPECT_NE(label, "job") << name;
      EXPECT_NE(label, "instance") << name;
    }
    const bool counter = metric.spec.type == MetricType::kCounter;
    if (!metric.spec.legacy_name) {
      EXPECT_EQ(name.ends_with("_total"), counter) << name;
    }
  }
}

/// The reference page: one row per family, as telemetry/README.md has it.
std::string reference() {
  std::string rows = "| Name | Type | Labels | Help |\n|---|---|---|---|\n";
  for (const AgentMetric& metric : agent_metrics()) {
    std::string labels;
    for (const std::string_view label : metric.label_names) {
      labels += labels.empty() ? "" : ", ";
      labels.append(label);
    }
    const std::string type =
        metric.spec.legacy_name ? "untyped" : std::string(metric_type_name(metric.spec.type));
    rows += "| `" + metric.spec.name + "` | " + type + " | " + labels + " | " + metric.spec.help +
            " |\n";
  }
  return rows;
}

// Names and labels are API. After a deliberate change: UPDATE_README=1 rewrites the table.
TEST(AgentMetrics, AreTheOnesTheReadmeLists) {
  const std::string path = "telemetry/README.md", begin = "<!-- metrics -->\n",
                    end = "<!-- /metrics -->\n";
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  std::string readme = content.str();
  const auto from = readme.find(begin), to = readme.find(end);
  ASSERT_NE(from, std::string::npos) << "run from the top of the source tree";
  ASSERT_NE(to, std::string::npos);
  const auto start = from + begin.size();
  if (std::getenv("UPDATE_README") != nullptr) {
    readme.replace(start, to - start, reference());
    std::ofstream(path) << readme;
    return;
  }
  EXPECT_EQ(readme.substr(start, to - start), reference());
}

TEST(AgentMetrics, TellBuildAndProcess) {
  Registry registry;
  SelfMetrics self(registry);
  self.update(TimePoint());
  set_build_info(registry, "4.0.0", "abc");
  std::string text;
  registry.render(TextFormat::kPrometheus004, text);
  EXPECT_THAT(text, HasSubstr("revision=\"abc\",version=\"4.0.0\"} 1\n"));
  EXPECT_GT(registry.value("process_resident_memory_bytes", {}).value(), 1e6);
  EXPECT_GT(registry.value("process_open_fds", {}).value(), 2);
  EXPECT_GT(registry.value("process_cpu_seconds_total", {}).value(), 0);
  const double started = registry.value("process_start_time_seconds", {}).value();
  EXPECT_NEAR(started, static_cast<double>(std::time(nullptr)), 600);
}

TEST(AgentMetrics, ReadTheProcessNoMoreThanTenTimesASecond) {
  Registry registry;
  SelfMetrics self(registry);
  const auto cpu = [&registry] { return registry.value("process_cpu_seconds_total", {}).value(); };
  const TimePoint start{};
  self.update(start);
  const double first = cpu();
  EXPECT_GT(first, 0);
  const std::clock_t begin = std::clock();
  while (std::clock() == begin) continue;  // the CPU time of this process
  self.update(start + SelfMetrics::kValid - Duration(1));
  EXPECT_EQ(cpu(), first);
  self.update(start + SelfMetrics::kValid);
  EXPECT_GT(cpu(), first);
}

TEST(AgentMetrics, ShowOneStateOfASet) {
  Registry registry;
  declare_agent_metrics(registry);
  set_state(registry, kJobState, "web", {"running", "stopped"}, "running");
  set_state(registry, kJobState, "web", {"running", "stopped"}, "stopped");
  EXPECT_EQ(registry.value(kJobState, {{"name", "web"}, {"state", "running"}}).value(), 0);
  EXPECT_EQ(registry.value(kJobState, {{"name", "web"}, {"state", "stopped"}}).value(), 1);
}

TEST(Negotiation, TakesWhatTheClientLikesBest) {
  constexpr auto kText = TextFormat::kPrometheus004;
  constexpr auto kOpen = TextFormat::kOpenMetrics100;
  const std::pair<const char*, TextFormat> cases[] = {
      {"", kText},
      {"*/*", kText},
      {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", kText},
      // Prometheus 2.42
      {"application/openmetrics-text;version=1.0.0,application/"
       "openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       kOpen},
      // Prometheus 3 with protobuf first
      {"application/"
       "vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
       "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/"
       "plain;version=0.0.4;q=0.3",
       kOpen},
      {"application/openmetrics-text;version=0.0.1", kText},
      {"application/openmetrics-text; version=\"1.0.0\"; q=0.3, text/plain; q=0.4", kText},
      {"APPLICATION/OpenMetrics-Text", kOpen},
      {"application/openmetrics-text;q=0", kText},
      {"application/openmetrics-text;q=x", kText},
      {";;,,=;q", kText},
  };
  for (const auto& [accept, expected] : cases) EXPECT_EQ(choose_format(accept), expected) << accept;
}

TEST(Negotiation, CompressesOnlyWhenAsked) {
  EXPECT_FALSE(accepts_gzip(""));
  EXPECT_FALSE(accepts_gzip("identity"));
  EXPECT_TRUE(accepts_gzip("gzip"));
  EXPECT_TRUE(accepts_gzip("deflate, GZIP;q=0.5"));
  EXPECT_FALSE(accepts_gzip("gzip;q=0"));
  EXPECT_TRUE(accepts_gzip("*"));
  EXPECT_FALSE(accepts_gzip("gzip;q=0, *"));
}

}  // namespace
}  // namespace containerpilot::telemetry
