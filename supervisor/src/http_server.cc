#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/log.h"
#include "errno_text.h"
#include "http_connection.h"
#include "listening_socket.h"

namespace containerpilot {

namespace {

/// Connections beyond the limit that may wait at once to be told so.
constexpr std::size_t kMaxRefused = 64;
/// Pause when the process is out of descriptors or memory: the listening socket stays readable, so
/// without it the loop would spin.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

/// A client that vanished without a word (its machine is gone) must not hold a long poll for ever.
void set_tcp_options(int fd) {
  const int on = 1;
  const int idle_seconds = 30;
  const int interval_seconds = 10;
  const int probes = 3;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

class Server : public HttpServer {
 public:
  Server(Reactor& reactor, ListeningSocket socket, HttpHandler handler, HttpServerLimits limits)
      : shared_(std::make_shared<HttpServerShared>(reactor, std::move(handler), limits,
                                                   socket.is_unix())),
        socket_(std::move(socket)) {
    watch_listener();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() override { close_all(); }

  [[nodiscard]] const std::string& address() const override { return socket_.address(); }
  [[nodiscard]] std::uint16_t port() const override { return socket_.port(); }

  void drain(Duration deadline) override {
    listener_watch_ = Watch();
    accept_timer_ = Watch();
    shared_->draining = true;
    for (const auto& connection : connections()) connection->drain();
    drain_timer_ = shared_->reactor.after(deadline, [this] { close_all(); });
  }

 private:
  void watch_listener() {
    listener_watch_ =
        shared_->reactor.on_fd(socket_.fd(), EPOLLIN, [this](std::uint32_t) { accept_one(); });
  }

  /// One a turn: what it sent already is answered at once, which may destroy this server.
  void accept_one() {
    UniqueFd fd(accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause_accepting(errno);
      // Everything else concerns one connection that is gone already (ECONNABORTED, EPROTO, …).
      return;
    }
    if (paused_) {
      paused_ = false;
      log_info("http", "accepting connections again on '" + address() + "'");
    }
    accepted(std::move(fd));
  }

  void accepted(UniqueFd fd) {
    if (!socket_.is_unix()) set_tcp_options(fd.get());
    const std::size_t open = shared_->connections.size();
    const std::size_t limit = shared_->limits.max_connections;
    if (open >= limit + kMaxRefused) return;
    const auto connection = std::make_shared<HttpConnection>(shared_, std::move(fd));
    shared_->connections.emplace(connection.get(), connection);
    if (open >= limit) {
      connection->start_refused();
    } else {
      connection->start();
    }
  }

  void pause_accepting(int sys_errno) {
    if (!paused_) {
      paused_ = true;
      log_warn("http", "cannot accept connections on '" + address() +
                           "': " + detail::errno_text(sys_errno) + ", retrying every 100ms");
    }
    listener_watch_ = Watch();
    accept_timer_ = shared_->reactor.after(kAcceptPause, [this] { watch_listener(); });
  }

  [[nodiscard]] std::vector<std::shared_ptr<HttpConnection>> connections() const {
    std::vector<std::shared_ptr<HttpConnection>> result;
    result.reserve(shared_->connections.size());
    for (const auto& [key, connection] : shared_->connections) result.push_back(connection);
    return result;
  }

  void close_all() {
    for (const auto& connection : connections()) connection->close();
  }

  const std::shared_ptr<HttpServerShared> shared_;
  const ListeningSocket socket_;
  bool paused_ = false;
  Watch listener_watch_;
  Watch accept_timer_;
  Watch drain_timer_;
};

Result<std::unique_ptr<HttpServer>> serve(Reactor& reactor, Result<ListeningSocket> socket,
                                          HttpHandler handler, HttpServerLimits limits) {
  if (!socket) return std::move(socket).error();
  return std::unique_ptr<HttpServer>(
      std::make_unique<Server>(reactor, std::move(socket).value(), std::move(handler), limits));
}

}  // namespace

Result<std::unique_ptr<HttpServer>> listen_tcp(Reactor& reactor, const std::string& address,
                                               HttpHandler handler, HttpServerLimits limits) {
  return serve(reactor, ListeningSocket::tcp(address), std::move(handler), limits);
}

Result<std::unique_ptr<HttpServer>> listen_unix(Reactor& reactor, const std::string& path,
                                                unsigned mode, HttpHandler handler,
                                                HttpServerLimits limits) {
  return serve(reactor, ListeningSocket::unix_path(path, mode), std::move(handler), limits);
}

}  // namespace containerpilot
