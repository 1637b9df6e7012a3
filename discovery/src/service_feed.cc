#include "service_feed.h"

#include <algorithm>
#include <utility>

#include "containerpilot/discovery/watcher.h"

namespace containerpilot::discovery {

namespace {

using namespace std::chrono_literals;

constexpr Duration kWait = 60s;
/// Between two questions: bounds what a service that changes without end can cost.
constexpr Duration kMinGap = 20ms;
/// Some catalogs wake a query for every change of any service. After a few such answers the next
/// question comes later and later; a change in between is answered at once then.
constexpr unsigned kFreeNoise = 3;
constexpr Duration kNoiseDelay = 50ms;
constexpr Duration kMaxNoiseDelay = 1s;
/// After an answer that is none: people end a refusal, time ends the catalog's own trouble.
constexpr Duration kMaxRefusalDelay = 10s;
constexpr Duration kMaxTroubleDelay = Availability::kMaxDelay;
/// Whose turn comes within such a time is asked together: waking up costs more than asking.
constexpr Duration kTurnGrid = 250ms;

TimePoint on_grid(TimePoint when) { return when - when.time_since_epoch() % kTurnGrid; }

}  // namespace

std::vector<ServiceFeed*>::iterator WaitingPlaces::oldest() {
  return std::min_element(holders_.begin(), holders_.end(),
                          [](const ServiceFeed* a, const ServiceFeed* b) {
                            return a->last_change() < b->last_change();
                          });
}

bool WaitingPlaces::take(ServiceFeed& feed) {
  const std::size_t places = catalog_ == nullptr ? 0 : catalog_->max_waiting_queries();
  while (holders_.size() > places) {  // there were more once
    ServiceFeed* const loser = *oldest();
    leave(*loser);
    loser->lose_place();
  }
  if (std::find(holders_.begin(), holders_.end(), &feed) != holders_.end()) return true;
  if (holders_.size() < places) {
    holders_.push_back(&feed);
    return true;
  }
  const auto last = oldest();
  if (last == holders_.end() || (*last)->last_change() >= feed.last_change()) return false;
  ServiceFeed* loser = std::exchange(*last, &feed);
  loser->lose_place();
  return true;
}

void WaitingPlaces::leave(ServiceFeed& feed) { std::erase(holders_, &feed); }

ServiceFeed::ServiceFeed(Reactor& reactor, Catalog& catalog, WaitingPlaces& places,
                         Overview& overview, Query query, const CallObserver& observer,
                         OnAnswer on_answer)
    : reactor_(reactor),
      catalog_(catalog),
      places_(places),
      overview_(overview),
      query_(std::move(query)),
      observer_(observer),
      on_answer_(std::move(on_answer)) {
  ask_at(reactor.now());
}

void ServiceFeed::stop() {
  places_.leave(*this);
  has_place_ = wants_chance_ = waiting_ = false;
  call_ = Watch();
  timer_ = Watch();
  leave_ = Availability::Call();
}

void ServiceFeed::ask_at(TimePoint when) {
  timer_ = reactor_.at(when, [this] { in_turn_ ? take_turn() : ask(); });
}

void ServiceFeed::ask() {
  if (!catalog_.availability().up()) {
    // In an outage this may be the one question that is let through: it must not be held back.
    index_ = 0;
    overview_then_.reset();
  }
  auto leave = catalog_.availability().begin();
  wants_chance_ = !leave;
  if (!leave) return;
  leave_ = std::move(*leave);
  asked_ = reactor_.now();
  asked_index_ = has_place_ ? index_ : 0;
  overview_then_ = overview_.state();
  waiting_ = asked_index_ != 0;
  call_ = catalog_.query(query_, asked_index_, kWait,
                         [this](Result<Snapshot> answer) { hear(std::move(answer)); });
}

/// Without a place: asks, unless nothing at all has changed since it did the last time.
void ServiceFeed::take_turn() {
  has_place_ = places_.take(*this);
  const bool same = query_.dc.empty() && catalog_.availability().up() && overview_then_ &&
                    overview_.state() == overview_then_;
  if (has_place_ || !same) return ask();
  overview_.need();
  ask_at(on_grid(reactor_.now() + Watcher::kPollInterval));
  on_answer_(last_);
}

void ServiceFeed::chance() {
  if (std::exchange(wants_chance_, false)) ask();
}

void ServiceFeed::ask_again() {
  if (wants_chance_) return;
  index_ = 0;
  overview_then_.reset();
  waiting_ = false;
  call_ = Watch();
  leave_ = Availability::Call();
  ask_at(reactor_.now() + random_below(kMinGap));
}

void ServiceFeed::lose_place() {
  has_place_ = false;
  if (!std::exchange(waiting_, false)) return;
  call_ = Watch();
  leave_ = Availability::Call();
  ask_at(asked_ + Watcher::kPollInterval);
}

Duration ServiceFeed::staleness() const {
  if (index_ == 0 || !holds_back_) return interval_;
  return has_place_ ? Duration{0} : Watcher::kPollInterval;
}

/// When to ask next; keeps the index to ask with.
TimePoint ServiceFeed::next_question(const Snapshot& snapshot, bool changed) {
  const TimePoint now = reactor_.now();
  index_ = snapshot.index;
  // No index at all, or the same one early: this catalog does not hold answers back.
  holds_back_ = index_ != 0 && (index_ != asked_index_ || now - asked_ >= kWait / 2);
  if (!holds_back_) {
    in_turn_ = false;
    return asked_ + interval_;
  }
  has_place_ = places_.take(*this);
  if (!has_place_) {
    overview_.need();
    // All began together; from the second question on they are spread over the interval.
    return on_grid(asked_ + (std::exchange(in_turn_, true) ? Watcher::kPollInterval
                                                           : random_below(Watcher::kPollInterval)));
  }
  in_turn_ = false;
  const bool news = changed || index_ == asked_index_ || now - asked_ >= 10 * kMaxNoiseDelay;
  if (asked_index_ > index_) index_ = 0;  // another life of the catalog, with indexes of its own
  noise_ = news ? 0 : noise_ + 1;
  if (noise_ <= kFreeNoise) return asked_ + kMinGap;
  const Duration delay = kNoiseDelay * (1 << std::min(noise_ - kFreeNoise, 5u));
  return now + std::min(delay, kMaxNoiseDelay);
}

void ServiceFeed::hear(Result<Snapshot> answer) {
  leave_.finished(answer ? nullptr : &answer.error());
  waiting_ = false;
  if (observer_) {
    observer_(asked_index_ == 0 ? "query" : "wait", answer.has_value(), reactor_.now() - asked_);
  }
  if (!answer) {
    index_ = 0;
    overview_then_.reset();
    // In an outage the catalog's availability says when; an answer that is none is this feed's own.
    const Errc code = answer.error().code();
    const bool outage = code == Errc::kUnavailable || code == Errc::kTimeout || code == Errc::kIo;
    backoff_.set_cap(code == Errc::kInternal ? kMaxTroubleDelay : kMaxRefusalDelay);
    ask_at(reactor_.now() + (outage ? Duration{0} : backoff_.next()));
    return on_answer_(std::move(answer).error());
  }
  backoff_.reset();
  Snapshot& snapshot = answer.value();
  const bool changed = !snapshot.same && snapshot.instances != last_;
  if (changed) last_ = std::move(snapshot.instances);
  query_.known = snapshot.content;
  // The first list is no change: else every feed of a big set would take a place from another.
  if (changed && answered_) last_change_ = reactor_.now();
  answered_ = true;
  ask_at(std::max(reactor_.now(), next_question(snapshot, changed)));
  on_answer_(last_);
}

}  // namespace containerpilot::discovery
