// What agent_bench.py compares with: prometheus-cpp's own exposer with that many gauges, as its
// users write it. Usage: plain_exposer SERIES. Writes its port and a newline; each byte on its
// standard input changes all values and is echoed, the end of input ends it.

#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  const int series = argc > 1 ? std::atoi(argv[1]) : 1000;
  prometheus::Exposer exposer("127.0.0.1:0", 2);
  const auto registry = std::make_shared<prometheus::Registry>();
  // One family: the library looks families up one by one, 100,000 of them take minutes.
  auto& family = prometheus::BuildGauge().Name("bench_gauge").Help("A gauge.").Register(*registry);
  std::vector<prometheus::Gauge*> gauges;
  for (int i = 0; i < series; ++i) gauges.push_back(&family.Add({{"number", std::to_string(i)}}));
  exposer.RegisterCollectable(registry);
  std::printf("%d\n", exposer.GetListeningPorts().front());
  std::fflush(stdout);
  double value = 0;
  char go = 0;
  while (::read(STDIN_FILENO, &go, 1) == 1) {
    for (prometheus::Gauge* gauge : gauges) gauge->Set(value += 1.25);
    if (::write(STDOUT_FILENO, &go, 1) != 1) break;
  }
  return 0;
}
