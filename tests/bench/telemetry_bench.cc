// What a scrape, a push and a sensor's run cost the agent. Beside a scrape stand prometheus-cpp's
// own exposer with as many gauges, its registry and serializer alone, and Debian's node-exporter.
// Compare within one run only.

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <signal.h>
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
#include "support/free_port.h"
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

double resident_megabytes(pid_t pid = ::getpid()) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
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

/// Another process that serves metrics; each byte written to `go` changes all its values.
struct Peer {
  pid_t pid = -1;
  std::uint16_t port = 0;
  int go = -1, gone = -1;  ///< gone: where it confirms each change
  ~Peer() {
    if (pid <= 0) return;
    ::close(go);
    ::close(gone);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  void change() const {
    char byte = 'c';
    static_cast<void>(!::write(go, &byte, 1));
    static_cast<void>(!::read(gone, &byte, 1));
  }
  [[nodiscard]] double cpu() const {
    clockid_t clock{};
    ::clock_getcpuclockid(pid, &clock);
    return cpu_seconds(clock);
  }
};

/// Forks, with a pipe as standard input and output of the child, which runs `body`.
std::unique_ptr<Peer> fork_peer(const std::function<void()>& body) {
  int in[2], out[2];
  if (::pipe(in) != 0 || ::pipe(out) != 0) return nullptr;
  auto peer = std::make_unique<Peer>();
  peer->pid = ::fork();
  if (peer->pid == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
    body();
    ::_exit(1);
  }
  ::close(in[0]);
  ::close(out[1]);
  peer->go = in[1];
  peer->gone = out[0];
  return peer;
}

void read_port(Peer& peer) {
  std::string line;
  for (char c = 0; ::read(peer.gone, &c, 1) == 1 && c != '\n';) line += c;
  peer.port = static_cast<std::uint16_t>(std::atoi(line.c_str()));
}

std::unique_ptr<Peer> start_ours(int series) {
  auto peer = fork_peer([series] {
    Registry registry;
    Documents documents;
    const auto handles = fill(registry, series);
    double value = 0;
    change_all(handles, value);
    auto server =
        MetricsServer::start({.listen = "127.0.0.1", .port = 0}, registry, documents, nullptr);
    std::printf("%d\n", server.value()->port());
    std::fflush(stdout);
    for (char go = 0; ::read(STDIN_FILENO, &go, 1) == 1;) {
      change_all(handles, value);
      static_cast<void>(!::write(STDOUT_FILENO, &go, 1));
    }
    ::_exit(0);
  });
  read_port(*peer);
  return peer;
}

std::unique_ptr<Peer> start_plain_exposer(const std::string& folder, int series) {
  auto peer = fork_peer([&] {
    ::execl((folder + "/plain_exposer").c_str(), "plain_exposer", std::to_string(series).c_str(),
            nullptr);
  });
  read_port(*peer);
  return peer;
}

/// Debian's; it has about as many series as it likes, and they change by themselves.
std::unique_ptr<Peer> start_node_exporter() {
  const std::uint16_t port = test::free_port();
  auto peer = fork_peer([port] {
    ::close(STDERR_FILENO);
    ::execlp("prometheus-node-exporter", "prometheus-node-exporter",
             ("--web.listen-address=127.0.0.1:" + std::to_string(port)).c_str(), nullptr);
  });
  for (int i = 0; i < 100 && peer->port == 0; ++i) {
    if (get(port, "/metrics").status == 200) peer->port = port;
    ::usleep(50'000);
  }
  return peer;
}

/// CPU of that process per scrape over HTTP, and its memory after them.
void bench_scrape(const std::string& who, const Peer& peer, int rounds, bool change) {
  if (peer.port == 0) return row(who + ": not installed", 0, "");
  double total = 0;
  RawAnswer answer = get(peer.port, "/metrics");
  for (int i = 0; i < rounds; ++i) {
    if (change) peer.change();
    const double before = peer.cpu();
    answer = get(peer.port, "/metrics");
    total += peer.cpu() - before;
    if (answer.status != 200) std::printf("a scrape failed\n");
  }
  const auto samples = std::count(answer.body.begin(), answer.body.end(), '\n');
  row(who, total / rounds * 1e6, "us",
      std::to_string(samples) + " lines, resident " +
          std::to_string(static_cast<int>(resident_megabytes(peer.pid))) + " MB");
}

void bench_scrapes(const std::string& folder) {
  for (const int series : {1000, 100000}) {
    const std::string many = std::to_string(series) + " gauges, scrape over HTTP, ";
    const int rounds = series > 10000 ? 10 : 200;
    const auto ours = start_ours(series);
    bench_scrape(many + "all changed", *ours, rounds, true);
    bench_scrape(many + "nothing changed", *ours, rounds, false);
    const auto plain = start_plain_exposer(folder, series);
    bench_scrape(many + "prometheus-cpp's exposer", *plain, std::min(rounds, 50), true);
  }
  bench_scrape("node-exporter, scrape over HTTP", *start_node_exporter(), 50, false);
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

/// `count` sensors at 1 s on the real loop for a while: files, or commands.
void bench_sensors(int count, bool exec) {
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
    if (exec) {
      spec.source = ProcessSpec{.argv = {"/bin/echo", std::to_string(i)}};
    } else {
      spec.source = FileSource{dir.write(spec.name, std::to_string(i))};
    }
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
  const std::string many = std::to_string(count) + (exec ? " exec" : " file") + " sensors at 1 s: ";
  row(many + "CPU of one run", spent / static_cast<double>(std::max<std::uint64_t>(runs, 1)) * 1e6,
      "us", std::to_string(runs) + " runs");
  row(many + "start-time error, p99", lags[lags.size() * 99 / 100] * 1e3, "ms");
}

}  // namespace
}  // namespace containerpilot::telemetry

int main(int, char** argv) {
  using namespace containerpilot::telemetry;
  containerpilot::block_signals();
  const std::string self = argv[0];
  bench_scrapes(self.substr(0, self.rfind('/') + 1) + ".");
  for (const int series : {1000, 100000}) bench_render(series);
  for (const int metrics : {10, 1000}) bench_push(metrics);
  bench_sensors(1000, false);
  bench_sensors(200, true);
  return 0;
}
