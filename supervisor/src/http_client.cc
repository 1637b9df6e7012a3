#include <curl/curl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "ca_folder.h"
#include "containerpilot/supervisor/http.h"
#include "curl_call.h"
#include "host_cache.h"
#include "socket_address.h"

namespace containerpilot {

namespace {

/// One request from the call to its end.
struct Call {
  enum class State { kResolving, kQueued, kRunning, kDone };
  HttpRequest request;
  HttpClient::Callback done;
  HttpUrl url;
  State state = State::kResolving;
  std::vector<Address> addresses;
  std::unique_ptr<CurlCall> curl;
  bool shares = false;  // a connection with others
  Watch lookup;
  Watch timeout;
};

/// Certificates may be replaced while we run.
constexpr Duration kCaFolderFresh = std::chrono::minutes(1);
struct CaFolder {
  std::string certificates;
  TimePoint fresh_until = TimePoint::min();
};

/// The client proper. A callback may drop the last owner, so each entry from the loop holds it.
class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(Reactor& reactor, Resolver& resolver, std::size_t max_connections)
      : reactor_(reactor),
        hosts_(reactor, resolver),
        max_(std::max<std::size_t>(max_connections, 1)) {}
  ~Client() { shut_down(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void shut_down();
  Watch request(HttpRequest request, HttpClient::Callback done);

 private:
  using Finished = std::vector<std::pair<std::shared_ptr<Call>, CURLcode>>;

  void resolved(const std::shared_ptr<Call>& call, Result<std::vector<Address>> addresses);
  void enqueue(const std::shared_ptr<Call>& call);
  void start_queued();
  bool open();
  void start(const std::shared_ptr<Call>& call);
  void cancel(const std::shared_ptr<Call>& call);
  void timed_out(const std::shared_ptr<Call>& call);
  void finish(const std::shared_ptr<Call>& call, Result<HttpResponse> result);
  void detach(Call& call);

  void on_curl_socket(curl_socket_t fd, int what);
  void on_curl_timer(long ms);
  void act(curl_socket_t fd, int events);
  void kick();
  void conclude();
  Finished finished_transfers();
  void deliver_data();
  void note_server(const HttpUrl& url, bool multiplexes);
  const std::string& ca_certificates(const HttpTls& tls);

  Reactor& reactor_;
  HostCache hosts_;
  const std::size_t max_;
  CURLM* multi_ = nullptr;
  std::unordered_map<Call*, std::shared_ptr<Call>> calls_;  // all that are not done
  std::unordered_map<CURL*, std::shared_ptr<Call>> running_;
  std::size_t alone_ = 0;      // of those, how many have a connection to themselves
  std::size_t streaming_ = 0;  // and how many want their answer piece by piece
  std::set<std::pair<std::string, std::uint16_t>> multiplexing_;  // servers, as last seen
  std::deque<std::shared_ptr<Call>> queue_;
  std::map<std::string, CaFolder> ca_folders_;  // by file and path
  struct Socket {
    int what = 0;
    Watch watch;
  };
  std::map<curl_socket_t, Socket> sockets_;
  Watch timer_;
  Watch concluding_;
};

/// At the first call: a client without any shall cost neither time nor memory.
bool Client::open() {
  if (multi_ != nullptr) return true;
  static std::once_flag once;
  static CURLcode global = CURLE_OK;
  std::call_once(once, [] { global = curl_global_init(CURL_GLOBAL_DEFAULT); });
  multi_ = global == CURLE_OK ? curl_multi_init() : nullptr;
  if (multi_ == nullptr) return false;
  const auto max = static_cast<long>(max_);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, max);
  curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, max);
  curl_multi_setopt(multi_, CURLMOPT_MAX_CONCURRENT_STREAMS, 1000L);  // the server has a say, too
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(
      multi_, CURLMOPT_SOCKETFUNCTION, +[](CURL*, curl_socket_t fd, int what, void* self, void*) {
        static_cast<Client*>(self)->on_curl_socket(fd, what);
        return 0;
      });
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(
      multi_, CURLMOPT_TIMERFUNCTION, +[](CURLM*, long ms, void* self) {
        static_cast<Client*>(self)->on_curl_timer(ms);
        return 0;
      });
  return true;
}

void Client::shut_down() {
  const auto calls = std::exchange(calls_, {});
  queue_.clear();
  for (const auto& [key, call] : calls) {
    detach(*call);
    call->state = Call::State::kDone;
    call->done = nullptr;
    call->lookup = Watch();
    call->timeout = Watch();
  }
  if (multi_ != nullptr) curl_multi_cleanup(std::exchange(multi_, nullptr));
  sockets_.clear();
  timer_ = Watch();
  concluding_ = Watch();
}

Watch Client::request(HttpRequest request, HttpClient::Callback done) {
  const auto call = std::make_shared<Call>();
  call->request = std::move(request);
  call->done = std::move(done);
  calls_.emplace(call.get(), call);
  // The call is owned by the client, its callbacks by the call: they must not own it in turn.
  const auto later = [this, weak = std::weak_ptr(call)](auto member) {
    return [this, weak, member] {
      const auto self = shared_from_this();
      if (const auto kept = weak.lock()) member(kept);
    };
  };
  Result<HttpUrl> url = parse_http_url(call->request);
  if (!url) {
    call->lookup = reactor_.after(
        Duration(0), later([this, error = std::move(url).error()](const std::shared_ptr<Call>& c) {
          finish(c, error);
        }));
  } else {
    call->url = std::move(url).value();
    if (call->request.timeout > Duration(0)) {
      call->timeout = reactor_.after(
          call->request.timeout, later([this](const std::shared_ptr<Call>& c) { timed_out(c); }));
    }
    if (!call->request.unix_socket.empty() || ip_address(call->url.host, 0)) {
      enqueue(call);
    } else {
      call->lookup = hosts_.resolve(
          call->url.host, call->url.port, call->request.connect_timeout,
          [this, weak = std::weak_ptr(call)](Result<std::vector<Address>> addresses) {
            const auto self = shared_from_this();
            if (const auto kept = weak.lock()) resolved(kept, std::move(addresses));
          });
    }
  }
  return Watch([client = weak_from_this(), weak = std::weak_ptr(call)] {
    const auto self = client.lock();
    const auto kept = weak.lock();
    if (self && kept) self->cancel(kept);
  });
}

void Client::resolved(const std::shared_ptr<Call>& call, Result<std::vector<Address>> addresses) {
  if (!addresses) {
    return finish(call, std::move(addresses).error().during("cannot " + call->request.method +
                                                            " '" + call->url.shown + "'"));
  }
  call->addresses = std::move(addresses).value();
  enqueue(call);
}

void Client::enqueue(const std::shared_ptr<Call>& call) {
  call->state = Call::State::kQueued;
  queue_.push_back(call);
  start_queued();
}

void Client::start_queued() {
  const auto may_start = [this](const std::shared_ptr<Call>& call) {
    call->shares = multiplexing_.contains({call->url.host, call->url.port});
    return call->shares || alone_ < max_ || call->state != Call::State::kQueued;
  };
  for (auto next = queue_.begin();
       (next = std::find_if(queue_.begin(), queue_.end(), may_start)) != queue_.end();) {
    const std::shared_ptr<Call> call = std::move(*next);
    queue_.erase(next);
    if (call->state == Call::State::kQueued) start(call);
  }
}

void Client::start(const std::shared_ptr<Call>& call) {
  const bool opened = open();
  call->curl = std::make_unique<CurlCall>(call->request, call->url, call->addresses,
                                          ca_certificates(call->request.tls));
  call->state = Call::State::kRunning;
  CURL* const easy = call->curl->easy();
  if (opened && call->curl->setup() == CURLE_OK &&
      curl_multi_add_handle(multi_, easy) == CURLM_OK) {
    running_.emplace(easy, call);
    if (!call->shares) ++alone_;
    if (call->request.on_data) ++streaming_;
    return kick();
  }
  call->lookup = reactor_.after(Duration(0), [this, weak = std::weak_ptr(call)] {
    const auto self = shared_from_this();
    if (const auto kept = weak.lock()) finish(kept, kept->curl->outcome(CURLE_FAILED_INIT));
  });
}

const std::string& Client::ca_certificates(const HttpTls& tls) {
  static const std::string none;
  if (tls.ca_path.empty() || !tls.verify) return none;
  CaFolder& folder = ca_folders_[tls.ca_file + '\n' + tls.ca_path];
  if (reactor_.now() >= folder.fresh_until) {
    folder.certificates = read_ca_folder(tls.ca_path);
    if (!tls.ca_file.empty()) folder.certificates += read_ca_file(tls.ca_file);
    folder.fresh_until = reactor_.now() + kCaFolderFresh;
  }
  return folder.certificates;
}

/// Takes the call out of curl. Its connection, unless it was in the middle of something, stays
/// pooled.
void Client::detach(Call& call) {
  if (!call.curl) return;
  if (running_.erase(call.curl->easy()) > 0) {
    curl_multi_remove_handle(multi_, call.curl->easy());
    if (!call.shares) --alone_;
    if (call.request.on_data) --streaming_;
  }
  call.curl.reset();
}

void Client::cancel(const std::shared_ptr<Call>& call) {
  if (call->state == Call::State::kDone) return;
  call->state = Call::State::kDone;
  detach(*call);
  call->lookup = Watch();
  call->timeout = Watch();
  calls_.erase(call.get());
  // The caller's closure may own the caller of this.
  const auto forgotten = std::exchange(call->done, nullptr);
  start_queued();
}

void Client::finish(const std::shared_ptr<Call>& call, Result<HttpResponse> result) {
  if (call->state == Call::State::kDone) return;
  const HttpClient::Callback done = std::exchange(call->done, nullptr);
  cancel(call);
  done(std::move(result));
}

void Client::timed_out(const std::shared_ptr<Call>& call) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(call->request.timeout);
  const std::string within = " within " + std::to_string(ms.count()) + "ms";
  std::string why;
  switch (call->state) {
    case Call::State::kResolving:
      why = "name '" + call->url.host + "' not resolved" + within;
      break;
    case Call::State::kQueued:
      why = "no connection of the pool free" + within;
      break;
    case Call::State::kRunning:
      why = (call->curl->connected() ? "no complete answer" : "not connected") + within;
      if (!call->curl->connected()) hosts_.forget(call->url.host, call->url.port);
      break;
    case Call::State::kDone:
      return;
  }
  finish(call, Error(Errc::kTimeout,
                     "cannot " + call->request.method + " '" + call->url.shown + "': " + why));
}

// ---- curl's side ----

void Client::on_curl_socket(curl_socket_t fd, int what) {
  if (what == CURL_POLL_REMOVE) {
    sockets_.erase(fd);
    return;
  }
  Socket& socket = sockets_[fd];
  if (socket.what == what) return;
  socket.what = what;
  const std::uint32_t events =
      ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0u);
  socket.watch = Watch();  // one registration per fd
  socket.watch = reactor_.on_fd(fd, events, [this, fd](std::uint32_t got) {
    act(fd, ((got & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                ((got & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                ((got & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0));
  });
}

void Client::on_curl_timer(long ms) {
  timer_ = Watch();
  if (ms < 0) return;
  timer_ = reactor_.after(std::chrono::milliseconds(ms), [this] { act(CURL_SOCKET_TIMEOUT, 0); });
}

void Client::act(curl_socket_t fd, int events) {
  int still_running = 0;
  curl_multi_socket_action(multi_, fd, events, &still_running);
  conclude();
}

/// Connects and sends at once what was just added; curl's timer would have it wait for the next
/// turn of the loop. What else this brought is told in a turn of its own, not within somebody's
/// call.
void Client::kick() {
  int still_running = 0;
  curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &still_running);
  if (static_cast<std::size_t>(still_running) < running_.size() || streaming_ > 0)
    concluding_ = reactor_.after(Duration(0), [this] { conclude(); });
}

/// Tells of what curl has finished and received. It is not on the stack, so callbacks may do what
/// they like.
void Client::conclude() {
  const auto self = shared_from_this();
  concluding_ = Watch();
  const Finished finished = finished_transfers();
  deliver_data();
  for (const auto& [call, code] : finished) {
    if (call->state != Call::State::kRunning) continue;
    if (code != CURLE_OK && !call->curl->connected()) hosts_.forget(call->url.host, call->url.port);
    Result<HttpResponse> outcome = call->curl->outcome(code);
    if (outcome) note_server(call->url, outcome.value().multiplexed);
    finish(call, std::move(outcome));
  }
}

void Client::note_server(const HttpUrl& url, bool multiplexes) {
  if (multiplexes) {
    multiplexing_.emplace(url.host, url.port);
  } else {
    multiplexing_.erase({url.host, url.port});
  }
}

Client::Finished Client::finished_transfers() {
  Finished finished;
  int left = 0;
  while (const CURLMsg* const message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto it = running_.find(message->easy_handle);
    if (it != running_.end()) finished.emplace_back(it->second, message->data.result);
  }
  return finished;
}

void Client::deliver_data() {
  if (streaming_ == 0) return;
  std::vector<std::shared_ptr<Call>> streaming;
  for (const auto& [easy, call] : running_) {
    if (call->curl->has_data()) streaming.push_back(call);
  }
  for (const auto& call : streaming) {
    if (call->state != Call::State::kRunning) continue;
    const std::string data = call->curl->take_data();
    if (call->request.on_data(data) || call->state != Call::State::kRunning) continue;
    finish(call, Error(Errc::kUnavailable, "cannot " + call->request.method + " '" +
                                               call->url.shown + "': ended by the caller"));
  }
}

class CurlClient : public HttpClient {
 public:
  explicit CurlClient(std::shared_ptr<Client> client) : client_(std::move(client)) {}
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;
  ~CurlClient() override { client_->shut_down(); }
  Watch request(HttpRequest request, Callback done) override {
    return client_->request(std::move(request), std::move(done));
  }

 private:
  const std::shared_ptr<Client> client_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> make_http_client(Reactor& reactor, Resolver& resolver,
                                                     std::size_t max_connections) {
  return std::unique_ptr<HttpClient>(
      std::make_unique<CurlClient>(std::make_shared<Client>(reactor, resolver, max_connections)));
}

}  // namespace containerpilot
