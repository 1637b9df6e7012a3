#include <sys/resource.h>
#include <unistd.h>

#include <ctime>

#include "containerpilot/telemetry/agent_metrics.h"
#include "proc.h"

namespace containerpilot::telemetry {
namespace {

double limit(__rlimit_resource resource) {
  rlimit value{};
  if (::getrlimit(resource, &value) != 0 || value.rlim_cur == RLIM_INFINITY) return -1;
  return static_cast<double>(value.rlim_cur);
}

double now_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

SelfMetrics::SelfMetrics(Registry& registry) {
  declare_agent_metrics(registry);
  const auto series = [&](std::string_view name) {
    auto handle = registry.series(name);
    return handle ? std::move(handle).value() : SeriesHandle();
  };
  cpu_seconds_ = series("process_cpu_seconds_total");
  open_fds_ = series("process_open_fds");
  max_fds_ = series("process_max_fds");
  virtual_bytes_ = series("process_virtual_memory_bytes");
  virtual_max_bytes_ = series("process_virtual_memory_max_bytes");
  resident_bytes_ = series("process_resident_memory_bytes");
  threads_ = series("process_threads");
  if (const auto stat = read_process_stat(::getpid())) {
    const double boot = now_of(CLOCK_REALTIME) - now_of(CLOCK_BOOTTIME);
    static_cast<void>(
        registry.record("process_start_time_seconds", {}, boot + stat->start_after_boot_seconds));
    static_cast<void>(registry.record(kStartTime, {}, boot + stat->start_after_boot_seconds));
  }
}

void SelfMetrics::update(TimePoint now) {
  TimePoint due = read_again_;
  if (now < due || !read_again_.compare_exchange_strong(due, now + kValid)) return;
  static_cast<void>(cpu_seconds_.record_total(now_of(CLOCK_PROCESS_CPUTIME_ID)));
  if (const auto fds = count_fds(::getpid())) {
    static_cast<void>(open_fds_.record(static_cast<double>(*fds)));
  }
  static_cast<void>(max_fds_.record(limit(RLIMIT_NOFILE)));
  static_cast<void>(virtual_max_bytes_.record(limit(RLIMIT_AS)));
  if (const auto stat = read_process_stat(::getpid())) {
    static_cast<void>(virtual_bytes_.record(stat->virtual_bytes));
    static_cast<void>(resident_bytes_.record(stat->resident_bytes));
    static_cast<void>(threads_.record(static_cast<double>(stat->threads)));
  }
}

}  // namespace containerpilot::telemetry
