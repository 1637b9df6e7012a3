// What a scrape, a push and a sensor's run cost the agent. Beside a scrape stands what
// prometheus-cpp's own registry and serializer need for the same gauges, without sending them.
// Compare within one run only.

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/probe.h"
#include "containerpilot/telemetry/pushed.h"
#include "containerpilot/telemetry/sensors.h"
#include "containerpilot/telemetry/server.h"
#include "integration/telemetry/raw_client.h"
#include "support/temp_dir.h"

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;

double cpu_seconds(clockid_t clock = CLOCK_PROCESS_CPUTIME_ID) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// CPU microseconds of one call, the best of a few rounds.
double cost(int rounds, const std::function<void()>& call) {
  double best = 1e9;
  for (int i = 0; i < rounds; ++i) {
    const double before = cpu_seconds();
    call();
    best = std::min(best, cpu_seconds() - before);
  }
  return best * 1e6;
}

double resident_megabytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

void row(const std::string& what, double value, const char* unit, const std::string& note = {}) {
  std::printf("%-60s %12.1f %-4s %s\n", what.c_str(), value, unit, note.c_str());
  std::fflush(stdout);
}

std::string name_of(int i) { return "bench_gauge_" + std::to_string(i); }

std::vector<SeriesHandle> fill(Registry& registry, int families) {
  std::vector<SeriesHandle> handles;
  for (int i = 0; i < families; ++i) {
    MetricSpec metric;
    metric.name = name_of(i);
    metric.help = "A gauge.";
    static_cast<void>(registry.declare(metric));
    handles.push_back(registry.series(metric.name).value());
  }
  return handles;
}

void change_all(const std::vector<SeriesHandle>& handles, double& value) {
  for (const SeriesHandle& handle : handles) static_cast<void>(handle.record(value += 1.25));
}

void bench_render(int series) {
  const std::string many = std::to_string(series) + " gauges, ";
  const int rounds = series > 10000 ? 5 : 50;
  const double before = resident_megabytes();
  Registry registry;
  const auto handles = fill(registry, series);
  double value = 0;
  std::string out;
  const auto timed = [&](bool change, const std::function<void()>& call) {
    double best = 1e9;
    for (int i = 0; i < rounds; ++i) {
      if (change) change_all(handles, value);
      best = std::min(best, cost(1, call));
    }
    return best;
  };
  const auto plain = [&] {
    out.clear();
    registry.render(TextFormat::kPrometheus004, out);
  };
  const auto packed = [&] {
    out.clear();
    registry.render_gzip(TextFormat::kPrometheus004, out);
  };
  const double ours = timed(true, plain);
  const std::string size = std::to_string(out.size() / 1000) + " kB";
  row(many + "all changed: text", ours, "us", size);
  row(many + "nothing changed: text", timed(false, plain), "us");
  row(many + "all changed: text and gzip", timed(true, packed), "us",
      std::to_string(out.size() / 1000) + " kB");
  row(many + "nothing changed: gzip", timed(false, packed), "us");
  row(many + "resident memory they take", resident_megabytes() - before, "MB");

  // Families in one library registry are found linearly: they are made apart, as its users cannot.
  std::vector<std::unique_ptr<prometheus::Family<prometheus::Gauge>>> families;
  std::vector<prometheus::Gauge*> gauges;
  for (int i = 0; i < series; ++i) {
    families.push_back(std::make_unique<prometheus::Family<prometheus::Gauge>>(
        name_of(i), "A gauge.", prometheus::Labels{}));
    gauges.push_back(&families.back()->Add({}));
    gauges.back()->Set(i * 1.25);
  }
  const double library = cost(std::min(rounds, 10), [&] {
    std::vector<prometheus::MetricFamily> collected;
    for (const auto& family : families) {
      auto part = family->Collect();
      collected.insert(collected.end(), std::make_move_iterator(part.begin()),
                       std::make_move_iterator(part.end()));
    }
    const std::string text = prometheus::TextSerializer().Serialize(collected);
  });
  row(many + "prometheus-cpp: collect and serialize", library, "us");
}

/// CPU of the server process per scrape over HTTP; the client is another process.
void bench_scrape(int series, bool change) {
  int port_pipe[2], go_pipe[2];
  if (::pipe(port_pipe) != 0 || ::pipe(go_pipe) != 0) return;
  const pid_t child = ::fork();
  if (child == 0) {
    Registry registry;
    Documents documents;
    const auto handles = fill(registry, series);
    double value = 0;
    change_all(handles, value);
    auto server =
        MetricsServer::start({.listen = "127.0.0.1", .port = 0}, registry, documents, nullptr);
    const std::uint16_t port = server.value()->port();
    static_cast<void>(!::write(port_pipe[1], &port, sizeof(port)));
    char go = 0;
    while (::read(go_pipe[0], &go, 1) == 1 && go == 'c') {
      change_all(handles, value);
      static_cast<void>(!::write(port_pipe[1], &port, sizeof(port)));
    }
    ::_exit(0);
  }
  std::uint16_t port = 0;
  static_cast<void>(!::read(port_pipe[0], &port, sizeof(port)));
  clockid_t clock{};
  ::clock_getcpuclockid(child, &clock);
  const int rounds = series > 10000 ? 10 : 200;
  double total = 0;
  get(port, "/metrics");
  for (int i = 0; i < rounds; ++i) {
    if (change) {
      static_cast<void>(!::write(go_pipe[1], "c", 1));
      static_cast<void>(!::read(port_pipe[0], &port, sizeof(port)));
    }
    const double before = cpu_seconds(clock);
    const RawAnswer answer = get(port, "/metrics");
    total += cpu_seconds(clock) - before;
    if (answer.status != 200) std::printf("a scrape failed\n");
  }
  static_cast<void>(!::write(go_pipe[1], "q", 1));
  ::waitpid(child, nullptr, 0);
  for (const int fd : {port_pipe[0], port_pipe[1], go_pipe[0], go_pipe[1]}) ::close(fd);
  row(std::to_string(series) + " gauges, scrape over HTTP, " +
          (change ? "all changed" : "nothing changed"),
      total / rounds * 1e6, "us");
}

void bench_push(int metrics) {
  Registry registry;
  PushedMetrics pushed(registry);
  std::vector<MetricSpec> specs;
  for (int i = 0; i < metrics; ++i) {
    MetricSpec metric;
    metric.name = name_of(i);
    specs.push_back(metric);
  }
  static_cast<void>(pushed.set(specs));
  constexpr int kPushes = 10000;
  const std::string key = name_of(metrics / 2);
  const double each = cost(5, [&] {
    for (int i = 0; i < kPushes; ++i) static_cast<void>(pushed.push(key, "42.5"));
  });
  row("one push, " + std::to_string(metrics) + " metrics declared", each / kPushes, "us");
}

/// `count` sensors at 1 s on the real loop for a while.
void bench_sensors(int count) {
  auto loop = EpollReactor::create().value();
  auto resolver = make_resolver(*loop).value();
  auto http = make_http_client(*loop, *resolver, 4).value();
  auto launcher = make_launcher(*loop).value();
  ProbeRunner probes(*loop, *launcher, *http, *resolver);
  const Environment environment = Environment::from_process();
  Registry registry;
  const test::TempDir dir;
  std::uint64_t runs = 0;
  Sensors sensors(*loop, probes, environment, registry,
                  {.condition_holds = nullptr,
                   .pid_of = nullptr,
                   .updated = [&](const SensorState&) { ++runs; }});
  std::vector<SensorSpec> specs;
  for (int i = 0; i < count; ++i) {
    SensorSpec spec;
    spec.name = name_of(i);
    spec.metric.name = spec.name;
    spec.source = FileSource{dir.write(spec.name, std::to_string(i))};
    spec.interval = 1s;
    spec.stale_after = 3s;
    specs.push_back(spec);
  }
  sensors.set(specs);
  std::vector<double> lags;
  loop->observe_turns(
      [&](Duration, Duration lag) { lags.push_back(std::chrono::duration<double>(lag).count()); });
  const double before = cpu_seconds();
  const Watch end = loop->after(10s, [&] { loop->stop(); });
  loop->run();
  const double spent = cpu_seconds() - before;
  std::sort(lags.begin(), lags.end());
  const std::string many = std::to_string(count) + " file sensors at 1 s: ";
  row(many + "CPU of one run", spent / static_cast<double>(std::max<std::uint64_t>(runs, 1)) * 1e6,
      "us", std::to_string(runs) + " runs");
  row(many + "start-time error, p99", lags[lags.size() * 99 / 100] * 1e3, "ms");
}

}  // namespace
}  // namespace containerpilot::telemetry

int main() {
  using namespace containerpilot::telemetry;
  containerpilot::block_signals();
  for (const int series : {1000, 100000}) {
    for (const bool change : {true, false}) bench_scrape(series, change);
  }
  for (const int series : {1000, 100000}) bench_render(series);
  for (const int metrics : {10, 1000}) bench_push(metrics);
  bench_sensors(1000);
  return 0;
}
