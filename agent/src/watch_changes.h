#pragma once

#include <deque>
#include <string>
#include <vector>

#include "containerpilot/discovery/watcher.h"
#include "containerpilot/supervisor/event_bus.h"

namespace containerpilot::agent {

/// The latest changes that watches saw, for the jobs that run because of them. Such a run finds
///   CONTAINERPILOT_WATCH            the watch's name
///   CONTAINERPILOT_WATCH_HEALTHY    address:port of every healthy instance, separated by spaces
///   CONTAINERPILOT_WATCH_ADDED      the new ones among them
///   CONTAINERPILOT_WATCH_REMOVED    those that are gone
///   CONTAINERPILOT_WATCH_FILE       a JSON file with the same and more:
///     {"watch": NAME, "healthy": [INSTANCE…], "added": […], "removed": […]}
///     INSTANCE: {"id", "name", "address", "port", "tags", "meta"}
/// A list longer than 64 KiB is in the file only. Files are in a folder below TMPDIR (else /tmp)
/// that goes with the agent; where it cannot be written there is no file.
class WatchChanges {
 public:
  static constexpr std::size_t kRemembered = 100;

  WatchChanges() = default;
  WatchChanges(const WatchChanges&) = delete;
  WatchChanges& operator=(const WatchChanges&) = delete;
  ~WatchChanges();

  void remember(EventId event, const discovery::Change& change);
  /// Adds what is known of the first change in `chain`, if there is one; of all that this watch saw
  /// from event `since` on, as one change.
  void describe(const std::vector<Event>& chain, EventId since,
                std::vector<std::string>& environment);

 private:
  struct Entry {
    EventId event = 0;
    std::string watch;
    std::vector<discovery::Instance> healthy, added, removed;
  };
  [[nodiscard]] Entry all_since(EventId since, const Entry& last) const;
  /// Empty if it cannot be written, which is said once.
  std::string write_file(const Entry& entry);

  std::deque<Entry> entries_;
  std::string folder_;
  std::vector<std::string> files_;
  bool warned_ = false;
};

}  // namespace containerpilot::agent
