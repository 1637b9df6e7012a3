#include "containerpilot/discovery/watcher.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "containerpilot/supervisor/log.h"
#include "dns_feed.h"
#include "service_feed.h"

namespace containerpilot::discovery {

namespace {

/// What identifies a feed: two watches with the same key share one.
struct Key {
  std::string service, dc, tag;
  std::string dns;
  std::uint16_t port = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes what this means for a 0
  friend auto operator<=>(const Key&, const Key&) = default;
};

bool same_watch(const WatchSpec& a, const WatchSpec& b) {
  const auto identity = [](const WatchSpec& w) {
    return std::tie(w.name, w.source, w.tag, w.dc, w.dns, w.dns_port, w.addresses_only);
  };
  return identity(a) == identity(b);
}

/// Sorted by id, all reached at the same addresses.
bool same_addresses(const std::vector<Instance>& a, const std::vector<Instance>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Instance& one, const Instance& other) {
                      return one.address == other.address && one.port == other.port;
                    });
}

/// What is in `from` but not, or not the same, in `other`; both sorted by id.
std::vector<Instance> difference(const std::vector<Instance>& from,
                                 const std::vector<Instance>& other) {
  std::vector<Instance> result;
  std::copy_if(from.begin(), from.end(), std::back_inserter(result), [&](const Instance& instance) {
    const auto it =
        std::lower_bound(other.begin(), other.end(), instance.id,
                         [](const Instance& a, const std::string& id) { return a.id < id; });
    return it == other.end() || *it != instance;
  });
  return result;
}

}  // namespace

class Watcher::Impl {
 public:
  Impl(Reactor& reactor, Catalog* catalog, Resolver& resolver, OnChange on_change)
      : reactor_(reactor),
        catalog_(catalog),
        resolver_(resolver),
        on_change_(std::move(on_change)),
        places_(catalog),
        overview_(reactor, catalog, observer_) {
    if (catalog == nullptr) return;
    outages_seen_ = catalog->availability().outages();
    chance_ = catalog->availability().on_chance([this] { chance(); });
  }
  ~Impl() {
    for (auto& [key, source] : sources_) source.feed->stop();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void set(const std::vector<WatchSpec>& watches);
  void pause(bool on);
  [[nodiscard]] std::vector<WatchState> states() const;

  CallObserver observer_;

 private:
  struct Source {
    std::shared_ptr<Feed> feed;
    std::optional<std::vector<Instance>> last;
    unsigned failures = 0;  ///< in a row
    bool warned = false;
  };
  struct Entry {
    WatchState state;
    Key key;
  };

  [[nodiscard]] std::shared_ptr<Feed> make_feed(const Key& key);
  void chance();
  void hear(const Key& key, const Result<std::vector<Instance>>& answer);
  void complain(const Key& key, Source& source, const Error* error);
  void tell_late();
  /// nullopt: nothing to tell.
  [[nodiscard]] std::optional<Change> apply(Entry& entry, const std::vector<Instance>& all) const;

  Reactor& reactor_;
  Catalog* catalog_;
  Resolver& resolver_;
  OnChange on_change_;
  WaitingPlaces places_;
  Overview overview_;
  std::map<Key, Source> sources_;
  std::vector<std::shared_ptr<Entry>> entries_;
  std::size_t turn_ = 0;  ///< which feed is first to get a chance
  std::uint64_t outages_seen_ = 0;
  bool paused_ = false;
  Watch chance_;
  Watch late_;
};

void Watcher::Impl::set(const std::vector<WatchSpec>& watches) {
  // One query for all tags of a service; where all want the same one, the catalog may filter.
  std::map<std::pair<std::string, std::string>, std::string> tags;
  for (const WatchSpec& watch : watches) {
    const auto [it, added] = tags.try_emplace({watch.name, watch.dc}, watch.tag);
    if (!added && it->second != watch.tag) it->second.clear();
  }
  std::map<Key, Duration> wanted;
  std::vector<std::shared_ptr<Entry>> entries;
  for (const WatchSpec& watch : watches) {
    Key key;
    if (!watch.dns.empty()) {
      key.dns = watch.dns;
      key.port = watch.dns_port;
    } else {
      key.service = watch.name;
      key.dc = watch.dc;
      key.tag = tags[{watch.name, watch.dc}];
    }
    const auto old = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const auto& e) { return same_watch(e->state.watch, watch); });
    auto entry = std::make_shared<Entry>();
    if (old != entries_.end()) entry->state = (*old)->state;
    entry->state.watch = watch;
    entry->key = key;
    entries.push_back(entry);
    if (watch.dns.empty() && catalog_ == nullptr) {
      entry->state.last_error = "cannot watch '" + watch.name + "': there is no catalog";
      continue;
    }
    const auto [it, added] = wanted.try_emplace(key, watch.interval);
    if (!added) it->second = std::min(it->second, watch.interval);
  }
  entries_ = std::move(entries);

  for (auto it = sources_.begin(); it != sources_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    it->second.feed->stop();
    // It may be the very feed whose answer is being told.
    reactor_.post([keep = it->second.feed] {});
    it = sources_.erase(it);
  }
  for (const auto& [key, interval] : wanted) {
    Source& source = sources_[key];
    if (!source.feed) source.feed = make_feed(key);
    if (interval > Duration{0}) source.feed->set_interval(interval);
  }
  late_ = reactor_.after(Duration{0}, [this] { tell_late(); });
}

void Watcher::Impl::pause(bool on) {
  paused_ = on;
  if (!on) late_ = reactor_.after(Duration{0}, [this] { tell_late(); });
}

std::shared_ptr<Feed> Watcher::Impl::make_feed(const Key& key) {
  const auto on_answer = [this, key](const Result<std::vector<Instance>>& answer) {
    hear(key, answer);
  };
  if (!key.dns.empty()) {
    return std::make_shared<DnsFeed>(reactor_, resolver_, key.dns, key.port, on_answer);
  }
  return std::make_shared<ServiceFeed>(reactor_, *catalog_, places_, overview_,
                                       Query{key.service, key.dc, key.tag}, observer_, on_answer);
}

void Watcher::Impl::chance() {
  const Availability& availability = catalog_->availability();
  const bool back = availability.up() && outages_seen_ != availability.outages();
  if (back) {
    outages_seen_ = availability.outages();
    overview_.start_over();
  }
  std::vector<std::shared_ptr<Feed>> feeds;
  for (const auto& [key, source] : sources_) feeds.push_back(source.feed);
  if (feeds.empty()) return;
  const auto first = static_cast<std::ptrdiff_t>(++turn_ % feeds.size());
  std::rotate(feeds.begin(), feeds.begin() + first, feeds.end());
  for (const auto& feed : feeds) {
    if (back) feed->ask_again();
    feed->chance();
  }
}

/// A watch that joins a query which was answered before gets that answer as its first, one that was
/// paused what it missed.
void Watcher::Impl::tell_late() {
  std::vector<std::pair<std::shared_ptr<Entry>, Change>> changes;
  for (const auto& entry : entries_) {
    const auto it = sources_.find(entry->key);
    const bool late = !entry->state.known || entry->state.watch.paused_in_maintenance;
    if (!late || it == sources_.end() || !it->second.last) continue;
    if (auto change = apply(*entry, *it->second.last))
      changes.emplace_back(entry, std::move(*change));
  }
  for (const auto& [entry, change] : changes) on_change_(change);
}

/// Outages of the catalog are told of by its Availability; what remains is this question's own.
void Watcher::Impl::complain(const Key& key, Source& source, const Error* error) {
  constexpr unsigned kMany = 5;
  const std::string_view name = key.dns.empty() ? key.service : key.dns;
  if (error == nullptr) {
    source.failures = 0;
    if (std::exchange(source.warned, false)) {
      log_info("discovery", "watching '" + std::string(name) + "' works again", {{"watch", name}});
    }
    return;
  }
  ++source.failures;
  const bool outage = key.dns.empty() && !catalog_->availability().up();
  const bool its_own = !outage || (!catalog_->availability().lost() && source.failures >= kMany);
  if (!its_own || std::exchange(source.warned, true)) return;
  log_warn("discovery", error->text() + ", retrying", {{"watch", name}});
}

void Watcher::Impl::hear(const Key& key, const Result<std::vector<Instance>>& answer) {
  const auto it = sources_.find(key);
  if (it == sources_.end()) return;
  Source& source = it->second;
  complain(key, source, answer ? nullptr : &answer.error());
  if (answer) source.last = answer.value();

  std::vector<std::pair<std::shared_ptr<Entry>, Change>> changes;
  for (const auto& entry : entries_) {
    if (entry->key != key) continue;
    if (!answer) {
      entry->state.last_error = answer.error().text();
    } else if (auto change = apply(*entry, answer.value())) {
      changes.emplace_back(entry, std::move(*change));
    }
  }
  // Last, because whoever is told may replace the set.
  for (const auto& [entry, change] : changes) on_change_(change);
}

std::optional<Change> Watcher::Impl::apply(Entry& entry, const std::vector<Instance>& all) const {
  WatchState& state = entry.state;
  if (paused_ && state.watch.paused_in_maintenance) return std::nullopt;
  std::vector<Instance> now;
  std::copy_if(all.begin(), all.end(), std::back_inserter(now), [&](const Instance& instance) {
    const std::string& tag = state.watch.tag;
    return tag.empty() || !entry.key.tag.empty() || !entry.key.dns.empty() ||
           std::find(instance.tags.begin(), instance.tags.end(), tag) != instance.tags.end();
  });
  state.known = true;
  state.last_answer = reactor_.now();
  state.last_error.clear();
  if (now == state.instances) return std::nullopt;
  if (state.watch.addresses_only && same_addresses(now, state.instances)) {
    state.instances = std::move(now);
    return std::nullopt;
  }
  ++state.changes;
  Change change{state.watch, std::move(state.instances), now, {}, {}};
  change.added = difference(change.after, change.before);
  change.removed = difference(change.before, change.after);
  state.instances = std::move(now);
  return change;
}

std::vector<WatchState> Watcher::Impl::states() const {
  std::vector<WatchState> states;
  for (const auto& entry : entries_) {
    states.push_back(entry->state);
    const auto it = sources_.find(entry->key);
    if (it != sources_.end()) states.back().staleness = it->second.feed->staleness();
  }
  return states;
}

Watcher::Watcher(Reactor& reactor, Catalog* catalog, Resolver& resolver, OnChange on_change)
    : impl_(std::make_unique<Impl>(reactor, catalog, resolver, std::move(on_change))) {}
Watcher::~Watcher() = default;
void Watcher::set(const std::vector<WatchSpec>& watches) { impl_->set(watches); }
void Watcher::pause(bool on) { impl_->pause(on); }
std::vector<WatchState> Watcher::states() const { return impl_->states(); }
void Watcher::observe_calls(CallObserver observer) { impl_->observer_ = std::move(observer); }

}  // namespace containerpilot::discovery
