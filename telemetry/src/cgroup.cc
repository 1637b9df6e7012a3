#include "cgroup.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "proc.h"

namespace containerpilot::telemetry {
namespace {

constexpr double kMicro = 1e-6;
constexpr double kNano = 1e-9;
/// v1 says "no limit" with the largest multiple of a page that fits; nobody has an exabyte.
constexpr double kNoLimitV1 = 1e18;

std::string_view next_line(std::string_view& text) {
  const auto end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return line;
}

std::string_view next_word(std::string_view& line) {
  const auto start = line.find_first_not_of(" \t");
  if (start == std::string_view::npos) return line = {};
  line.remove_prefix(start);
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc() && end != text.data() ? std::optional(value) : std::nullopt;
}

/// The first number of a file; nullopt for "max" and for a file that is not there.
std::optional<double> read_number(const std::string& path) {
  const auto text = path.empty() ? std::nullopt : read_small_file(path);
  if (!text) return std::nullopt;
  std::string_view line = *text;
  return number(next_word(line));
}

/// Lines of "key value"; all of them count something.
std::map<std::string, double, std::less<>> read_flat(const std::string& path) {
  std::map<std::string, double, std::less<>> values;
  const auto text = path.empty() ? std::nullopt : read_small_file(path);
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  while (!rest.empty()) {
    std::string_view line = next_line(rest);
    const std::string_view key = next_word(line);
    if (const auto value = number(next_word(line)); value && *value >= 0)
      values.emplace(key, *value);
  }
  return values;
}

void add(Parsed& parsed, std::string_view name, double value, MetricType type, Labels labels = {}) {
  Sample sample;
  sample.name = "containerpilot_cgroup_" + std::string(name);
  sample.labels = std::move(labels);
  sample.value = value;
  sample.type = type;
  sample.total = type == MetricType::kCounter;
  parsed.samples.push_back(std::move(sample));
}
void gauge(Parsed& parsed, std::string_view name, double value) {
  add(parsed, name, value, MetricType::kGauge);
}
void counter(Parsed& parsed, std::string_view name, double value, Labels labels = {}) {
  add(parsed, name, value, MetricType::kCounter, std::move(labels));
}

bool is_folder(const std::string& path) { return ::access((path + "/.").c_str(), F_OK) == 0; }

/// Below `mount`, where `path` says; the mount itself where a container sees only its own part.
std::string folder_of(const std::string& mount, const std::string& path) {
  return path.size() > 1 && is_folder(mount + path) ? mount + path : mount;
}

}  // namespace

std::string cgroup_path_of(std::string_view text, std::string_view controller) {
  while (!text.empty()) {
    std::string_view line = next_line(text);
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view controllers = line.substr(first + 1, second - first - 1);
    std::string path(line.substr(second + 1));
    if (controllers.empty() && controller.empty()) return path;
    while (!controllers.empty() && !controller.empty()) {
      const std::string_view one = controllers.substr(0, controllers.find(','));
      if (one == controller) return path;
      controllers.remove_prefix(std::min(one.size() + 1, controllers.size()));
    }
  }
  return {};
}

CgroupReader::CgroupReader(CgroupSource source) : source_(std::move(source)) {
  const bool own = source_.root == CgroupSource().root;
  const std::string self = own ? read_small_file("/proc/self/cgroup").value_or("") : "";
  const auto file_there = [](const std::string& path) { return ::access(path.c_str(), F_OK) == 0; };
  for (const std::string& mount : {source_.root, source_.root + "/unified"}) {
    if (v2_folder_.empty() && file_there(mount + "/cgroup.controllers")) {
      v2_folder_ = folder_of(mount, cgroup_path_of(self, ""));
    }
  }
  for (const char* controller : {"cpu", "cpuacct", "memory", "pids", "blkio"}) {
    const std::string mount = source_.root + "/" + controller;
    if (is_folder(mount))
      v1_folders_[controller] = folder_of(mount, cgroup_path_of(self, controller));
  }
}

std::string CgroupReader::v2(const std::string& file) const {
  return v2_folder_.empty() ? std::string() : v2_folder_ + "/" + file;
}

std::string CgroupReader::v1(const std::string& controller, const std::string& file) const {
  const auto found = v1_folders_.find(controller);
  return found == v1_folders_.end() ? std::string() : found->second + "/" + file;
}

Parsed CgroupReader::read(TimePoint now) {
  Parsed parsed;
  for (const std::string& group : source_.groups) {
    const std::size_t before = parsed.samples.size();
    if (group == "cpu") read_cpu(parsed, now);
    if (group == "memory") read_memory(parsed);
    if (group == "pids") read_pids(parsed);
    const bool no_lines = group == "io" && read_io(parsed);
    if (group == "pressure") read_pressure(parsed);
    if (parsed.samples.size() == before && !no_lines) {
      parsed.add_error("cannot find '" + group + "' of a control group below '" + source_.root +
                       "'");
    }
  }
  return parsed;
}

void CgroupReader::add_cpu_ratio(Parsed& parsed, double usage, double cores, TimePoint now) {
  const double elapsed = std::chrono::duration<double>(now - last_read_).count();
  if (last_usage_ >= 0 && elapsed > 0 && usage >= last_usage_) {
    gauge(parsed, "cpu_used_ratio", (usage - last_usage_) / elapsed / cores);
  }
  last_usage_ = usage;
  last_read_ = now;
}

void CgroupReader::read_cpu(Parsed& parsed, TimePoint now) {
  std::optional<double> usage, cores;
  Values stat = read_flat(v2("cpu.stat"));
  if (const auto found = stat.find("usage_usec"); found != stat.end()) {
    usage = found->second * kMicro;
  } else if (const auto nanoseconds = read_number(v1("cpuacct", "cpuacct.usage"))) {
    usage = *nanoseconds * kNano;
  }
  // On a hybrid host the unified tree counts the time, but the limit is with the old controller.
  stat.merge(read_flat(v1("cpu", "cpu.stat")));
  if (const auto text = v2_folder_.empty() ? std::nullopt : read_small_file(v2("cpu.max"))) {
    std::string_view line = *text;
    const auto quota = number(next_word(line));
    const auto period = number(next_word(line));
    if (quota && period && *period > 0) cores = *quota / *period;
  } else {
    const auto quota = read_number(v1("cpu", "cpu.cfs_quota_us"));
    const auto period = read_number(v1("cpu", "cpu.cfs_period_us"));
    if (quota && period && *quota > 0 && *period > 0) cores = *quota / *period;
  }
  if (usage) counter(parsed, "cpu_usage_seconds_total", *usage);
  for (const auto& [key, name, unit] :
       {std::tuple{"user_usec", "cpu_user_seconds_total", kMicro},
        std::tuple{"system_usec", "cpu_system_seconds_total", kMicro},
        std::tuple{"nr_periods", "cpu_periods_total", 1.0},
        std::tuple{"nr_throttled", "cpu_throttled_periods_total", 1.0},
        std::tuple{"throttled_usec", "cpu_throttled_seconds_total", kMicro},
        std::tuple{"throttled_time", "cpu_throttled_seconds_total", kNano}}) {
    if (const auto found = stat.find(key); found != stat.end())
      counter(parsed, name, found->second * unit);
  }
  if (cores) gauge(parsed, "cpu_limit_cores", *cores);
  if (cores && usage) add_cpu_ratio(parsed, *usage, *cores, now);
}

void CgroupReader::read_memory(Parsed& parsed) {
  auto current = read_number(v2("memory.current"));
  std::optional<double> limit, high, inactive;
  if (current) {
    limit = read_number(v2("memory.max"));
    high = read_number(v2("memory.high"));
    const Values stat = read_flat(v2("memory.stat"));
    if (const auto found = stat.find("inactive_file"); found != stat.end())
      inactive = found->second;
    for (const auto& [event, count] : read_flat(v2("memory.events"))) {
      counter(parsed, "memory_events_total", count, {{"event", event}});
    }
    if (const auto swap = read_number(v2("memory.swap.current")))
      gauge(parsed, "memory_swap_bytes", *swap);
  } else {
    current = read_number(v1("memory", "memory.usage_in_bytes"));
    limit = read_number(v1("memory", "memory.limit_in_bytes"));
    if (limit && *limit >= kNoLimitV1) limit.reset();
    const Values stat = read_flat(v1("memory", "memory.stat"));
    if (const auto found = stat.find("total_inactive_file"); found != stat.end())
      inactive = found->second;
    if (const auto failed = read_number(v1("memory", "memory.failcnt"))) {
      counter(parsed, "memory_events_total", *failed, {{"event", "max"}});
    }
    const Values oom = read_flat(v1("memory", "memory.oom_control"));
    if (const auto found = oom.find("oom_kill"); found != oom.end()) {
      counter(parsed, "memory_events_total", found->second, {{"event", "oom_kill"}});
    }
  }
  if (!current) return;
  gauge(parsed, "memory_usage_bytes", *current);
  // What cannot be reclaimed at once; the kubelet calls it the working set and evicts by it.
  const double working_set = *current - std::min(inactive.value_or(0), *current);
  gauge(parsed, "memory_working_set_bytes", working_set);
  if (high) gauge(parsed, "memory_high_bytes", *high);
  if (limit) {
    gauge(parsed, "memory_limit_bytes", *limit);
    if (*limit > 0) gauge(parsed, "memory_used_ratio", working_set / *limit);
  }
}

void CgroupReader::read_pids(Parsed& parsed) {
  auto current = read_number(v2("pids.current"));
  const bool in_v2 = current.has_value();
  if (!in_v2) current = read_number(v1("pids", "pids.current"));
  const auto limit = read_number(in_v2 ? v2("pids.max") : v1("pids", "pids.max"));
  if (current) gauge(parsed, "pids", *current);
  if (current && limit) gauge(parsed, "pids_limit", *limit);
}

bool CgroupReader::read_io(Parsed& parsed) {
  if (const auto text = v2_folder_.empty() ? std::nullopt : read_small_file(v2("io.stat"))) {
    std::string_view rest = *text;
    while (!rest.empty()) {
      std::string_view line = next_line(rest);
      const std::string device(next_word(line));
      for (std::string_view field = next_word(line); !field.empty(); field = next_word(line)) {
        const auto equals = field.find('=');
        const auto value =
            equals == std::string_view::npos ? std::nullopt : number(field.substr(equals + 1));
        if (!value) continue;
        const std::string_view key = field.substr(0, equals);
        for (const auto& [from, to] :
             {std::pair{"rbytes", "io_read_bytes_total"},
              std::pair{"wbytes", "io_written_bytes_total"}, std::pair{"rios", "io_reads_total"},
              std::pair{"wios", "io_writes_total"}}) {
          if (key == from) counter(parsed, to, *value, {{"device", device}});
        }
      }
    }
    return true;
  }
  bool found = false;
  for (const auto& [file, read, written] :
       {std::tuple{"blkio.throttle.io_service_bytes", "io_read_bytes_total",
                   "io_written_bytes_total"},
        std::tuple{"blkio.throttle.io_serviced", "io_reads_total", "io_writes_total"}}) {
    auto text = read_small_file(v1("blkio", std::string(file) + "_recursive"));
    if (!text) text = read_small_file(v1("blkio", file));
    found = found || text.has_value();
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    while (!rest.empty()) {
      std::string_view line = next_line(rest);
      const std::string device(next_word(line));
      const std::string_view kind = next_word(line);
      const auto value = number(next_word(line));
      if (!value || (kind != "Read" && kind != "Write")) continue;
      counter(parsed, kind == "Read" ? read : written, *value, {{"device", device}});
    }
  }
  return found;
}

void CgroupReader::read_pressure(Parsed& parsed) {
  for (const char* resource : {"cpu", "memory", "io"}) {
    const std::string file = v2(std::string(resource) + ".pressure");
    const auto text = file.empty() ? std::nullopt : read_small_file(file);
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    while (!rest.empty()) {
      std::string_view line = next_line(rest);
      const std::string_view kind = next_word(line);
      const auto at = line.find("total=");
      const auto total = at == std::string_view::npos ? std::nullopt : number(line.substr(at + 6));
      if (!total) continue;
      counter(parsed,
              kind == "some" ? "pressure_waiting_seconds_total" : "pressure_stalled_seconds_total",
              *total * kMicro, {{"resource", resource}});
    }
  }
}

}  // namespace containerpilot::telemetry
