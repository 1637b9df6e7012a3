#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::detail {

/// The only place that waits for children. A child's owner is told while the child is still a
/// zombie, so that neither its pid nor its group id can have been given to somebody else; then it
/// is reaped. Children nobody owns are orphans that came to us: reaped and counted.
class Reaper {
 public:
  /// Wakes up with SIGCHLD, which stands for any number of exits.
  explicit Reaper(Reactor& reactor);
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;
  ~Reaper() = default;

  /// Called between the spawn and the next turn of the loop.
  void own(pid_t pid, std::function<void(ExitStatus)> on_exit) {
    owners_[pid] = std::move(on_exit);
  }
  [[nodiscard]] std::uint64_t orphans() const { return orphans_; }
  [[nodiscard]] bool owns(pid_t pid) const { return owners_.contains(pid); }
  /// Reaps what has ended.
  void collect();

 private:
  std::unordered_map<pid_t, std::function<void(ExitStatus)>> owners_;
  std::uint64_t orphans_ = 0;
  Watch sigchld_;
  Watch first_look_;
};

}  // namespace containerpilot::detail
