#include "on_demand.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {
constexpr Duration kPatience = 100ms;
/// At most such a part of the loop's time goes into it, however often it is asked for.
constexpr int kShare = 100;
constexpr Duration kMaxPause = 1s;
}  // namespace

OnDemand::OnDemand(Reactor& reactor, std::function<void()> work)
    : reactor_(reactor), work_(std::move(work)) {}

void OnDemand::run() {
  // Real time on purpose: the threads that ask know nothing of the loop's clock.
  const auto start = std::chrono::steady_clock::now();
  work_();
  const auto end = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    stale_ = false;  // not before it is done: who looks meanwhile waits for it
    asked_ = false;
    not_before_ = end + std::min<Duration>((end - start) * kShare, kMaxPause);
  }
  done_.notify_all();
}

void OnDemand::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  done_.notify_all();
}

void OnDemand::refresh() {
  if (!stale_) return;
  std::unique_lock lock(mutex_);
  if (!asked_ && !closed_ && std::chrono::steady_clock::now() >= not_before_) {
    asked_ = true;
    reactor_.post([this] { run(); });
  }
  if (asked_) done_.wait_for(lock, kPatience, [this] { return !asked_ || closed_; });
}

}  // namespace containerpilot::agent
