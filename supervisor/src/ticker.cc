#include "ticker.h"

#include <random>

namespace containerpilot {

namespace {

class IntervalTicker : public Ticker {
 public:
  IntervalTicker(Reactor& reactor, const Trigger& trigger, std::function<void()> on_tick)
      : reactor_(reactor),
        interval_(trigger.interval),
        jitter_(trigger.jitter),
        on_tick_(std::move(on_tick)),
        due_(reactor.now()) {
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
    fires_ = due_;
    if (jitter_ > Duration(0)) {
      fires_ +=
          Duration(std::uniform_int_distribution<Duration::rep>(0, jitter_.count() - 1)(random_));
    }
    timer_ = reactor_.at(fires_, [this] {
      schedule();
      on_tick_();  // last: it may destroy this
    });
  }

  Reactor& reactor_;
  const Duration interval_;
  const Duration jitter_;
  const std::function<void()> on_tick_;
  TimePoint due_;
  TimePoint fires_{};
  Watch timer_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace

std::unique_ptr<Ticker> make_ticker(Reactor& reactor, const Trigger& trigger,
                                    std::function<void()> on_tick) {
  return std::make_unique<IntervalTicker>(reactor, trigger, std::move(on_tick));
}

}  // namespace containerpilot
