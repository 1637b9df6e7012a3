#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "containerpilot/telemetry/server.h"

namespace containerpilot::telemetry {

class EventFeed::Impl {
 public:
  void publish(std::string_view type, std::string_view data);
  /// Id of the newest event; 0 before the first.
  [[nodiscard]] std::uint64_t newest() const;
  /// Appends to `out`, as text/event-stream, what came after `seen`, and moves `seen`. Waits for up
  /// to `patience`; nothing appended then, or once `stopping` is true (call wake() after setting
  /// it).
  void wait(std::uint64_t& seen, Duration patience, const std::atomic<bool>& stopping,
            std::string& out);
  void wake();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> events_;  // the last one has the id newest_
  std::uint64_t newest_ = 0;
};

}  // namespace containerpilot::telemetry
