#include "support/raw_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace containerpilot::test {

namespace {

UniqueFd connect_to(const std::string& address) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const std::size_t colon = address.rfind(':');
  const auto port = static_cast<in_port_t>(std::atoi(address.substr(colon + 1).c_str()));
  if (address.front() == '/') {
    auto& un = reinterpret_cast<sockaddr_un&>(storage);
    un.sun_family = AF_UNIX;
    std::strncpy(un.sun_path, address.c_str(), sizeof un.sun_path - 1);
    length = sizeof un;
  } else if (address.front() == '[') {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    inet_pton(AF_INET6, address.substr(1, colon - 2).c_str(), &v6.sin6_addr);
    length = sizeof v6;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &v4.sin_addr);
    length = sizeof v4;
  }
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    std::fprintf(stderr, "cannot connect to %s: %s\n", address.c_str(), std::strerror(errno));
    std::abort();
  }
  return fd;
}

}  // namespace

RawSocket::RawSocket(Reactor& reactor, const std::string& address)
    : reactor_(reactor), fd_(connect_to(address)) {
  start_reading();
}

void RawSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;  // the other side closed: the test will see that
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool RawSocket::send_some(std::string_view bytes) {
  return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

void RawSocket::shut_down_sending() { ::shutdown(fd_.get(), SHUT_WR); }

void RawSocket::reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void RawSocket::close() {
  watch_ = Watch();
  fd_.reset();
}

void RawSocket::start_reading() {
  watch_ = reactor_.on_fd(fd_.get(), EPOLLIN, [this](std::uint32_t) {
    std::array<char, 65536> buffer;
    const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(n));
    } else if (n == 0 || errno != EAGAIN) {
      closed_ = true;
      watch_ = Watch();
    }
  });
}

}  // namespace containerpilot::test
