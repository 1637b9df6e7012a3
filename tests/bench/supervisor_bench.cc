// What a run, an orphan and a line of output cost the agent, each beside the floor: the least a
// program doing the same physical work needs on this machine, now. Compare within one run only.

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/line_reader.h"
#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"
#include "support/temp_dir.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using Seconds = std::chrono::duration<double>;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Wall and own CPU time since it was made.
class Stopwatch {
 public:
  [[nodiscard]] double wall() const {
    return Seconds(std::chrono::steady_clock::now() - start_).count();
  }
  [[nodiscard]] double cpu() const { return cpu_seconds() - cpu_; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double cpu_ = cpu_seconds();
};

void row(const std::string& what, double per_second, double cpu_microseconds,
         const std::string& note = {}) {
  std::printf("%-44s %12.0f /s %9.2f us CPU  %s\n", what.c_str(), per_second, cpu_microseconds,
              note.c_str());
  std::fflush(stdout);
}

struct Agent {
  std::unique_ptr<EpollReactor> loop = EpollReactor::create().value();
  std::unique_ptr<Launcher> launcher = make_launcher(*loop).value();
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin"};
};

void bench_spawn_floor(int runs) {
  const Stopwatch watch;
  char name[] = "/bin/true";
  char* const argv[] = {name, nullptr};
  for (int i = 0; i < runs; ++i) {
    pid_t pid = 0;
    ::posix_spawn(&pid, name, nullptr, nullptr, argv, environ);
    ::waitpid(pid, nullptr, 0);
  }
  row("runs one after the other, floor", runs / watch.wall(), watch.cpu() / runs * 1e6);
}

void bench_runs(const char* what, int runs, int at_once, const ProcessSpec& spec, bool own_cgroup) {
  Agent agent;
  int started = 0;
  int ended = 0;
  std::function<void()> start = [&] {
    ++started;
    auto handle = std::make_shared<std::unique_ptr<Process>>();
    auto process = agent.launcher->start(
        {.spec = spec, .environment = agent.environment, .name = "bench", .own_cgroup = own_cgroup},
        [&, handle](ExitStatus) {
          handle->reset();
          if (started < runs) start();
          if (++ended == runs) agent.loop->stop();
        });
    if (process) *handle = std::move(process).value();
  };
  const Stopwatch watch;
  for (int i = 0; i < at_once; ++i) start();
  agent.loop->run();
  row(what, runs / watch.wall(), watch.cpu() / runs * 1e6);
}

// What 200 interval jobs at 100 ms ask of loop and launcher; phases are spread as the engine
// spreads them.
void bench_intervals() {
  constexpr int kJobs = 200;
  constexpr Duration kInterval = 100ms;
  Agent agent;
  struct Job {
    Watch timer;
    std::unique_ptr<Process> process;
    bool running = false;
    TimePoint due;
  };
  std::vector<Job> jobs(kJobs);
  const ProcessSpec spec{.argv = {"/bin/true"}};
  int runs = 0;
  std::vector<double> lateness;
  std::function<void(Job&)> tick = [&](Job& job) {
    lateness.push_back(Seconds(std::chrono::steady_clock::now() - job.due).count());
    if (!job.running) {
      auto process = agent.launcher->start(
          {.spec = spec, .environment = agent.environment, .name = "bench"}, [&](ExitStatus) {
            ++runs;
            job.running = false;
          });
      job.running = process.has_value();
      if (process) job.process = std::move(process).value();
    }
    job.due += kInterval;
    while (job.due < agent.loop->now()) job.due += kInterval;
    job.timer = agent.loop->at(job.due, [&] { tick(job); });
  };
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    Job& job = jobs[i];
    job.due = agent.loop->now() + kInterval * static_cast<long>(i) / kJobs;
    job.timer = agent.loop->at(job.due, [&] { tick(job); });
  }
  const Watch end = agent.loop->after(5s, [&] { agent.loop->stop(); });
  const Stopwatch watch;
  agent.loop->run();
  std::sort(lateness.begin(), lateness.end());
  const auto quantile = [&](double q) {
    return lateness[static_cast<std::size_t>(q * static_cast<double>(lateness.size() - 1))] * 1e3;
  };
  std::array<char, 80> note;
  std::snprintf(note.data(), note.size(), "late p50 %.2f p99 %.2f ms", quantile(0.5),
                quantile(0.99));
  row("200 jobs every 100 ms", runs / watch.wall(), watch.cpu() / runs * 1e6, note.data());
}

void bench_orphans(int count) {
  Agent agent;
  const ProcessSpec spec{.argv = {"/bin/sh", "-c",
                                  "i=0; while [ $i -lt " + std::to_string(count) +
                                      " ]; do (true &); i=$((i+1)); done"}};
  Watch poll;
  std::function<void()> look = [&] {
    if (agent.launcher->orphans() >= static_cast<std::uint64_t>(count)) agent.loop->stop();
    poll = agent.loop->after(1ms, look);
  };
  look();
  const Stopwatch watch;
  const auto process = agent.launcher->start(
      {.spec = spec, .environment = agent.environment, .name = "bench"}, [](ExitStatus) {});
  agent.loop->run();
  row("orphans", count / watch.wall(), watch.cpu() / count * 1e6);
}

void bench_copy_floor(const std::string& file, int lines) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const Stopwatch watch;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  std::string cat = "/bin/cat";
  std::string path = file;
  char* const argv[] = {cat.data(), path.data(), nullptr};
  pid_t pid = 0;
  ::posix_spawn(&pid, cat.c_str(), &actions, nullptr, argv, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  write_end.reset();
  std::vector<char> buffer(65536);
  for (ssize_t n; (n = ::read(read_end.get(), buffer.data(), buffer.size())) > 0;) {
    if (::write(null.get(), buffer.data(), static_cast<std::size_t>(n)) < 0) break;
  }
  ::waitpid(pid, nullptr, 0);
  row("lines copied unread, floor", lines / watch.wall(), watch.cpu() / lines * 1e6);
}

void bench_lines(const char* what, LogFormat format, const std::string& output,
                 const std::string& file, int lines) {
  if (!configure_log({.format = format, .output = output})) return;
  Agent agent;
  const ProcessSpec spec{.argv = {"/bin/cat", file}};
  const Stopwatch watch;
  auto process = agent.launcher->start(
      {.spec = spec, .environment = agent.environment, .name = "bench"}, [](ExitStatus) {});
  if (!process) return;
  const LineSource source{.job = "bench", .pid = process.value()->pid()};
  int seen = 0;
  const LineReader reader(
      *agent.loop, process.value()->take_stdout(),
      [&](std::string_view line) {
        ++seen;
        log_child_line(source, line);
      },
      [&] { agent.loop->stop(); });
  agent.loop->run();
  flush_log();
  row(what, seen / watch.wall(), watch.cpu() / seen * 1e6,
      seen == lines ? "" : "lines are missing");
  if (!configure_log({})) std::abort();
}

void bench_loop() {
  constexpr int kCount = 1'000'000;
  const auto loop = EpollReactor::create().value();
  {
    int left = kCount;
    std::function<void()> next = [&] {
      if (--left == 0) {
        loop->stop();
      } else {
        loop->post(next);
      }
    };
    loop->post(next);
    const Stopwatch watch;
    loop->run();
    row("turns with one posted function", kCount / watch.wall(), watch.cpu() / kCount * 1e6);
  }
  std::vector<Watch> resting;
  for (int i = 0; i < 10'000; ++i) resting.push_back(loop->after(std::chrono::hours(i), [] {}));
  const Stopwatch watch;
  for (int i = 0; i < kCount; ++i) const Watch timer = loop->after(1min, [] {});
  row("timers set and cancelled among 10,000", kCount / watch.wall(), watch.cpu() / kCount * 1e6);
}

int run(std::string_view only) {
  const test::TempDir dir;
  constexpr int kLines = 1'000'000;
  const std::string file = dir.path() + "/lines";
  const auto wants = [only](std::string_view part) { return only.empty() || only == part; };
  if (wants("runs")) {
    bench_spawn_floor(2000);
    bench_runs("runs one after the other", 2000, 1, {.argv = {"/bin/true"}}, false);
    bench_runs("runs, 50 at once", 5000, 50, {.argv = {"/bin/true"}}, false);
  }
  if (wants("shim")) {
    bench_runs("runs through the shim", 1000, 1, {.argv = {"/bin/true"}, .no_new_privileges = true},
               false);
    bench_runs("runs in a cgroup of their own", 1000, 1, {.argv = {"/bin/true"}}, true);
  }
  if (wants("intervals")) bench_intervals();
  if (wants("orphans")) bench_orphans(1000);
  if (wants("lines")) {
    std::ofstream out(file);
    for (int i = 0; i < kLines; ++i) {
      out << "GET /index.html 200 " << i
          << " the usual hundred bytes of an access log, or nearly so, \"ok\"\n";
    }
    out.close();
    bench_copy_floor(file, kLines);
    bench_lines("lines, default, to /dev/null", LogFormat::kDefault, "/dev/null", file, kLines);
    bench_lines("lines, text, to /dev/null", LogFormat::kText, "/dev/null", file, kLines);
    bench_lines("lines, json, to /dev/null", LogFormat::kJson, "/dev/null", file, kLines);
    bench_lines("lines, default, to a file", LogFormat::kDefault, dir.path() + "/log", file,
                kLines);
  }
  if (wants("loop")) bench_loop();
  return 0;
}

}  // namespace
}  // namespace containerpilot

// supervisor_bench [runs|shim|intervals|orphans|lines|loop]
int main(int argc, char** argv) {
  containerpilot::block_signals();
  containerpilot::run_shim_if_asked(argc, argv);
  return containerpilot::run(argc > 1 ? argv[1] : "");
}
