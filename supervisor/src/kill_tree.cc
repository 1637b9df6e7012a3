#include "kill_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::detail {

namespace {

// A tree that still grows after this many looks forks faster than we read; it is killed as known.
constexpr int kMaxLooks = 16;

struct Entry {
  pid_t pid = 0;
  char state = '?';
  pid_t parent = 0;
  pid_t group = 0;
  std::uint64_t started = 0;
};

std::string read_proc(pid_t pid, const char* name, std::size_t limit) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> buffer;
  while (fd.valid() && text.size() < limit) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

std::optional<Entry> read_entry(pid_t pid) {
  const std::string stat = read_proc(pid, "stat", 4096);
  const std::size_t name_end = stat.rfind(')');  // a program may be called "a) b"
  if (name_end == stat.npos) return std::nullopt;
  // proc(5): state is field 3, then ppid, pgrp, …; starttime is field 22.
  std::array<std::uint64_t, 23> field{};
  Entry entry{.pid = pid};
  std::size_t number = 3;
  for (std::size_t at = name_end + 2; at < stat.size() && number < field.size(); ++number) {
    const std::size_t end = std::min(stat.find(' ', at), stat.size());
    if (number == 3) entry.state = stat[at];
    std::from_chars(stat.data() + at, stat.data() + end, field[number]);
    at = end + 1;
  }
  entry.parent = static_cast<pid_t>(field[4]);
  entry.group = static_cast<pid_t>(field[5]);
  entry.started = field[22];
  return entry;
}

std::vector<Entry> read_all() {
  std::vector<Entry> entries;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return entries;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this DIR
  while (const dirent* item = ::readdir(proc.get())) {
    const std::string_view name = item->d_name;
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc() || pid <= 0) continue;
    if (auto entry = read_entry(pid)) entries.push_back(*entry);
  }
  return entries;
}

bool has_marker(pid_t pid, std::string_view marker) {
  const std::string environment = std::string(1, '\0') + read_proc(pid, "environ", 1024 * 1024);
  return environment.find(std::string(1, '\0') + std::string(marker)) != environment.npos;
}

std::vector<pid_t> children_of_ours() {
  const pid_t self = ::getpid();
  std::vector<pid_t> children;
  // Who is adopted gets the main thread as parent. Kernels built without this list give nothing.
  const std::string task = "task/" + std::to_string(self);
  if (::access(("/proc/self/" + task + "/children").c_str(), R_OK) == 0) {
    const std::string list = read_proc(self, (task + "/children").c_str(), 16 * 1024 * 1024);
    for (std::size_t at = 0; at < list.size(); at = std::min(list.find(' ', at), list.size()) + 1) {
      pid_t pid = 0;
      std::from_chars(list.data() + at, list.data() + list.size(), pid);
      if (pid > 0) children.push_back(pid);
    }
    return children;
  }
  for (const Entry& entry : read_all()) {
    if (entry.parent == self) children.push_back(entry.pid);
  }
  return children;
}

/// The living among them; the leader itself is not part.
std::vector<Entry> find_tree(pid_t leader, std::string_view marker) {
  const std::vector<Entry> all = read_all();
  std::unordered_map<pid_t, std::vector<const Entry*>> children;
  std::unordered_set<pid_t> seen = {leader};
  std::vector<pid_t> to_visit = {leader};
  std::vector<Entry> tree;
  const auto add = [&](const Entry& entry) {
    if (!seen.insert(entry.pid).second) return;
    to_visit.push_back(entry.pid);
    if (entry.state != 'Z' && entry.state != 'X') tree.push_back(entry);
  };
  const pid_t self = ::getpid();
  for (const Entry& entry : all) {
    children[entry.parent].push_back(&entry);
    if (entry.pid == self || entry.pid == leader) continue;
    if (entry.group == leader) add(entry);
    if (entry.parent == self && entry.state != 'Z' && has_marker(entry.pid, marker)) add(entry);
  }
  while (!to_visit.empty()) {
    const pid_t parent = to_visit.back();
    to_visit.pop_back();
    for (const Entry* child : children[parent]) add(*child);
  }
  return tree;
}

/// Holds on to the process itself, so that a reused pid is never hit.
class Target {
 public:
  explicit Target(const Entry& entry)
      : pid_(entry.pid), fd_(static_cast<int>(::syscall(SYS_pidfd_open, entry.pid, 0))) {
    const auto now = read_entry(pid_);
    if (!now || now->started != entry.started) pid_ = 0;
  }
  void signal(int signo) const {
    if (pid_ == 0) return;
    if (fd_.valid()) {
      ::syscall(SYS_pidfd_send_signal, fd_.get(), signo, nullptr, 0);
    } else {
      ::kill(pid_, signo);
    }
  }

 private:
  pid_t pid_;
  UniqueFd fd_;
};

}  // namespace

bool belongs_to(pid_t pid, pid_t leader, std::string_view marker) {
  constexpr int kMaxDepth = 64;
  pid_t ancestor = pid;
  for (int depth = 0; depth < kMaxDepth && ancestor > 1; ++depth) {
    if (ancestor == leader) return true;
    const auto entry = read_entry(ancestor);
    if (!entry) return false;
    if (entry->group == leader) return true;
    ancestor = entry->parent;
  }
  return has_marker(pid, marker);
}

bool signal_adopted(std::string_view marker, const std::function<bool(pid_t)>& is_own, int signo,
                    pid_t spared) {
  std::vector<pid_t> adopted = children_of_ours();
  std::erase_if(adopted, [&](pid_t pid) { return is_own(pid) || !has_marker(pid, marker); });
  bool any = false;
  for (const pid_t pid : adopted) {
    std::vector<Entry> family = find_tree(pid, marker);
    if (const auto self = read_entry(pid)) family.push_back(*self);
    for (const Entry& entry : family) {
      if (entry.state == 'Z' || entry.state == 'X') continue;
      any = true;
      if (signo != 0 && entry.group != spared) Target(entry).signal(signo);
    }
  }
  return any;
}

void kill_descendants(pid_t leader, std::string_view marker) {
  ::kill(leader, SIGSTOP);
  std::unordered_set<pid_t> known;
  std::vector<Target> targets;
  for (int look = 0; look < kMaxLooks; ++look) {
    bool grown = false;
    for (const Entry& entry : find_tree(leader, marker)) {
      if (!known.insert(entry.pid).second) continue;
      grown = true;
      targets.emplace_back(entry).signal(SIGSTOP);
    }
    if (!grown) break;
  }
  for (const Target& target : targets) target.signal(SIGKILL);
  ::kill(-leader, SIGKILL);
  ::kill(leader, SIGKILL);
}

}  // namespace containerpilot::detail
