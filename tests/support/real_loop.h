#pragma once

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <utility>

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::test {

/// The real loop, run until something has happened or a deadline has passed. For tests with sockets
/// and processes.
class RealLoop {
 public:
  RealLoop() {
    auto made = EpollReactor::create();
    if (!made) std::abort();
    loop_ = std::move(made).value();
    loop_->observe_turns([this](Duration, Duration) {
      const Duration cpu = cpu_time();
      longest_turn_ = std::max(longest_turn_, cpu - turn_began_);
      turn_began_ = cpu;
      ++turns_;
      if (until_ && until_()) loop_->stop();
    });
    forget_lag();
  }

  Reactor& reactor() { return *loop_; }
  EpollReactor& epoll() { return *loop_; }
  /// True when `happened` said so after some turn; false when `limit` passed first.
  bool run_until(std::function<bool()> happened, Duration limit = std::chrono::seconds(10)) {
    if (happened()) return true;
    until_ = std::move(happened);
    bool in_time = true;
    const Watch timer = loop_->after(limit, [&] {
      in_time = false;
      loop_->stop();
    });
    loop_->run();
    const bool result = in_time || until_();
    until_ = nullptr;
    return result;
  }
  /// Lets the loop turn for a while. Only to see that something does *not* happen.
  void run_for(Duration d) {
    run_until([] { return false; }, d);
  }

  /// What would make the loop late, measured so that a busy machine does not disturb it. Since
  /// forget_lag():
  struct Lag {
    Duration longest_turn;  ///< in CPU time: work done in one go
    long blocked;  ///< how often a turn gave up the CPU by itself: slept, joined, waited for a lock
  };
  [[nodiscard]] Lag lag() const {
    return {longest_turn_, voluntary_switches() - switches_ - turns_};
  }
  void forget_lag() {
    longest_turn_ = Duration(0);
    turn_began_ = cpu_time();
    switches_ = voluntary_switches();
    turns_ = 0;
  }

 private:
  std::unique_ptr<EpollReactor> loop_;
  static Duration cpu_time() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }
  static long voluntary_switches() {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
  }

  std::function<bool()> until_;
  Duration longest_turn_{0};
  Duration turn_began_{0};
  long switches_ = 0;
  long turns_ = 0;  // each waits once
};

}  // namespace containerpilot::test
