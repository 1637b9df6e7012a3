#include "waiting_room.h"

#include <algorithm>
#include <utility>

namespace containerpilot::discovery {

namespace {
/// Answers per turn of the loop: a thousand at once would hold it up.
constexpr int kPerTurn = 64;
}  // namespace

void WaitingRoom::wait(const std::string& topic, const std::string& question, Duration longest,
                       std::unique_ptr<HttpResponder> responder, Render render) {
  const Id id = next_++;
  responder->on_disconnect([this, id] { forget(id); });
  Watch deadline = reactor_.after(longest, [this, id] {
    const auto it = waiters_.find(id);
    if (it == waiters_.end()) return;
    it->second.responder->send(it->second.render());
    forget(id);
  });
  by_topic_.emplace(topic, id);
  waiters_.emplace(
      id, Waiter{topic, question, std::move(responder), std::move(render), std::move(deadline)});
}

void WaitingRoom::forget(Id id) {
  const auto it = waiters_.find(id);
  if (it == waiters_.end()) return;
  const auto [first, last] = by_topic_.equal_range(it->second.topic);
  const auto entry = std::find_if(first, last, [id](const auto& e) { return e.second == id; });
  if (entry != last) by_topic_.erase(entry);
  waiters_.erase(it);
}

void WaitingRoom::wake_topic(const std::string& topic) {
  const auto [first, last] = by_topic_.equal_range(topic);
  for (auto it = first; it != last; ++it) due_.push_back(it->second);
  by_topic_.erase(first, last);
}

void WaitingRoom::wake(const std::string& topic) {
  wake_topic(topic);
  if (!topic.empty()) wake_topic({});
  if (!due_.empty()) turn_ = reactor_.after(Duration{0}, [this] { answer_some(); });
}

void WaitingRoom::answer_some() {
  std::map<std::string, HttpServerResponse> rendered;
  for (int i = 0; i < kPerTurn && !due_.empty(); ++i) {
    const auto it = waiters_.find(due_.front());
    due_.pop_front();
    if (it == waiters_.end()) continue;
    Waiter waiter = std::move(it->second);
    waiters_.erase(it);
    const auto [response, added] = rendered.try_emplace(waiter.question);
    if (added) response->second = waiter.render();
    waiter.responder->send(response->second);
  }
  if (!due_.empty()) turn_ = reactor_.after(Duration{0}, [this] { answer_some(); });
}

}  // namespace containerpilot::discovery
