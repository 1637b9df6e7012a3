#pragma once

#include <set>
#include <string>

#include "containerpilot/discovery/backoff.h"
#include "containerpilot/supervisor/http.h"
#include "feed.h"

namespace containerpilot::discovery {

/// The addresses behind a DNS name as instances: SRV records when `port` is 0, else A and AAAA. A
/// name that does not exist has no instances, which is how Kubernetes says "none is ready".
class DnsFeed : public Feed {
 public:
  DnsFeed(Reactor& reactor, Resolver& resolver, std::string name, std::uint16_t port,
          OnAnswer on_answer);
  void set_interval(Duration interval) override { interval_ = interval; }
  void stop() override;
  [[nodiscard]] Duration staleness() const override { return interval_; }

 private:
  void ask();
  void hear(Result<std::vector<Address>> addresses);
  void hear_half(const Error& error, Result<std::vector<Address>> some);
  void settle(Result<std::vector<Address>> addresses);

  Reactor& reactor_;
  Resolver& resolver_;
  std::string name_;
  std::uint16_t port_;
  OnAnswer on_answer_;
  Duration interval_ = std::chrono::seconds(10);
  Backoff backoff_{std::chrono::milliseconds(250), std::chrono::seconds(10)};
  TimePoint asked_{};
  std::set<bool> families_;  ///< of the last answer: IPv6 or not
  Watch call_;
  Watch timer_;
};

}  // namespace containerpilot::discovery
