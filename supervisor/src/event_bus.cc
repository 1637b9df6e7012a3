#include "containerpilot/supervisor/event_bus.h"

#include <algorithm>

namespace containerpilot {

EventId EventBus::publish(EventKey key, EventId cause, std::string detail) {
  const EventId id = next_event_++;
  queue_.push_back({id, cause, std::move(key), std::move(detail), reactor_.wall_now()});
  if (!scheduled_ && !delivering_) {
    scheduled_ = true;
    reactor_.post([this] { deliver(); });
  }
  return id;
}

Watch EventBus::subscribe(Handler handler) {
  const std::uint64_t id = next_subscriber_++;
  subscribers_.push_back({id, std::move(handler)});
  return Watch([this, id] {
    const auto it = std::find_if(subscribers_.begin(), subscribers_.end(),
                                 [id](const Subscriber& s) { return s.id == id; });
    if (it == subscribers_.end()) return;
    // Inside a delivery the list must keep its shape; deliver() sweeps up.
    if (delivering_) {
      it->handler = nullptr;
    } else {
      subscribers_.erase(it);
    }
  });
}

void EventBus::deliver() {
  scheduled_ = false;
  delivering_ = true;
  // What handlers publish is delivered in this turn too, after everything queued before it. The
  // bound keeps two jobs that answer each other from starving I/O: the rest comes in the next turn.
  for (std::size_t budget = kHistory; budget > 0 && !queue_.empty(); --budget) {
    Event event = std::move(queue_.front());
    queue_.pop_front();
    history_.push_back(event);
    if (history_.size() > kHistory) history_.pop_front();
    const std::size_t count = subscribers_.size();
    for (std::size_t i = 0; i < count; ++i) {
      // A copy: the handler may subscribe (and move the vector) or unsubscribe itself.
      if (const Handler handler = subscribers_[i].handler) handler(event);
    }
  }
  delivering_ = false;
  std::erase_if(subscribers_, [](const Subscriber& s) { return !s.handler; });
  if (!queue_.empty()) {
    scheduled_ = true;
    reactor_.post([this] { deliver(); });
  }
}

const Event* EventBus::find(EventId id) const {
  // Ids follow one another, from the oldest in history to the newest in the queue.
  const EventId oldest = next_event_ - queue_.size() - history_.size();
  if (id < oldest || id >= next_event_) return nullptr;
  const auto index = static_cast<std::size_t>(id - oldest);
  return index < history_.size() ? &history_[index] : &queue_[index - history_.size()];
}

std::vector<Event> EventBus::chain(EventId id, const std::vector<Event>& known) const {
  std::vector<Event> result;
  while (id != 0) {
    if (!known.empty() && id == known.front().id) {
      result.insert(result.end(), known.begin(), known.end());
      break;
    }
    const Event* const event = find(id);
    if (event == nullptr) break;
    result.push_back(*event);
    id = event->cause;
  }
  if (result.size() > kMaxChain) result.erase(result.begin() + kMaxChain - 1, result.end() - 1);
  return result;
}

}  // namespace containerpilot
