#include "ticker.h"

#include <algorithm>
#include <random>

namespace containerpilot {

namespace {

/// A random delay in [0, bound).
class Jitter {
 public:
  Jitter(std::minstd_rand& random, Duration bound) : random_(random), bound_(bound) {}
  Duration draw() {
    if (bound_ <= Duration(0)) return Duration(0);
    return Duration(std::uniform_int_distribution<Duration::rep>(0, bound_.count() - 1)(random_));
  }

 private:
  std::minstd_rand& random_;
  const Duration bound_;
};

class IntervalTicker : public Ticker {
 public:
  IntervalTicker(Reactor& reactor, std::minstd_rand& random, const Trigger& trigger, Duration phase,
                 std::function<void()> on_tick)
      : reactor_(reactor),
        interval_(trigger.interval),
        jitter_(random, trigger.jitter),
        on_tick_(std::move(on_tick)),
        due_(reactor.now() + phase) {
    schedule();
  }

  [[nodiscard]] WallTime next() const override {
    return reactor_.wall_now() + (fires_ - reactor_.now());
  }

 private:
  void schedule() {
    due_ += interval_;
    const TimePoint now = reactor_.now();
    if (due_ <= now) due_ = now + interval_ - (now - due_) % interval_;
    fires_ = due_ + jitter_.draw();
    timer_ = reactor_.at(fires_, [this] {
      schedule();
      on_tick_();  // last: it may destroy this
    });
  }

  Reactor& reactor_;
  const Duration interval_;
  Jitter jitter_;
  const std::function<void()> on_tick_;
  TimePoint due_;
  TimePoint fires_{};
  Watch timer_;
};

class ScheduleTicker : public Ticker {
 public:
  ScheduleTicker(Reactor& reactor, std::minstd_rand& random, const Trigger& trigger,
                 std::function<void()> on_tick)
      : reactor_(reactor),
        schedule_(trigger.schedule),
        jitter_(random, trigger.jitter),
        on_tick_(std::move(on_tick)) {
    seen_ = reactor_.wall_now();
    plan_after(seen_);
    sleep();
  }

  [[nodiscard]] WallTime next() const override { return due_; }

 private:
  void plan_after(WallTime when) {
    const auto next = schedule_.next_after(when);
    due_ = next ? *next + jitter_.draw() : WallTime::max();
  }

  void sleep() {
    const Duration left = due_ - reactor_.wall_now();
    timer_ = reactor_.after(std::clamp(left, Duration(0), kClockCheck), [this] { wake(); });
  }

  void wake() {
    const WallTime wall = reactor_.wall_now();
    const bool anew = wall + kNewReckoning <= seen_;
    const bool ticks = wall >= due_;
    seen_ = anew ? wall : std::max(seen_, wall);
    if (ticks || anew) plan_after(seen_);
    sleep();
    if (ticks) on_tick_();  // last: it may destroy this
  }

  Reactor& reactor_;
  const Schedule schedule_;
  Jitter jitter_;
  const std::function<void()> on_tick_;
  WallTime due_{};
  WallTime seen_{};  // the latest the clock has shown
  Watch timer_;
};

}  // namespace

std::unique_ptr<Ticker> make_ticker(Reactor& reactor, std::minstd_rand& random,
                                    const Trigger& trigger, Duration phase,
                                    std::function<void()> on_tick) {
  if (trigger.kind == Trigger::Kind::kSchedule)
    return std::make_unique<ScheduleTicker>(reactor, random, trigger, std::move(on_tick));
  return std::make_unique<IntervalTicker>(reactor, random, trigger, phase, std::move(on_tick));
}

}  // namespace containerpilot
