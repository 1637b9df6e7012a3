#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "containerpilot/supervisor/result.h"

namespace containerpilot {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError, kFatal, kPanic };
enum class LogFormat : std::uint8_t { kDefault, kText, kJson };

/// Where and how the agent (and the wrapped output of its children) logs.
struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kDefault;
  std::string output = "stdout";  ///< "stdout", "stderr" or a path (appended, created 0666 & ~umask)
  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

/// One key beside the message; keys as in the list in supervisor/README.md.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double> value;
};
using LogFields = std::initializer_list<LogField>;

/// Switches the process-wide log. Until the first call: default format, level info, stdout.
/// Errors: kIo/kDenied when the file cannot be opened; the old log then stays in use.
Status configure_log(const LogConfig& config);
/// Closes and reopens the file by name (rotation); if that fails the old file stays in use.
Status reopen_log();
/// Writes out what is buffered, waiting at most a second.
void flush_log();
[[nodiscard]] const LogConfig& log_config();
[[nodiscard]] bool log_enabled(LogLevel level);

/// One entry. Any thread; never blocks on a full pipe (see LogStats::dropped).
void log(LogLevel level, std::string_view module, std::string_view message, LogFields fields = {});
inline void log_debug(std::string_view module, std::string_view message, LogFields fields = {}) {
  if (log_enabled(LogLevel::kDebug)) log(LogLevel::kDebug, module, message, fields);
}
inline void log_info(std::string_view module, std::string_view message, LogFields fields = {}) {
  log(LogLevel::kInfo, module, message, fields);
}
inline void log_warn(std::string_view module, std::string_view message, LogFields fields = {}) {
  log(LogLevel::kWarn, module, message, fields);
}
inline void log_error(std::string_view module, std::string_view message, LogFields fields = {}) {
  log(LogLevel::kError, module, message, fields);
}

/// Who a line of child output came from.
struct LineSource {
  std::string_view job;    ///< job name; empty when `check` is set
  std::string_view check;  ///< "check.<job>"
  std::string_view sensor;
  pid_t pid = 0;
};
/// One whole line of a child's output, without its newline, logged at level info.
void log_child_line(const LineSource& source, std::string_view line);

struct LogStats {
  std::uint64_t lines = 0;
  std::uint64_t dropped = 0;     ///< agent entries that found the buffer full
  std::uint64_t suppressed = 0;  ///< held back by a rate guard
};
[[nodiscard]] LogStats log_stats();
/// True while the buffer is above its high-water mark: readers of child output pause (back-pressure).
[[nodiscard]] bool log_congested();

/// For tests: entries go to `sink` instead, until the handle is destroyed.
using LogSinkForTest =
    std::function<void(LogLevel, std::string_view module, std::string_view message, LogFields)>;
std::shared_ptr<void> capture_log_for_test(LogSinkForTest sink);

}  // namespace containerpilot
