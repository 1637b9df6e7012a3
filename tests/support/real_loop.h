#pragma once

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
    loop_->observe_turns([this](Duration busy, Duration) {
      longest_turn_ = std::max(longest_turn_, busy);
      if (until_ && until_()) loop_->stop();
    });
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
  /// The longest turn since the last call: how late anything else could have been.
  Duration take_longest_turn() { return std::exchange(longest_turn_, Duration(0)); }

 private:
  std::unique_ptr<EpollReactor> loop_;
  std::function<bool()> until_;
  Duration longest_turn_{0};
};

}  // namespace containerpilot::test
