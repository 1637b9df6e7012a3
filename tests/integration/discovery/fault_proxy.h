#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::discovery {

/// Stands between a client and a server and does to new connections what networks and sick servers
/// do.
class FaultProxy {
 public:
  enum class Fault { kNone, kHang, kHalf, kError, kSlow, kNonsense, kHuge, kReset };
  static constexpr std::array kFaults = {Fault::kHang, Fault::kHalf, Fault::kError,
                                         Fault::kSlow, Fault::kHuge, Fault::kNonsense,
                                         Fault::kReset};

  FaultProxy(Reactor& reactor, std::uint16_t upstream_port)
      : reactor_(reactor), upstream_(loopback(upstream_port)) {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_.get(), as_any(address), size) != 0 ||
        ::listen(listener_.get(), 512) != 0 ||
        ::getsockname(listener_.get(), as_any(address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    accepting_ = reactor_.on_fd(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
  }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  /// What happens to connections from now on.
  void set(Fault fault) { fault_ = fault; }
  /// And to those there are.
  void reset_all() {
    for (auto& [id, c] : connections_) hard_close(c.client);
    connections_.clear();
  }

 private:
  struct Connection {
    Fault fault;
    UniqueFd client, server;
    Watch client_watch, server_watch, timer;
    std::string to_server;
    bool connected = false;
    std::size_t sent = 0;
  };

  static sockaddr* as_any(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  static void hard_close(UniqueFd& fd) {
    const linger abort{1, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  }

  void accept() {
    for (;;) {
      UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.valid()) return;
      if (fault_ == Fault::kReset) {
        hard_close(fd);
        continue;
      }
      const std::uint64_t id = next_++;
      Connection& c = connections_[id];
      c.fault = fault_;
      c.client = std::move(fd);
      c.client_watch =
          reactor_.on_fd(c.client.get(), EPOLLIN, [this, id](std::uint32_t) { from_client(id); });
    }
  }

  void drop(std::uint64_t id) {
    // Its watches may be what is calling.
    const auto it = connections_.find(id);
    if (it != connections_.end()) connections_.erase(it);
  }

  void from_client(std::uint64_t id) {
    Connection& c = connections_.at(id);
    std::array<char, 16384> buffer;
    const ssize_t n = ::recv(c.client.get(), buffer.data(), buffer.size(), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return drop(id);
    if (n < 0) return;
    switch (c.fault) {
      case Fault::kNone:
        c.to_server.append(buffer.data(), static_cast<std::size_t>(n));
        return to_server(id);
      case Fault::kHang:
      case Fault::kReset:
        return;
      case Fault::kHalf:
        return canned(id,
                      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-Consul-Index: 9\r\n\r\n[{\"No");
      case Fault::kError:
        return canned(id,
                      "HTTP/1.1 500 Sick\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsick");
      case Fault::kNonsense:
        return canned(
            id,
            "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n[{\"Service\":7}]");
      case Fault::kSlow:
        return slow(id);
      case Fault::kHuge:
        return huge(id);
    }
  }

  void canned(std::uint64_t id, std::string_view answer) {
    ::send(connections_.at(id).client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    drop(id);
  }

  void slow(std::uint64_t id) {
    constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
    Connection& c = connections_.at(id);
    if (c.sent == kAnswer.size() || ::send(c.client.get(), &kAnswer[c.sent], 1, MSG_NOSIGNAL) != 1)
      return drop(id);
    ++c.sent;
    c.timer = reactor_.after(std::chrono::milliseconds(20), [this, id] { slow(id); });
  }

  void huge(std::uint64_t id) {
    static const std::string kPiece(256 * 1024, '[');
    Connection& c = connections_.at(id);
    if (c.sent == 0) {
      // Every other one does not say how long it will be.
      const std::string length = id % 2 == 0 ? "Content-Length: 104857600\r\n" : "";
      const std::string head = "HTTP/1.1 200 OK\r\n" + length + "\r\n";
      ::send(c.client.get(), head.data(), head.size(), MSG_NOSIGNAL);
      c.sent = 1;
    }
    if (::send(c.client.get(), kPiece.data(), kPiece.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
      return drop(id);
    c.timer = reactor_.after(std::chrono::milliseconds(1), [this, id] { huge(id); });
  }

  void to_server(std::uint64_t id) {
    Connection& c = connections_.at(id);
    if (!c.server.valid()) {
      c.server = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (::connect(c.server.get(), as_any(upstream_), sizeof upstream_) != 0 &&
          errno != EINPROGRESS)
        return drop(id);
      c.server_watch =
          reactor_.on_fd(c.server.get(), EPOLLIN | EPOLLOUT, [this, id](std::uint32_t events) {
            if ((events & EPOLLERR) != 0) return drop(id);
            Connection& here = connections_.at(id);
            if (!std::exchange(here.connected, true)) {
              here.server_watch = Watch();
              here.server_watch = reactor_.on_fd(here.server.get(), EPOLLIN,
                                                 [this, id](std::uint32_t) { from_server(id); });
            }
            to_server(id);
          });
      return;
    }
    if (!c.connected || c.to_server.empty()) return;
    const ssize_t n = ::send(c.server.get(), c.to_server.data(), c.to_server.size(), MSG_NOSIGNAL);
    if (n < 0) return drop(id);
    c.to_server.erase(0, static_cast<std::size_t>(n));
  }

  void from_server(std::uint64_t id) {
    Connection& c = connections_.at(id);
    std::array<char, 16384> buffer;
    const ssize_t n = ::recv(c.server.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 ||
        ::send(c.client.get(), buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n)
      drop(id);
  }

  Reactor& reactor_;
  sockaddr_in upstream_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  Watch accepting_;
  Fault fault_ = Fault::kNone;
  std::map<std::uint64_t, Connection> connections_;
  std::uint64_t next_ = 1;
};

}  // namespace containerpilot::discovery
