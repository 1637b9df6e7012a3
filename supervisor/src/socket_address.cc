#include "socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>

namespace containerpilot {

std::optional<SocketAddress> ip_address(const std::string& ip, std::uint16_t port) {
  SocketAddress result;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
  if (inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    result.length = sizeof *v4;
    return result;
  }
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    result.length = sizeof *v6;
    return result;
  }
  return std::nullopt;
}

Result<SocketAddress> parse_ip_port(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon != text.npos && colon > 0) {
    std::string host = text.substr(0, colon);
    const bool bracketed = host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    std::uint16_t port = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error == std::errc() && stop == end && bracketed == (host.find(':') != host.npos)) {
      if (auto address = ip_address(host, port)) return *address;
    }
  }
  return Error(Errc::kInvalid, "cannot use address '" + text +
                                   "': it must be an IP address and a port, like "
                                   "'127.0.0.1:8500' or '[::1]:8500'");
}

Result<SocketAddress> unix_address(const std::string& path) {
  SocketAddress result;
  auto* const un = reinterpret_cast<sockaddr_un*>(&result.storage);
  if (path.empty() || path.size() >= sizeof un->sun_path) {
    return Error(Errc::kInvalid, "cannot use unix socket path '" + path + "': it must have 1 to " +
                                     std::to_string(sizeof un->sun_path - 1) + " bytes");
  }
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.c_str(), path.size() + 1);
  result.length = sizeof *un;
  return result;
}

std::string to_string(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  const std::string port = std::to_string(port_of(address));
  switch (address.family()) {
    case AF_INET:
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr, text,
                sizeof text);
      return std::string(text) + ":" + port;
    case AF_INET6:
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr, text,
                sizeof text);
      return "[" + std::string(text) + "]:" + port;
    case AF_UNIX:
      return reinterpret_cast<const sockaddr_un&>(address.storage).sun_path;
    default:
      return "";
  }
}

std::uint16_t port_of(const SocketAddress& address) {
  switch (address.family()) {
    case AF_INET:
      return ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
    case AF_INET6:
      return ntohs(reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port);
    default:
      return 0;
  }
}

SocketAddress local_address(int fd) {
  SocketAddress result;
  result.length = sizeof result.storage;
  getsockname(fd, reinterpret_cast<sockaddr*>(&result.storage), &result.length);
  return result;
}

}  // namespace containerpilot
