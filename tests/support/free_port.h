#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>

#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::test {

/// A TCP port on 127.0.0.1 that nobody listens on right now. Only for programs that cannot be given
/// port 0 and asked: another process may take it in between.
inline std::uint16_t free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd.get(), any, size) != 0 || ::getsockname(fd.get(), any, &size) != 0) std::abort();
  return ntohs(address.sin_port);
}

}  // namespace containerpilot::test
