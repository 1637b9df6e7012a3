#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::agent {

/// Work of the loop's that only matters when another thread looks at the result: done then, and
/// only if something has changed since it was done last. Costs nothing while nobody looks.
class OnDemand {
 public:
  /// `work` runs on the loop's thread.
  OnDemand(Reactor& reactor, std::function<void()> work);
  ~OnDemand() = default;
  OnDemand(const OnDemand&) = delete;
  OnDemand& operator=(const OnDemand&) = delete;

  /// Loop thread: what was done last is not the truth any more.
  void changed() { stale_ = true; }
  /// Loop thread: does it now, for somebody who may look at once.
  void run();
  /// Loop thread, before it is destroyed: lets everybody go who waits, now and from now on.
  void close();
  /// Any thread but the loop's: returns when the result is the truth. At once when it has cost more
  /// than a hundredth of the time since, and after a tenth of a second whatever the loop does.
  void refresh();

 private:
  Reactor& reactor_;
  const std::function<void()> work_;
  std::atomic<bool> stale_ = true;
  std::mutex mutex_;
  std::condition_variable done_;
  bool asked_ = false;
  bool closed_ = false;
  TimePoint not_before_ = TimePoint::min();
};

}  // namespace containerpilot::agent
