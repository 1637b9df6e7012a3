#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "containerpilot/supervisor/http.h"

namespace containerpilot {

/// Addresses of the hosts a client talks to. A name is asked for once however many wait for it,
/// kept for kFresh, and when DNS then gives no answer its old addresses stay in use: a catalog that
/// is up must not be lost because its name server is down.
class HostCache {
 public:
  static constexpr Duration kFresh = std::chrono::seconds(30);

  HostCache(Reactor& reactor, Resolver& resolver) : reactor_(reactor), resolver_(resolver) {}
  HostCache(const HostCache&) = delete;
  HostCache& operator=(const HostCache&) = delete;
  ~HostCache() = default;

  /// As Resolver::resolve().
  Watch resolve(const std::string& host, std::uint16_t port, Duration timeout,
                Resolver::Callback done);
  /// The addresses did not work: the next call asks again.
  void forget(const std::string& host, std::uint16_t port);

 private:
  struct Entry {
    std::vector<Address> addresses;  // empty: never known
    TimePoint fresh_until = TimePoint::min();
    std::map<std::uint64_t, Resolver::Callback> waiting;
    Watch lookup;
  };
  using Key = std::pair<std::string, std::uint16_t>;
  void answered(const Key& key, const Result<std::vector<Address>>& result);

  Reactor& reactor_;
  Resolver& resolver_;
  std::map<Key, std::shared_ptr<Entry>> entries_;
  std::uint64_t next_ = 0;
};

}  // namespace containerpilot
