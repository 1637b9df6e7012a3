#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "containerpilot/supervisor/result.h"

namespace containerpilot {

/// An address the kernel takes: IPv4, IPv6 or a unix path.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

/// From a literal IPv4 or IPv6 address; nullopt for anything else.
std::optional<SocketAddress> ip_address(const std::string& ip, std::uint16_t port);
/// From "127.0.0.1:80" or "[::1]:80". Errors: kInvalid.
Result<SocketAddress> parse_ip_port(const std::string& text);
/// Errors: kInvalid when empty or longer than the kernel's 107 bytes.
Result<SocketAddress> unix_address(const std::string& path);
/// "127.0.0.1:80", "[::1]:80" or the path.
std::string to_string(const SocketAddress& address);
std::uint16_t port_of(const SocketAddress& address);
/// Where `fd` is bound.
SocketAddress local_address(int fd);

}  // namespace containerpilot
