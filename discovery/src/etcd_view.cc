#include "etcd_view.h"

#include <algorithm>
#include <set>
#include <utility>

#include "containerpilot/supervisor/log.h"

namespace containerpilot::discovery {

namespace {
using namespace std::chrono_literals;
/// A stream is renewed this often: a connection that died without a word is not trusted for ever.
constexpr Duration kStreamLife = 5min;
constexpr Duration kPulse = 20s;
constexpr std::size_t kMaxLine = 8 * 1024 * 1024;

std::string why_canceled(const EtcdWatchMessage& message) {
  if (message.compact_revision != 0) {
    return "the revision was compacted away, the oldest left is " +
           std::to_string(message.compact_revision);
  }
  return message.cancel_reason.empty() ? "it was canceled" : message.cancel_reason.substr(0, 200);
}
}  // namespace

EtcdView::EtcdView(Reactor& reactor, EtcdClient& client, HttpClient& streams, std::string prefix)
    : reactor_(reactor), client_(client), streams_(streams), prefix_(std::move(prefix)) {}

Watch EtcdView::query(const Query& query, std::uint64_t index, Duration wait, Done done) {
  const std::uint64_t id = next_waiter_++;
  Watch deadline = reactor_.after(wait, [this, id] {
    if (const auto waiter = take_waiter(id)) waiter->done(snapshot(waiter->query));
  });
  waiters_.emplace(id, Waiter{query, index, std::move(done), std::move(deadline)});
  if (state_ == State::kIdle) read();
  if (state_ == State::kWatching) answer_waiters();
  return Watch([this, id] { waiters_.erase(id); });
}

void EtcdView::distrust() {
  step_ = Watch();
  pulse_ = Watch();
  state_ = State::kIdle;
  if (!waiters_.empty()) read();
}

void EtcdView::read() {
  state_ = State::kReading;
  step_ = client_.call("/kv/range", encode_range(prefix_), [this](Result<std::string> body) {
    if (!body) return fail(body.error());
    const auto range = decode_range(body.value());
    if (!range) return fail(Error(range.error()).during("cannot read the answer of /kv/range"));
    replace(range.value());
    watch(range.value().revision + 1);
    answer_waiters();
  });
}

void EtcdView::replace(const EtcdRange& range) {
  std::map<std::string, Service> fresh;
  for (const EtcdPair& pair : range.pairs) {
    if (auto decoded = decode(pair)) {
      fresh[decoded->first.name].instances[decoded->first.id] = std::move(decoded->second);
    }
  }
  ++changes_;
  std::set<std::string> names;
  for (const auto& [name, service] : services_) names.insert(name);
  for (const auto& [name, service] : fresh) names.insert(name);
  for (const std::string& name : names) {
    Service& known = services_[name];
    Service& now = fresh[name];
    if (known.instances == now.instances && known.index != 0) continue;
    known = {changes_, std::move(now.instances)};
  }
}

void EtcdView::watch(std::uint64_t start_revision) {
  state_ = State::kWatching;
  stream_endpoint_ = client_.endpoint();
  pulse_ = reactor_.after(kPulse, [this] { feel_pulse(); });
  partial_.clear();
  stream_error_.reset();
  HttpRequest request = client_.make_request("/watch", encode_watch(prefix_, start_revision));
  request.timeout = kStreamLife + random_below(kStreamLife / 10);
  request.on_data = [this](std::string_view piece) { return hear(piece); };
  step_ = streams_.request(std::move(request), [this](Result<HttpResponse> end) {
    if (stream_error_) return fail(*std::exchange(stream_error_, std::nullopt));
    if (!end && end.error().code() == Errc::kTimeout) return distrust();
    if (!end) return fail(end.error());
    if (end.value().status != 200)
      return fail(client_.refusal(stream_endpoint_, end.value().status, partial_, "/watch"));
    distrust();  // it ended in good order: the server shuts down, or a proxy limits streams
  });
}

/// The calls of a client with several endpoints may have left for another one long ago, while the
/// stream hangs on a server that is frozen or cut off.
void EtcdView::feel_pulse() {
  pulse_ =
      client_.call("/kv/range", encode_count(prefix_), [this](const Result<std::string>& body) {
        if (!body) {
          step_ = Watch();
          return fail(body.error());
        }
        if (client_.endpoint() != stream_endpoint_) return distrust();
        pulse_ = reactor_.after(kPulse, [this] { feel_pulse(); });
      });
}

bool EtcdView::hear(std::string_view piece) {
  partial_ += piece;
  if (partial_.size() > kMaxLine) {
    stream_error_.emplace(Errc::kUnavailable, "cannot watch etcd: a message is longer than 8 MiB");
    return false;
  }
  bool changed = false;
  std::size_t start = 0;
  for (std::size_t end = partial_.find('\n'); end != std::string::npos;
       end = partial_.find('\n', start)) {
    const std::string_view line(partial_.data() + start, end - start);
    start = end + 1;
    if (line.empty()) continue;
    if (const auto refused = decode_refusal(line)) {
      stream_error_.emplace(Errc::kUnavailable,
                            "cannot watch etcd: " + refused->message.substr(0, 200));
      return false;
    }
    const auto message = decode_watch_message(line);
    if (!message) {
      stream_error_.emplace(Errc::kUnavailable,
                            "cannot read what etcd's watch sent: " + message.error().text());
      return false;
    }
    if (message.value().canceled) {
      stream_error_.emplace(Errc::kUnavailable,
                            "cannot watch etcd: " + why_canceled(message.value()));
      return false;
    }
    for (const EtcdEvent& event : message.value().events) {
      apply(event);
      changed = true;
    }
  }
  partial_.erase(0, start);
  if (changed) answer_waiters();
  return true;
}

std::optional<std::pair<EtcdKeyParts, Instance>> EtcdView::decode(const EtcdPair& pair) const {
  auto parts = parse_etcd_key(prefix_, pair.key);
  if (!parts) return std::nullopt;  // somebody else's key
  const auto ignore = [&pair](const std::string& why) {
    log_warn("discovery", "ignoring the value of etcd key '" + pair.key + "': " + why);
    return std::nullopt;
  };
  auto service = decode_etcd_value(pair.value);
  if (!service) return ignore(service.error().text());
  const std::int64_t port = service.value().port;
  if (port < 0 || port > UINT16_MAX) return ignore(std::to_string(port) + " is no TCP port");
  Instance instance;
  instance.id = parts->id;
  instance.name = parts->name;
  instance.address = std::move(service.value().address);
  instance.port = static_cast<std::uint16_t>(port);
  instance.tags = std::move(service.value().tags);
  return std::pair(std::move(*parts), std::move(instance));
}

void EtcdView::apply(const EtcdEvent& event) {
  const auto parts = parse_etcd_key(prefix_, event.pair.key);
  if (!parts) return;
  Service& service = services_[parts->name];
  service.index = ++changes_;
  service.instances.erase(parts->id);
  if (event.removed) return;
  if (auto decoded = decode(event.pair)) service.instances[parts->id] = std::move(decoded->second);
}

void EtcdView::fail(const Error& error) {
  state_ = State::kIdle;
  pulse_ = Watch();
  std::vector<std::uint64_t> ids;
  for (const auto& [id, waiter] : waiters_) ids.push_back(id);
  // One by one: whoever is told may cancel others.
  for (const std::uint64_t id : ids) {
    if (const auto waiter = take_waiter(id)) waiter->done(Error(error));
  }
}

std::optional<EtcdView::Waiter> EtcdView::take_waiter(std::uint64_t id) {
  const auto it = waiters_.find(id);
  if (it == waiters_.end()) return std::nullopt;
  std::optional<Waiter> waiter(std::move(it->second));
  waiters_.erase(it);
  return waiter;
}

std::uint64_t EtcdView::index_of(const std::string& service) const {
  const auto it = services_.find(service);
  // A service nobody registered was last seen to change when the view began.
  return it == services_.end() ? 1 : it->second.index;
}

Snapshot EtcdView::snapshot(const Query& query) const {
  Snapshot snapshot{index_of(query.service), {}};
  const auto it = services_.find(query.service);
  if (it == services_.end()) return snapshot;
  for (const auto& [id, instance] : it->second.instances) {
    const auto& tags = instance.tags;
    if (query.tag.empty() || std::find(tags.begin(), tags.end(), query.tag) != tags.end()) {
      snapshot.instances.push_back(instance);
    }
  }
  return snapshot;
}

/// In a turn of its own, because whoever is told may ask again at once.
void EtcdView::answer_waiters() {
  answering_ = reactor_.after(Duration{0}, [this] {
    if (state_ != State::kWatching) return;
    std::vector<std::uint64_t> due;
    for (const auto& [id, waiter] : waiters_) {
      if (waiter.index != index_of(waiter.query.service)) due.push_back(id);
    }
    for (const std::uint64_t id : due) {
      if (const auto waiter = take_waiter(id)) waiter->done(snapshot(waiter->query));
    }
  });
}

}  // namespace containerpilot::discovery
