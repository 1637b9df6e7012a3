#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "containerpilot/discovery/backoff.h"
#include "containerpilot/discovery/catalog.h"
#include "feed.h"
#include "overview.h"

namespace containerpilot::discovery {

class ServiceFeed;

/// Who may have a query waiting at the catalog. When there are more feeds than places, those whose
/// service changed last have them.
class WaitingPlaces {
 public:
  /// As many places as `catalog` allows at each moment; null: none.
  explicit WaitingPlaces(const Catalog* catalog) : catalog_(catalog) {}
  /// True when `feed` has a place now; may take it from a feed whose last change is older.
  bool take(ServiceFeed& feed);
  void leave(ServiceFeed& feed);

 private:
  std::vector<ServiceFeed*>::iterator oldest();

  const Catalog* catalog_;
  std::vector<ServiceFeed*> holders_;
};

/// The healthy instances of a service, by waiting queries (the rules are consul-template's: the
/// same index is a timeout and no news, a lower one starts over, identical content is no change).
class ServiceFeed : public Feed {
 public:
  /// `observer` is told of each call; it may be empty, and change.
  ServiceFeed(Reactor& reactor, Catalog& catalog, WaitingPlaces& places, Overview& overview,
              Query query, const CallObserver& observer, OnAnswer on_answer);
  void set_interval(Duration interval) override { interval_ = interval; }
  void stop() override;
  void chance() override;
  void ask_again() override;
  [[nodiscard]] Duration staleness() const override;

  [[nodiscard]] TimePoint last_change() const { return last_change_; }
  /// Its place goes to another feed: from now on it is asked in turn.
  void lose_place();

 private:
  void ask();
  void take_turn();
  void hear(Result<Snapshot> answer);
  [[nodiscard]] TimePoint next_question(const Snapshot& snapshot, bool changed);
  void ask_at(TimePoint when);

  Reactor& reactor_;
  Catalog& catalog_;
  WaitingPlaces& places_;
  Overview& overview_;
  Query query_;
  const CallObserver& observer_;
  OnAnswer on_answer_;
  Duration interval_ = std::chrono::seconds(10);
  std::uint64_t index_ = 0;  ///< of the last answer; 0: the next question is answered at once
  std::uint64_t asked_index_ = 0;
  bool waiting_ = false;    ///< a query is held back at the catalog
  bool holds_back_ = true;  ///< the catalog knows how to
  bool has_place_ = false;
  bool in_turn_ = false;                        ///< asked once per interval, at a moment of its own
  std::optional<std::uint64_t> overview_then_;  ///< when this was asked last
  bool wants_chance_ = false;
  bool answered_ = false;
  unsigned noise_ = 0;  ///< answers in a row that came for nothing
  std::vector<Instance> last_;
  TimePoint last_change_{};
  TimePoint asked_{};
  Backoff backoff_{std::chrono::milliseconds(250), std::chrono::seconds(10)};
  Watch call_;
  Watch timer_;
  Availability::Call leave_;
};

}  // namespace containerpilot::discovery
