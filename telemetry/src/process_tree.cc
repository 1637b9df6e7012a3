#include "process_tree.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proc.h"

namespace containerpilot::telemetry {
namespace {

constexpr std::size_t kMostProcesses = 1000;

void add_children(pid_t pid, std::vector<pid_t>& out) {
  const std::string id = std::to_string(pid);
  const auto text = read_small_file("/proc/" + id + "/task/" + id + "/children");
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  while (!rest.empty() && out.size() < kMostProcesses) {
    pid_t child = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), child);
    if (ec != std::errc()) return;
    out.push_back(child);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  }
}

}  // namespace

std::optional<Parsed> read_process_tree(pid_t pid, const std::string& job, double& cpu) {
  std::vector<pid_t> pids = {pid};
  double used = 0, resident = 0, threads = 0, count = 0, fds = 0;
  bool fds_known = true;
  for (std::size_t i = 0; i < pids.size(); ++i) {
    const auto stat = read_process_stat(pids[i]);
    if (!stat && i == 0) return std::nullopt;
    if (!stat) continue;
    used += stat->cpu_seconds + stat->children_cpu_seconds;
    resident += stat->resident_bytes;
    threads += static_cast<double>(stat->threads);
    ++count;
    const auto open = count_fds(pids[i]);
    fds_known = fds_known && open.has_value();  // not ours to see: another user's process
    fds += static_cast<double>(open.value_or(0));
    add_children(pids[i], pids);
  }
  cpu = std::max(cpu, used);  // a counter that falls would be taken for one that began anew
  Parsed parsed;
  const auto add = [&](const char* name, double value, MetricType type) {
    Sample sample;
    sample.name = name;
    sample.labels = {{"name", job}};
    sample.value = value;
    sample.type = type;
    sample.total = type == MetricType::kCounter;
    parsed.samples.push_back(std::move(sample));
  };
  add("containerpilot_process_cpu_seconds_total", cpu, MetricType::kCounter);
  add("containerpilot_process_resident_memory_bytes", resident, MetricType::kGauge);
  add("containerpilot_process_threads", threads, MetricType::kGauge);
  add("containerpilot_process_processes", count, MetricType::kGauge);
  if (fds_known) add("containerpilot_process_open_fds", fds, MetricType::kGauge);
  return parsed;
}

}  // namespace containerpilot::telemetry
