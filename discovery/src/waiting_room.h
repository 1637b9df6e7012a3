#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// Answers that are held back until something changes or their time is over. Loop thread only.
class WaitingRoom {
 public:
  /// Makes the answer when its time has come.
  using Render = std::function<HttpServerResponse()>;

  explicit WaitingRoom(Reactor& reactor) : reactor_(reactor) {}

  /// `topic` is what must change (a service's name; empty: anything). Answers to the same
  /// `question` that are due together are rendered once.
  void wait(const std::string& topic, const std::string& question, Duration longest,
            std::unique_ptr<HttpResponder> responder, Render render);
  /// Answers, within the next turns of the loop, all who wait for this topic or for anything.
  void wake(const std::string& topic);
  [[nodiscard]] std::size_t size() const { return waiters_.size(); }

 private:
  using Id = std::uint64_t;
  struct Waiter {
    std::string topic, question;
    std::unique_ptr<HttpResponder> responder;
    Render render;
    Watch deadline;
  };
  void answer_some();
  void wake_topic(const std::string& topic);
  void forget(Id id);

  Reactor& reactor_;
  std::map<Id, Waiter> waiters_;
  std::multimap<std::string, Id> by_topic_;
  std::deque<Id> due_;
  Watch turn_;
  Id next_ = 1;
};

}  // namespace containerpilot::discovery
