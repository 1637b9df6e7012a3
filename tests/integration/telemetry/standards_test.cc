// What others make of our exposition: Debian's promtool and a real Prometheus.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "containerpilot/telemetry/agent_metrics.h"
#include "containerpilot/telemetry/server.h"
#include "integration/telemetry/raw_client.h"
#include "support/free_port.h"
#include "support/openmetrics.h"
#include "support/temp_dir.h"

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// A series in each family the agent has, and user metrics of all four types.
void fill(Registry& registry) {
  declare_agent_metrics(registry);
  for (const AgentMetric& metric : agent_metrics()) {
    Labels labels;
    for (const std::string_view label : metric.label_names) labels.emplace(label, "a \"b\"\\c\nd");
    ASSERT_TRUE(registry.record(metric.spec.name, labels, 1));
  }
  for (const auto& [name, type] : {std::pair("app_load", MetricType::kGauge),
                                   std::pair("app_jobs_total", MetricType::kCounter),
                                   std::pair("app_delay", MetricType::kHistogram),
                                   std::pair("app_size", MetricType::kSummary)}) {
    MetricSpec metric;
    metric.name = name;
    metric.help = "Help with \"quotes\", a \\ and\na second line.";
    metric.type = type;
    ASSERT_TRUE(registry.declare(metric));
    ASSERT_TRUE(registry.record(metric.name, {}, 0.25));
  }
}

/// stdout and stderr of a shell command; the last line is its exit status.
std::string run(const std::string& command) {
  std::string output;
  std::FILE* pipe = ::popen(("(" + command + ") 2>&1; echo $?").c_str(), "r");
  for (int c; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  ::pclose(pipe);
  return output;
}

TEST(Promtool, FindsNoFaultWithOurMetrics) {
  Registry registry;
  fill(registry);
  std::string text;
  registry.render(TextFormat::kPrometheus004, text);
  const test::TempDir dir;
  EXPECT_EQ(run("promtool check metrics < " + dir.write("metrics", text)), "0\n");
  // That it would find one.
  EXPECT_NE(run("promtool check metrics < " + dir.write("bad", "# TYPE bad counter\nbad 1\n")),
            "0\n");
}

/// Debian's Prometheus scraping two paths of one of our servers.
class RealPrometheus : public testing::Test {
 protected:
  void start(std::uint16_t target) {
    port_ = test::free_port();
    const std::string config = dir_.write(
        "prometheus.yml", "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" +
                              scrape("open", "/metrics", target) + scrape("text", "/text", target));
    const std::string arguments[] = {
        "prometheus", "--config.file=" + config, "--storage.tsdb.path=" + dir_.path() + "/tsdb",
        "--web.listen-address=127.0.0.1:" + std::to_string(port_), "--log.level=error"};
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ASSERT_EQ(::posix_spawnp(&pid_, "prometheus", nullptr, nullptr, argv.data(), environ), 0);
  }
  static std::string scrape(const std::string& job, const std::string& path, std::uint16_t target) {
    return "  - {job_name: " + job + ", metrics_path: " + path +
           ", static_configs: [{targets: ['127.0.0.1:" + std::to_string(target) + "']}]}\n";
  }
  ~RealPrometheus() override {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  /// Value of the only series a query finds; nullopt while there is none.
  std::optional<std::string> query(const std::string& what) {
    try {
      const RawAnswer answer =
          ask(port_, "GET /api/v1/query?query=" + what + " HTTP/1.0\r\nHost: x\r\n\r\n");
      const auto start = answer.body.find('{');
      if (start == std::string::npos) return std::nullopt;
      const json result = json::parse(answer.body.substr(start), nullptr, false)["data"]["result"];
      if (result.size() != 1) return std::nullopt;
      return result[0]["value"][1].get<std::string>();
    } catch (const std::exception&) {
      return std::nullopt;  // not listening yet
    }
  }
  std::optional<std::string> wait_for(const std::string& what) {
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < until) {
      if (auto value = query(what)) return value;
      ::poll(nullptr, 0, 50);
    }
    return std::nullopt;
  }

  test::TempDir dir_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0;
};

TEST_F(RealPrometheus, ReadsBothFormatsAlike) {
  Registry registry;
  fill(registry);
  Documents documents;
  auto server =
      MetricsServer::start({.listen = "127.0.0.1", .port = 0}, registry, documents, nullptr);
  ASSERT_TRUE(server);
  std::string text, open;
  registry.render(TextFormat::kPrometheus004, text);
  registry.render(TextFormat::kOpenMetrics100, open);
  EXPECT_THAT(test::openmetrics_problems(open), testing::IsEmpty());
  documents.publish("/text",
                    {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text});
  start(server.value()->port());
  for (const std::string job : {"open", "text"}) {
    const std::string selector = "%7Bjob%3D%22" + job + "%22%7D";
    EXPECT_EQ(wait_for("max_over_time(up" + selector + "[1m])"), "1") << job;
    EXPECT_EQ(wait_for("app_load" + selector), "0.25") << job;
    EXPECT_EQ(wait_for("app_jobs_total" + selector), "0.25") << job;
    EXPECT_EQ(wait_for("app_delay_count" + selector), "1") << job;
    EXPECT_EQ(wait_for("app_size_sum" + selector), "0.25") << job;
    EXPECT_EQ(wait_for("containerpilot_events" + selector), "1") << job;
    EXPECT_EQ(wait_for("containerpilot_job_exits_total" + selector), "1") << job;
  }
  // It asked for the format it likes best, and got it.
  EXPECT_GE(registry.value(kScrapes, {{"format", "openmetrics"}}).value(), 1);
}

}  // namespace
}  // namespace containerpilot::telemetry
