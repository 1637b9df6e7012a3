// Figures of loading configurations: rendering, parsing and validating 1,000 jobs, and 10 MB texts
// of shapes that catch quadratic behaviour.

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include "containerpilot/agent/config.h"

namespace {

using namespace containerpilot;
using namespace containerpilot::agent;

LoadOptions options() {
  LoadOptions out;
  out.addresses = {{"eth0", "192.0.2.2"}, {"lo", "127.0.0.1"}};
  out.hostname = "host";
  out.environment = {{"JOBS", "1000"}, {"CONSUL", "consul"}};
  return out;
}

/// Best of five, in milliseconds.
double milliseconds(const std::function<void()>& run) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

std::string repeated(const std::string& piece, std::size_t bytes) {
  std::string out;
  out.reserve(bytes + piece.size());
  while (out.size() < bytes) out += piece;
  return out;
}

void measure(const char* what, const std::string& text) {
  const LoadOptions with = options();
  bool accepted = false;
  const double took = milliseconds([&] {
    accepted = load_config({"", text, false}, with).plan.has_value();
  });
  std::printf("%-44s %9.1f ms  %6zu kB  %s\n", what, took, text.size() / 1024,
              accepted ? "accepted" : "refused");
}

}  // namespace

int main() {
  measure(
      "1,000 jobs",
      R"({consul: '{{ .CONSUL | default "localhost" }}:8500', jobs: [{{ range $i := loop .JOBS }}
    { name: 'job-{{ $i }}', exec: ['/bin/app', '--id', '{{ $i }}'], port: {{ $i }}, restarts: 'unlimited',
      tags: ['a', 'b'], health: { exec: '/bin/check --id {{ $i }}', interval: 10, ttl: 25, timeout: '5s' },
      when: { source: 'watch.db', once: 'healthy' } },{{ end }}
    ], watches: [{ name: 'db', interval: 5 }], telemetry: {} })");
  for (const std::size_t megabytes : {1U, 10U}) {
    const std::size_t bytes = megabytes << 20U;
    measure(
        "jobs, as many as fit",
        "{catalog:'none',jobs:[" + repeated("{name:'a',exec:['x','y'],restarts:3},", bytes) + "]}");
    measure("unknown keys", "{catalog:'none'," + repeated("abcdefgh:1,", bytes) + "}");
    std::string distinct = "{catalog:'none',jobs:[{name:'a',env:{";
    for (int i = 0; distinct.size() < bytes; ++i) distinct += "K" + std::to_string(i) + ":'v',";
    measure("distinct keys", distinct + "}}]}");
    measure("open brackets", repeated("[", bytes));
    measure("one string", "{catalog:'" + repeated("x", bytes) + "'}");
    measure("broken elements", "{catalog:'none',jobs:[" + repeated("1,", bytes) + "]}");
    measure("one long line of comment", "/*" + repeated("*", bytes) + "*/{}");
  }
}
