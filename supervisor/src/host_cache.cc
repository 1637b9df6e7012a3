#include "host_cache.h"

#include <utility>

namespace containerpilot {

Watch HostCache::resolve(const std::string& host, std::uint16_t port, Duration timeout,
                         Resolver::Callback done) {
  const Key key(host, port);
  std::shared_ptr<Entry>& entry = entries_[key];
  if (!entry) entry = std::make_shared<Entry>();
  if (reactor_.now() < entry->fresh_until) {
    return reactor_.after(
        Duration(0), [addresses = entry->addresses, done = std::move(done)] { done(addresses); });
  }
  const std::uint64_t id = ++next_;
  entry->waiting.emplace(id, std::move(done));
  if (entry->waiting.size() == 1) {
    entry->lookup = resolver_.resolve(
        host, port, timeout,
        [this, key](const Result<std::vector<Address>>& result) { answered(key, result); });
  }
  return Watch([weak = std::weak_ptr(entry), id] {
    const auto waited = weak.lock();
    if (!waited || waited->waiting.erase(id) == 0) return;
    if (waited->waiting.empty()) waited->lookup = Watch();
  });
}

void HostCache::answered(const Key& key, const Result<std::vector<Address>>& result) {
  const std::shared_ptr<Entry> entry = entries_[key];
  const Watch finished = std::move(entry->lookup);
  const bool no_answer = !result && (result.error().code() == Errc::kTimeout ||
                                     result.error().code() == Errc::kUnavailable);
  if (result) {
    entry->addresses = result.value();
    entry->fresh_until = reactor_.now() + kFresh;
  } else if (no_answer && !entry->addresses.empty()) {
    entry->fresh_until = reactor_.now() + kFresh;
  } else {
    entries_.erase(key);
  }
  const Result<std::vector<Address>> told = entry->addresses.empty() || (!result && !no_answer)
                                                ? result
                                                : Result<std::vector<Address>>(entry->addresses);
  // A callback may cancel others, or destroy the cache: only `entry` is used from here on.
  while (!entry->waiting.empty()) {
    const Resolver::Callback done = std::move(entry->waiting.begin()->second);
    entry->waiting.erase(entry->waiting.begin());
    done(told);
  }
}

void HostCache::forget(const std::string& host, std::uint16_t port) {
  const auto it = entries_.find(Key(host, port));
  if (it != entries_.end()) it->second->fresh_until = TimePoint::min();
}

}  // namespace containerpilot
