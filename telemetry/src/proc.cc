#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::telemetry {

std::optional<std::string> read_small_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return std::nullopt;
  std::string text;
  std::array<char, 4096> piece;
  while (text.size() < kMostRead) {
    const ssize_t got = ::read(fd.get(), piece.data(), piece.size());
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  // Fields after the command, counted from 0 = state (field 3 of proc(5)).
  constexpr std::size_t kParent = 1, kUser = 11, kSystem = 12, kChildUser = 13, kChildSystem = 14,
                        kThreads = 17, kStart = 19, kVirtual = 20, kResident = 21;
  static const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  static const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  const auto bracket = text.rfind(')');
  if (bracket == std::string_view::npos) return std::nullopt;
  text.remove_prefix(bracket + 1);
  std::array<std::uint64_t, kResident + 1> fields{};
  std::size_t count = 0;
  while (count < fields.size()) {
    const auto start = text.find_first_not_of(" \n");
    if (start == std::string_view::npos) return std::nullopt;
    text.remove_prefix(start);
    const auto end = std::min(text.find_first_of(" \n"), text.size());
    // The state is a letter and some fields may be negative: none of those is used.
    std::from_chars(text.data(), text.data() + end, fields[count]);
    text.remove_prefix(end);
    ++count;
  }
  ProcessStat stat;
  stat.parent = static_cast<pid_t>(fields[kParent]);
  stat.cpu_seconds = static_cast<double>(fields[kUser] + fields[kSystem]) / ticks;
  stat.children_cpu_seconds =
      static_cast<double>(fields[kChildUser] + fields[kChildSystem]) / ticks;
  stat.threads = fields[kThreads];
  stat.start_after_boot_seconds = static_cast<double>(fields[kStart]) / ticks;
  stat.virtual_bytes = static_cast<double>(fields[kVirtual]);
  stat.resident_bytes = static_cast<double>(fields[kResident]) * page;
  return stat;
}

std::optional<ProcessStat> read_process_stat(pid_t pid) {
  const auto text = read_small_file("/proc/" + std::to_string(pid) + "/stat");
  return text ? parse_process_stat(*text) : std::nullopt;
}

std::optional<std::uint64_t> count_fds(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  struct stat folder {};
  if (::stat(path.c_str(), &folder) != 0) return std::nullopt;
  if (folder.st_size > 0) return static_cast<std::uint64_t>(folder.st_size);  // since Linux 6.2
  struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(path.c_str()));
  if (!dir) return std::nullopt;
  std::uint64_t count = 0;
  while (const dirent* entry =
             ::readdir(dir.get())) {  // NOLINT(concurrency-mt-unsafe): our own DIR
    if (entry->d_name[0] != '.') ++count;
  }
  return pid == ::getpid() ? count - 1 : count;  // one was ours, to count
}

}  // namespace containerpilot::telemetry
