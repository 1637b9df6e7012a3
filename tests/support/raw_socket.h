#pragma once

#include <string>
#include <string_view>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::test {

/// A client's end of a stream socket on the loop, for bytes no HTTP library would send. Aborts when
/// it cannot connect.
class RawSocket {
 public:
  /// `address` is "127.0.0.1:80", "[::1]:80" or the path of a unix socket.
  RawSocket(Reactor& reactor, const std::string& address);
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  /// Blocks until the kernel has it all: not for more than a socket buffer takes.
  void send(std::string_view bytes);
  /// False when the kernel takes nothing more now.
  bool send_some(std::string_view bytes);
  void shut_down_sending();
  /// With a reset instead of an orderly end.
  void reset();
  void close();
  void stop_reading() { watch_ = Watch(); }
  void start_reading();

  [[nodiscard]] const std::string& received() const { return received_; }
  std::string take_received() { return std::exchange(received_, {}); }
  /// The other side closed or reset.
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  Reactor& reactor_;
  UniqueFd fd_;
  Watch watch_;
  std::string received_;
  bool closed_ = false;
};

}  // namespace containerpilot::test
