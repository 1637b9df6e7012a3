#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::detail {

/// Reads "KEY=value" lines; keys we do not know are skipped. Source: sd_notify(3). Pure.
Notification parse_notification(std::string_view text);

/// The receiving end of one run's NOTIFY_SOCKET, in the abstract name space: it needs no writable
/// folder, and nothing is left behind. Loop thread only.
class NotifySocket {
 public:
  /// `from_child` says whether a process may speak for the run; pids are the kernel's word.
  /// Errors: kUnavailable, kIo.
  static Result<std::unique_ptr<NotifySocket>> open(
      Reactor& reactor, std::function<bool(pid_t)> from_child,
      std::function<void(const Notification&)> on_notify);

  /// For NOTIFY_SOCKET: "@" and the name.
  [[nodiscard]] const std::string& address() const { return address_; }
  /// Hands out what has arrived and was not read yet.
  void drain();

 private:
  NotifySocket() = default;
  bool read_one();

  UniqueFd fd_;
  std::string address_;
  std::function<bool(pid_t)> from_child_;
  std::function<void(const Notification&)> on_notify_;
  Watch watch_;
};

}  // namespace containerpilot::detail
