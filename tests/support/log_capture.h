#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "containerpilot/supervisor/log.h"

namespace containerpilot::test {

/// Collects what is logged while it lives, from any thread; nothing reaches stdout.
class LogCapture {
 public:
  struct Entry {
    LogLevel level;
    std::string module;
    std::string message;
    std::map<std::string, std::string> fields;
  };

  LogCapture()
      : handle_(capture_log_for_test([this](LogLevel level, std::string_view module,
                                            std::string_view message, LogFields fields) {
          Entry entry{level, std::string(module), std::string(message), {}};
          for (const LogField& field : fields) {
            entry.fields.emplace(field.key,
                                 std::visit([](auto value) { return text(value); }, field.value));
          }
          const std::scoped_lock lock(mutex_);
          entries_.push_back(std::move(entry));
        })) {}

  [[nodiscard]] std::vector<Entry> entries() const {
    const std::scoped_lock lock(mutex_);
    return entries_;
  }
  /// How many messages contain `part`.
  [[nodiscard]] std::ptrdiff_t count(std::string_view part) const {
    const std::scoped_lock lock(mutex_);
    return std::count_if(entries_.begin(), entries_.end(), [part](const Entry& entry) {
      return entry.message.find(part) != std::string::npos;
    });
  }
  [[nodiscard]] bool contains(std::string_view part) const { return count(part) > 0; }

 private:
  static std::string text(std::string_view value) { return std::string(value); }
  static std::string text(std::int64_t value) { return std::to_string(value); }
  static std::string text(double value) { return std::to_string(value); }

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  std::shared_ptr<void> handle_;  // last: stops the log from calling before the rest is gone
};

}  // namespace containerpilot::test
