#include "sentinel.h"

#include <algorithm>

namespace containerpilot::discovery {

namespace {
using namespace std::chrono_literals;
constexpr Duration kWait = 60s;
constexpr Duration kMinGap = 1s;  // between two changes: a busy service must not keep us busy
}  // namespace

void Sentinel::guard(const std::string& service, const std::string& id) {
  if (useless_ || id == id_) return;
  stop();
  service_ = service;
  id_ = id;
  ask();
}

void Sentinel::stop() {
  id_.clear();
  index_ = 0;
  seen_.reset();
  seen_any_ = false;
  call_ = Watch();
  pause_ = Watch();
  leave_ = Availability::Call();
}

void Sentinel::ask() {
  // In an outage one question is let through at a time, and ours may be held back: guard() is
  // called again when the catalog is back.
  auto leave = catalog_.availability().up() ? catalog_.availability().begin() : std::nullopt;
  if (!leave) return stop();
  leave_ = std::move(*leave);
  call_ = catalog_.query(
      {service_, {}, {}}, index_, kWait,
      [this, asked = reactor_.now()](const Result<Snapshot>& answer) { hear(asked, answer); });
}

void Sentinel::hear(TimePoint asked, const Result<Snapshot>& answer) {
  leave_.finished(answer ? nullptr : &answer.error());
  if (!answer) {
    const Errc code = answer.error().code();
    const bool outage = code == Errc::kUnavailable || code == Errc::kTimeout || code == Errc::kIo;
    // An answer that is none: it cannot now, or will not; or a proxy lost its mind for a moment.
    const bool doubt = outage || (code != Errc::kInternal && backoff_.steps() == 0);
    if (outage) {
      stop();  // guard() is called again when the catalog is back
    } else {
      index_ = 0;
      pause_ = reactor_.after(backoff_.next(), [this] { ask(); });
    }
    if (doubt) on_doubt_();
    return;
  }
  backoff_.reset();
  const Snapshot& snapshot = answer.value();
  const bool held_back =
      index_ == 0 || snapshot.index != index_ || reactor_.now() - asked >= kWait / 2;
  if (snapshot.index == 0 || !held_back) {
    useless_ = true;
    return stop();
  }
  const auto it = std::find_if(snapshot.instances.begin(), snapshot.instances.end(),
                               [&](const Instance& instance) { return instance.id == id_; });
  std::optional<Instance> now;
  if (it != snapshot.instances.end()) now = *it;
  const bool doubt = seen_any_ && now != seen_;
  seen_ = std::move(now);
  seen_any_ = true;
  const bool rest = index_ != 0 && reactor_.now() - asked < kMinGap;
  // Nothing waits while we rest. A catalog that restarts meanwhile may count from the beginning,
  // and would hold the answer to a question with an index of its earlier life back.
  index_ = rest || snapshot.index < index_ ? 0 : snapshot.index;
  pause_ = reactor_.at(rest ? asked + kMinGap : reactor_.now(), [this] { ask(); });
  if (doubt) on_doubt_();
}

}  // namespace containerpilot::discovery
