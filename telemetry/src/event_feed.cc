#include "event_feed.h"

namespace containerpilot::telemetry {

void EventFeed::Impl::publish(std::string_view type, std::string_view data) {
  {
    const std::lock_guard lock(mutex_);
    ++newest_;
    std::string text = "id: " + std::to_string(newest_) + "\nevent: ";
    text.append(type).append("\ndata: ");
    // A line break would end the field: whatever follows it could forge another event.
    for (const char c : data) text += c == '\n' || c == '\r' ? ' ' : c;
    text += "\n\n";
    events_.push_back(std::move(text));
    if (events_.size() > kRemembered) events_.pop_front();
  }
  changed_.notify_all();
}

std::uint64_t EventFeed::Impl::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

void EventFeed::Impl::wait(std::uint64_t& seen, Duration patience,
                           const std::atomic<bool>& stopping, std::string& out) {
  std::unique_lock lock(mutex_);
  if (seen > newest_) seen = newest_;  // an id of an earlier life of this agent
  changed_.wait_for(lock, patience, [&] { return newest_ > seen || stopping; });
  const std::uint64_t oldest = newest_ - events_.size() + 1;
  if (seen + 1 < oldest) {
    out += "event: lost\ndata: " + std::to_string(oldest - seen - 1) + "\n\n";
    seen = oldest - 1;
  }
  for (auto i = static_cast<std::size_t>(seen + 1 - oldest); i < events_.size(); ++i)
    out += events_[i];
  seen = newest_;
}

void EventFeed::Impl::wake() {
  // Under the mutex, so that nobody is between looking at `stopping` and going to sleep.
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

EventFeed::EventFeed() : impl_(std::make_unique<Impl>()) {}
EventFeed::~EventFeed() = default;
void EventFeed::publish(std::string_view type, std::string_view data) {
  impl_->publish(type, data);
}

}  // namespace containerpilot::telemetry
