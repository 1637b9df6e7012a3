#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace containerpilot::telemetry {

/// What is read of a file at most.
inline constexpr std::size_t kMostRead = 1024 * 1024;
/// A small file of /proc or of a cgroup, or the beginning of a large one; nullopt when it cannot be
/// read. Never blocks for long: the kernel makes the text.
std::optional<std::string> read_small_file(const std::string& path);

/// The fields of /proc/PID/stat that we use. Source: proc(5).
struct ProcessStat {
  pid_t parent = 0;
  double cpu_seconds = 0;           ///< user and system
  double children_cpu_seconds = 0;  ///< of children that were waited for
  std::uint64_t threads = 0;
  double start_after_boot_seconds = 0;
  double virtual_bytes = 0;
  double resident_bytes = 0;
};
/// The command between the brackets may hold anything, also ") R 1".
std::optional<ProcessStat> parse_process_stat(std::string_view text);
std::optional<ProcessStat> read_process_stat(pid_t pid);
/// How many file descriptors the process has open.
std::optional<std::uint64_t> count_fds(pid_t pid);

}  // namespace containerpilot::telemetry
