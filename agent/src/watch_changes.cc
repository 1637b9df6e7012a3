#include "watch_changes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <nlohmann/json.hpp>

#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::agent {

namespace {

using Instances = std::vector<discovery::Instance>;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxVariable = 64 * 1024;  // the kernel's limit is twice that

Json to_json(const Instances& instances) {
  Json list = Json::array();
  for (const discovery::Instance& one : instances) {
    list.push_back({{"id", one.id},
                    {"name", one.name},
                    {"address", one.address},
                    {"port", one.port},
                    {"tags", one.tags},
                    {"meta", one.meta}});
  }
  return list;
}

std::string endpoints(const Instances& instances) {
  std::string list;
  for (const discovery::Instance& one : instances) {
    const bool v6 = one.address.find(':') != std::string::npos;
    list += (list.empty() ? "" : " ") + (v6 ? "[" + one.address + "]" : one.address) + ":" +
            std::to_string(one.port);
  }
  return list;
}

std::string make_folder() {
  const char* root = ::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody sets any
  std::string path =
      (root != nullptr && *root != '\0' ? std::string(root) : "/tmp") + "/containerpilot-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return {};
  ::chmod(path.c_str(), 0755);  // jobs may run as other users
  return path;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

WatchChanges::~WatchChanges() {
  for (const std::string& file : files_) ::unlink(file.c_str());
  if (!folder_.empty()) ::rmdir(folder_.c_str());
}

void WatchChanges::remember(EventId event, const discovery::Change& change) {
  if (entries_.size() >= kRemembered) entries_.pop_front();
  entries_.push_back({event, change.watch.name, change.after, change.added, change.removed});
}

// What was there before the first change of a burst against what is there after the last.
WatchChanges::Entry WatchChanges::all_since(EventId since, const Entry& last) const {
  // A watch's "healthy" comes right after its "changed", by which the entry is known.
  const auto first = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.watch == last.watch && entry.event + 1 >= since;
  });
  if (since == 0 || first == entries_.end() || first->event >= last.event) return last;
  const auto without = [](const Instances& all, const Instances& some) {
    Instances rest;
    std::copy_if(all.begin(), all.end(), std::back_inserter(rest), [&some](const auto& one) {
      return std::find(some.begin(), some.end(), one) == some.end();
    });
    return rest;
  };
  Instances before = without(first->healthy, first->added);
  before.insert(before.end(), first->removed.begin(), first->removed.end());
  Entry all = last;
  all.added = without(last.healthy, before);
  all.removed = without(before, last.healthy);
  return all;
}

void WatchChanges::describe(const std::vector<Event>& chain, EventId since,
                            std::vector<std::string>& environment) {
  for (const Event& event : chain) {
    const auto found = std::find_if(entries_.rbegin(), entries_.rend(),
                                    [&event](const Entry& e) { return e.event == event.id; });
    if (found == entries_.rend()) continue;
    const Entry entry = all_since(since, *found);
    environment.push_back("CONTAINERPILOT_WATCH=" + entry.watch);
    const auto add = [&environment](const char* name, const Instances& instances) {
      const std::string list = endpoints(instances);
      if (list.size() <= kMaxVariable) environment.push_back(name + list);
    };
    add("CONTAINERPILOT_WATCH_HEALTHY=", entry.healthy);
    add("CONTAINERPILOT_WATCH_ADDED=", entry.added);
    add("CONTAINERPILOT_WATCH_REMOVED=", entry.removed);
    const std::string file = write_file(entry);
    if (!file.empty()) environment.push_back("CONTAINERPILOT_WATCH_FILE=" + file);
    return;
  }
}

std::string WatchChanges::write_file(const Entry& entry) {
  if (folder_.empty()) folder_ = make_folder();
  std::string name = entry.watch;
  std::replace(name.begin(), name.end(), '/', '_');
  std::string path = folder_ + "/" + name + ".json";
  const std::string next = path + ".next";
  const Json document = {{"watch", entry.watch},
                         {"healthy", to_json(entry.healthy)},
                         {"added", to_json(entry.added)},
                         {"removed", to_json(entry.removed)}};
  bool written = !folder_.empty();
  if (written) {
    const UniqueFd fd(::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    written =
        fd.valid() &&
        write_all(fd.get(), document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  // Under its name it is always whole: a job of an earlier change may read it just now.
  if (written && ::rename(next.c_str(), path.c_str()) == 0) {
    if (std::find(files_.begin(), files_.end(), path) == files_.end()) files_.push_back(path);
    return path;
  }
  if (!std::exchange(warned_, true)) {
    log_warn("discovery", "cannot write what watch '" + entry.watch +
                              "' saw to a file below TMPDIR (else /tmp): its jobs run without "
                              "CONTAINERPILOT_WATCH_FILE");
  }
  if (!folder_.empty()) ::unlink(next.c_str());
  return {};
}

}  // namespace containerpilot::agent
