#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/event.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot {

/// One published event. `cause` is the event that made the publisher act, so that following it
/// answers "why did this job run?".
struct Event {
  EventId id = 0;
  EventId cause = 0;
  EventKey key;
  std::string detail;  ///< for people: exit code, reason, "3 -> 4 instances"; not part of the key
  WallTime at;
};

/// One ordered stream of events. publish() never calls a subscriber: events are delivered in order,
/// from a fresh turn of the loop, to subscribers in the order they subscribed. Loop thread only.
class EventBus {
 public:
  static constexpr std::size_t kHistory = 1000;
  static constexpr std::size_t kMaxChain = 16;
  using Handler = std::function<void(const Event&)>;

  explicit EventBus(Reactor& reactor) : reactor_(reactor) {}

  /// Queues the event and returns its id.
  EventId publish(EventKey key, EventId cause, std::string detail = {});
  /// Destroying the watch unsubscribes, also from inside a handler.
  Watch subscribe(Handler handler);
  /// The last kHistory delivered events, oldest first.
  [[nodiscard]] const std::deque<Event>& history() const { return history_; }
  /// The event and its causes, newest first, as far as history reaches; from the first event of
  /// `known` on as `known` has it. Of a longer one the newest kMaxChain - 1 and the first cause.
  [[nodiscard]] std::vector<Event> chain(EventId id, const std::vector<Event>& known = {}) const;

 private:
  void deliver();
  [[nodiscard]] const Event* find(EventId id) const;

  struct Subscriber {
    std::uint64_t id;
    Handler handler;
  };
  Reactor& reactor_;
  std::deque<Event> queue_;
  std::deque<Event> history_;
  std::vector<Subscriber> subscribers_;
  std::uint64_t next_subscriber_ = 1;
  EventId next_event_ = 1;
  bool scheduled_ = false;
  bool delivering_ = false;
};

}  // namespace containerpilot
