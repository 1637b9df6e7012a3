#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "containerpilot/discovery/backoff.h"
#include "containerpilot/discovery/catalog.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// Keeps one waiting query on one of our own entries, so that a catalog that restarts empty, or
/// somebody who removes the entry by hand, is noticed at once and not at the next beat. Falls
/// silent where the catalog cannot hold an answer back. Loop thread only.
class Sentinel {
 public:
  /// `on_doubt` runs when our entries should be compared with the catalog's.
  Sentinel(Reactor& reactor, Catalog& catalog, std::function<void()> on_doubt)
      : reactor_(reactor), catalog_(catalog), on_doubt_(std::move(on_doubt)) {}

  /// Guards this registered entry; does nothing if it is guarded already.
  void guard(const std::string& service, const std::string& id);
  void stop();
  /// The catalog went away and came back, perhaps as another version.
  void forget_limits() { useless_ = false; }

 private:
  void ask();
  void hear(TimePoint asked, const Result<Snapshot>& answer);

  Reactor& reactor_;
  Catalog& catalog_;
  std::function<void()> on_doubt_;
  std::string service_, id_;
  std::uint64_t index_ = 0;
  std::optional<Instance> seen_;  ///< our entry in the last answer
  bool seen_any_ = false;         ///< there was an answer
  bool useless_ = false;          ///< answers are not held back here
  Backoff backoff_{std::chrono::seconds(1), std::chrono::seconds(30)};  ///< it cannot answer now
  Watch call_;
  Watch pause_;
  Availability::Call leave_;
};

}  // namespace containerpilot::discovery
