#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "containerpilot/supervisor/result.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot {

/// A non-blocking socket that listens. A unix socket's file is removed on destruction if it is
/// still the one made here.
class ListeningSocket {
 public:
  /// `address` as for listen_tcp().
  static Result<ListeningSocket> tcp(const std::string& address);
  /// `path` and `mode` as for listen_unix().
  static Result<ListeningSocket> unix_path(const std::string& path, unsigned mode);

  ListeningSocket(ListeningSocket&& o) noexcept = default;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  ~ListeningSocket();

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool is_unix() const { return inode_ != 0; }
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  ListeningSocket() = default;

  UniqueFd fd_;
  std::string address_;
  std::uint16_t port_ = 0;
  dev_t device_ = 0;  // of the unix socket's file
  ino_t inode_ = 0;
};

}  // namespace containerpilot
