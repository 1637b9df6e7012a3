#include "dns_feed.h"

#include <algorithm>
#include <utility>

namespace containerpilot::discovery {

namespace {
constexpr Duration kTimeout = std::chrono::seconds(5);

bool is_v6(const Address& address) { return address.ip.find(':') != std::string::npos; }
}  // namespace

DnsFeed::DnsFeed(Reactor& reactor, Resolver& resolver, std::string name, std::uint16_t port,
                 OnAnswer on_answer)
    : reactor_(reactor),
      resolver_(resolver),
      name_(std::move(name)),
      port_(port),
      on_answer_(std::move(on_answer)),
      timer_(reactor.after(Duration{0}, [this] { ask(); })) {}

void DnsFeed::stop() {
  call_ = Watch();
  timer_ = Watch();
}

void DnsFeed::ask() {
  asked_ = reactor_.now();
  const auto done = [this](Result<std::vector<Address>> addresses) { hear(std::move(addresses)); };
  call_ = port_ == 0 ? resolver_.resolve_srv(name_, kTimeout, done)
                     : resolver_.resolve_all(name_, port_, kTimeout, done);
}

/// Some servers never answer about a family they have nothing of: what the other says is taken,
/// unless it looks as if all that was there of the first were gone.
void DnsFeed::hear_half(const Error& error, Result<std::vector<Address>> some) {
  const bool enough = some && std::all_of(families_.begin(), families_.end(), [&](bool v6) {
                        return std::any_of(some.value().begin(), some.value().end(),
                                           [v6](const Address& a) { return is_v6(a) == v6; });
                      });
  settle(enough ? std::move(some) : Result<std::vector<Address>>(Error(error)));
}

void DnsFeed::hear(Result<std::vector<Address>> addresses) {
  if (!addresses && addresses.error().code() != Errc::kNotFound && port_ != 0) {
    call_ = resolver_.resolve(name_, port_, kTimeout,
                              [this, error = addresses.error()](Result<std::vector<Address>> some) {
                                hear_half(error, std::move(some));
                              });
    return;
  }
  settle(std::move(addresses));
}

void DnsFeed::settle(Result<std::vector<Address>> addresses) {
  const auto ask_at = [this](TimePoint when) { timer_ = reactor_.at(when, [this] { ask(); }); };
  if (!addresses && addresses.error().code() != Errc::kNotFound) {
    ask_at(reactor_.now() + std::min(backoff_.next(), interval_));
    return on_answer_(std::move(addresses).error().during("cannot watch DNS name '" + name_ + "'"));
  }
  backoff_.reset();
  ask_at(std::max(reactor_.now(), asked_ + interval_));
  std::vector<Instance> instances;
  families_.clear();
  if (addresses) {
    for (Address& address : addresses.value()) {
      const bool v6 = is_v6(address);
      families_.insert(v6);
      Instance instance;
      instance.id = (v6 ? "[" + address.ip + "]" : address.ip) + ":" + std::to_string(address.port);
      instance.name = name_;
      instance.address = std::move(address.ip);
      instance.port = address.port;
      instances.push_back(std::move(instance));
    }
  }
  // Servers rotate the order of their answers.
  std::sort(instances.begin(), instances.end(),
            [](const Instance& a, const Instance& b) { return a.id < b.id; });
  instances.erase(std::unique(instances.begin(), instances.end()), instances.end());
  on_answer_(std::move(instances));
}

}  // namespace containerpilot::discovery
