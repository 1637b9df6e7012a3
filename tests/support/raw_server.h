#pragma once

#include <map>
#include <string>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::test {

/// A server for answers no HTTP server would give: once a request's header is there it sends given
/// bytes and then does what it was told to.
class RawServer {
 public:
  enum class Then { kHold, kClose, kReset };

  explicit RawServer(Reactor& reactor);
  /// "127.0.0.1:<port>".
  [[nodiscard]] const std::string& address() const { return address_; }
  void answer(std::string bytes, Then then) {
    bytes_ = std::move(bytes);
    then_ = then;
  }
  /// Connections stay in the kernel's queue.
  void stop_accepting() { watch_ = Watch(); }
  [[nodiscard]] int accepted() const { return accepted_; }
  [[nodiscard]] const std::string& last_request() const { return last_request_; }

 private:
  struct Connection {
    UniqueFd fd;
    Watch watch;
    std::string received;
  };
  void accept();
  void read(int fd);

  Reactor& reactor_;
  UniqueFd fd_;
  std::string address_;
  Watch watch_;
  std::map<int, Connection> connections_;
  std::string bytes_;
  Then then_ = Then::kHold;
  int accepted_ = 0;
  std::string last_request_;
};

}  // namespace containerpilot::test
