// What the registry alone costs: rendering beside prometheus-cpp's collector and serializer, and a
// push. agent_bench.py measures the same in the running agent. Compare within one run only.

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "containerpilot/telemetry/pushed.h"
#include "containerpilot/telemetry/registry.h"

namespace containerpilot::telemetry {
namespace {

double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
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

}  // namespace
}  // namespace containerpilot::telemetry

int main() {
  using namespace containerpilot::telemetry;
  for (const int series : {1000, 100000}) bench_render(series);
  for (const int metrics : {10, 1000}) bench_push(metrics);
  return 0;
}
