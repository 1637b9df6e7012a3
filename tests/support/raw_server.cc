#include "support/raw_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>

namespace containerpilot::test {

RawServer::RawServer(Reactor& reactor)
    : reactor_(reactor), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd_.get(), any, size) != 0 || ::listen(fd_.get(), 64) != 0 ||
      ::getsockname(fd_.get(), any, &size) != 0) {
    std::abort();
  }
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  watch_ = reactor_.on_fd(fd_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
}

void RawServer::accept() {
  UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return;
  ++accepted_;
  const int number = fd.get();
  Connection& connection = connections_[number];
  connection.fd = std::move(fd);
  connection.watch =
      reactor_.on_fd(number, EPOLLIN, [this, number](std::uint32_t) { read(number); });
}

void RawServer::read(int fd) {
  Connection& connection = connections_[fd];
  std::array<char, 65536> buffer;
  const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (n <= 0) {
    connections_.erase(fd);
    return;
  }
  connection.received.append(buffer.data(), static_cast<std::size_t>(n));
  if (connection.received.find("\r\n\r\n") == std::string::npos) return;
  last_request_ = std::exchange(connection.received, {});
  ::send(fd, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
  if (then_ == Then::kHold) return;
  if (then_ == Then::kReset) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  connection.watch = Watch();
  connections_.erase(fd);
}

}  // namespace containerpilot::test
