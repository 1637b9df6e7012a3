#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::test {

/// A loop under a virtual clock: time moves only in advance(), and every turn has the order of the
/// real one (signals, child exits, posted, I/O, timers). Starts at 2026-01-02T03:04:05Z. Nothing is
/// real: file descriptors become ready by trigger(), signals arrive by raise().
class SimReactor : public Reactor {
 public:
  SimReactor();

  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] WallTime wall_now() const override {
    return wall_at_zero_ + now_.time_since_epoch();
  }
  Watch at(TimePoint when, std::function<void()> fn) override;
  Watch on_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> fn) override;
  Watch on_signal(int signo, std::function<void(const siginfo_t&)> fn) override;
  void post(std::function<void()> fn) override;

  /// Moves the clock through every deadline up to now + d, running what is due at each.
  void advance(Duration d);
  /// Runs turns without moving the clock until nothing is due. Does nothing inside a callback.
  void settle();
  /// One turn; false if there was nothing to do.
  bool turn();
  /// The wall clock jumps (NTP, suspend); the monotonic one does not notice.
  void jump_wall(Duration d) { wall_at_zero_ += d; }
  void set_wall(WallTime when) { wall_at_zero_ = when - now_.time_since_epoch(); }

  /// Delivers a signal to every on_signal(signo), then settles.
  void raise(int signo);
  /// `events` happened on `fd`, once; ignored when nobody waits for it. Then settles.
  void trigger(int fd, std::uint32_t events);
  /// For FakeLauncher: runs `fn` in the child-exit part of the first turn at or after `when`.
  Watch exit_at(TimePoint when, std::function<void()> fn);

  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  /// Registrations alive: for "nothing is left behind".
  [[nodiscard]] std::size_t timers() const { return timers_.size(); }
  [[nodiscard]] std::size_t fds() const { return fds_.size(); }
  [[nodiscard]] std::size_t signals() const { return signals_.size(); }
  /// Waited for with these events; 0 when not registered.
  [[nodiscard]] std::uint32_t interest(int fd) const;

 private:
  using Key = std::pair<TimePoint, std::uint64_t>;  // equal deadlines by sequence
  using Timers = std::map<Key, std::function<void()>>;
  Watch add(Timers& timers, TimePoint when, std::function<void()> fn);
  bool run_due(Timers& timers, std::uint64_t until_seq);
  bool run_signals();
  bool run_posted();
  bool run_io();

  struct FdWatch {
    std::uint64_t id;
    std::uint32_t events;
    std::function<void(std::uint32_t)> fn;
  };
  struct SignalWatch {
    int signo;
    std::function<void(const siginfo_t&)> fn;
  };

  TimePoint now_{};
  WallTime wall_at_zero_;
  std::uint64_t next_ = 1;
  bool in_turn_ = false;
  Timers timers_;
  Timers exits_;
  std::map<int, FdWatch> fds_;
  std::map<std::uint64_t, SignalWatch> signals_;
  std::deque<int> raised_;
  std::deque<std::pair<int, std::uint32_t>> ready_;
  mutable std::mutex posted_mutex_;  // the only part other threads may touch
  std::deque<std::function<void()>> posted_;
};

}  // namespace containerpilot::test
