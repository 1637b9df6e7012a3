#pragma once

#include <signal.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "containerpilot/supervisor/result.h"

namespace containerpilot {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// Wall time: for stamps people read and for cron schedules only. Elapsed time is always TimePoint.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// A registration. Destroying it cancels; moving it moves the registration.
class [[nodiscard]] Watch {
 public:
  Watch() = default;
  explicit Watch(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  Watch(Watch&& o) noexcept : cancel_(std::exchange(o.cancel_, nullptr)) {}
  Watch& operator=(Watch&& o) noexcept {
    const Watch old(std::move(*this));
    cancel_ = std::exchange(o.cancel_, nullptr);
    return *this;
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() {
    if (cancel_) cancel_();
  }
  [[nodiscard]] bool active() const { return static_cast<bool>(cancel_); }

 private:
  std::function<void()> cancel_;
};

/// The one loop that decides. Everything but post() is for the loop's thread only.
///
/// A turn runs signals, then child exits, then posted functions, then I/O (10 ms of it: the rest
/// goes first in the next turn), then timers: a job that finished in time is never timed out by a
/// timer that became due in the same turn. Equal deadlines fire in the order they were set. A
/// callback may cancel anything, itself included. Callbacks are never run from inside the call that
/// registers them.
class Reactor {
 public:
  Reactor() = default;
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  virtual ~Reactor() = default;

  /// Monotonic; constant within one turn.
  [[nodiscard]] virtual TimePoint now() const = 0;
  /// Wall clock, read at the start of the turn.
  [[nodiscard]] virtual WallTime wall_now() const = 0;
  /// Runs `fn` once, in the first turn at or after `when`.
  virtual Watch at(TimePoint when, std::function<void()> fn) = 0;
  /// `events` are EPOLLIN, EPOLLOUT, …, level triggered; `fn` gets what epoll reported, or EPOLLERR
  /// once if the fd cannot be waited for. A second registration of an fd replaces the first, so
  /// that `watch = on_fd(fd, other_events, …)` is fine. Drop the watch before closing the fd.
  virtual Watch on_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> fn) = 0;
  /// The signal must be blocked in every thread (block_signals() in the first lines of main).
  virtual Watch on_signal(int signo, std::function<void(const siginfo_t&)> fn) = 0;
  /// Any thread; runs in the next turn, in order.
  virtual void post(std::function<void()> fn) = 0;

  Watch after(Duration d, std::function<void()> fn) { return at(now() + d, std::move(fn)); }
};

/// What the loop measured of itself; cumulative since it was made. Times in seconds.
struct LoopStats {
  std::uint64_t turns = 0;
  double busy_seconds = 0;  ///< sum of turn durations, waiting not counted
  double longest_turn_seconds = 0;
  double timer_lag_seconds = 0;  ///< sum over timers of (fired - due)
  std::uint64_t timers_fired = 0;
  double worst_timer_lag_seconds = 0;
  std::size_t timers_set = 0;  ///< now
};

/// The real loop: epoll, one timerfd over a timer heap, one signalfd, one eventfd.
class EpollReactor : public Reactor {
 public:
  /// Called after every turn with its duration and with how late its first timer was; for
  /// histograms.
  using TurnObserver = std::function<void(Duration busy, Duration lag)>;

  static Result<std::unique_ptr<EpollReactor>> create();

  /// Turns until stop(). May be called again after it returned.
  virtual void run() = 0;
  /// Any thread; the turn under way is completed.
  virtual void stop() = 0;
  [[nodiscard]] virtual LoopStats stats() const = 0;
  virtual void observe_turns(TurnObserver observer) = 0;
};

/// Blocks what the agent handles (HUP INT TERM QUIT USR1 USR2 CHLD) in this thread and all it
/// starts, undoes what was inherited as ignored of these, keeps out all others that do not tell of
/// a fault (ALRM, XFSZ, the real-time ones, ...), ignores PIPE, and opens /dev/null where stdin,
/// stdout or stderr is closed. First call of main, before any thread exists.
void block_signals();

}  // namespace containerpilot
