#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::telemetry {

/// What came back on a connection until the server closed it.
struct RawAnswer {
  int status = 0;  ///< 0: nothing, or no HTTP
  std::string head, body;
  [[nodiscard]] bool has(std::string_view header) const {
    return head.find(header) != std::string::npos;
  }
};

/// A client that sends exactly what it is told, for requests no library would make. Throws on
/// failure.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, bool v6 = false) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_addr = in6addr_loopback;
    six.sin6_port = htons(port);
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    four.sin_port = htons(port);
    fd_.reset(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto* address =
        v6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
    if (::connect(fd_.get(), address, v6 ? sizeof(six) : sizeof(four)) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }

  [[nodiscard]] int fd() const { return fd_.get(); }

  /// False once the server no longer takes it.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Reads until `until` has come, the server closes, or the deadline.
  std::string read(std::chrono::milliseconds deadline, std::string_view until = {}) {
    std::string text;
    const auto end = std::chrono::steady_clock::now() + deadline;
    std::array<char, 65536> buffer;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      pollfd poll{fd_.get(), POLLIN, 0};
      if (left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) <= 0) {
        throw std::runtime_error("no answer in time; so far: " + text);
      }
      const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) return text;
      text.append(buffer.data(), static_cast<std::size_t>(got));
      if (!until.empty() && text.find(until) != std::string::npos) return text;
    }
  }

  RawAnswer answer(std::chrono::milliseconds deadline = std::chrono::seconds(10)) {
    return parse(read(deadline));
  }

  static RawAnswer parse(const std::string& text) {
    RawAnswer answer;
    const auto end = text.find("\r\n\r\n");
    answer.head = text.substr(0, end);
    if (end != std::string::npos) answer.body = text.substr(end + 4);
    if (text.rfind("HTTP/1.1 ", 0) == 0) answer.status = std::stoi(text.substr(9, 3));
    return answer;
  }

 private:
  UniqueFd fd_;
};

/// One whole exchange.
inline RawAnswer ask(std::uint16_t port, std::string_view request) {
  RawClient client(port);
  client.send(request);
  return client.answer();
}

inline RawAnswer get(std::uint16_t port, const std::string& path, const std::string& headers = {}) {
  return ask(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n");
}

}  // namespace containerpilot::telemetry
