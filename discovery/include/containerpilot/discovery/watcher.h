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

/// A difference between two answers: an instance came, went, or is not what it was (address, port,
/// tags, meta). One that changed is in both `added` and `removed`.
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
  std::string last_error;  ///< empty after a good answer
  Duration staleness{0};   ///< how late a change may be seen while all is well; 0: at once
};

/// Watches services and tells of every change the moment the catalog does. Watches on one service
/// and datacenter share a query; tags are filtered here unless all of them want the same. As many
/// queries wait at the catalog as it allows, those that changed last; the others are asked every
/// kPollInterval in turn. A catalog that cannot hold answers back is asked every
/// WatchSpec::interval. Failures are retried with jittered back-off and keep the last known list.
/// Loop thread only.
class Watcher {
 public:
  static constexpr Duration kPollInterval = std::chrono::milliseconds(9500);

  /// First answer: only called when it has instances (spec v3, section 5.4). May call set().
  using OnChange = std::function<void(const Change&)>;
  /// With `catalog` null only DNS watches work.
  Watcher(Reactor& reactor, Catalog* catalog, Resolver& resolver, OnChange on_change);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  /// Replaces the set; watches that stay keep their state and their query.
  void set(const std::vector<WatchSpec>& watches);
  /// Those with WatchSpec::paused_in_maintenance tell of nothing until the end of the pause, and
  /// then of what is not as it was before.
  void pause(bool on);
  [[nodiscard]] std::vector<WatchState> states() const;
  /// Of the catalog's watches; DNS is none of the catalog's business.
  void observe_calls(CallObserver observer);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace containerpilot::discovery
