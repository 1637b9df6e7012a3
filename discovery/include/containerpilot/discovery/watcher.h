#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/discovery/catalog.h"
#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// A difference between two answers, by id, address and port.
struct Change {
  const WatchSpec& watch;
  std::vector<Instance> before, after;
  std::vector<Instance> added, removed;
};

struct WatchState {
  WatchSpec watch;
  bool known = false;  ///< false until the first good answer
  std::vector<Instance> instances;
  std::uint64_t changes = 0;
  std::optional<TimePoint> last_answer;
  std::string last_error;
};

/// Watches services and tells of every change the moment the catalog does. Watches on one service
/// and datacenter share a query; tags are filtered here. Failures are retried with jittered
/// back-off and keep the last known list. With `catalog` null only DNS watches work. Loop thread
/// only.
class Watcher {
 public:
  /// First answer: only called when it has instances (spec v3, section 5.4).
  using OnChange = std::function<void(const Change&)>;
  Watcher(Reactor& reactor, Catalog* catalog, Resolver& resolver, OnChange on_change);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// Replaces the set; watches that stay keep their state and their query.
  void set(const std::vector<WatchSpec>& watches);
  [[nodiscard]] std::vector<WatchState> states() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace containerpilot::discovery
