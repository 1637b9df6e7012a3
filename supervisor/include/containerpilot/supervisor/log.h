#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "containerpilot/supervisor/result.h"

namespace containerpilot {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError, kFatal, kPanic };
enum class LogFormat : std::uint8_t { kDefault, kText, kJson };

/// Where and how the agent (and the wrapped output of its children) logs.
struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kDefault;
  std::string output =
      "stdout";  ///< "stdout", "stderr" or a path (appended, created 0666 & ~umask)
  /// Shown as *** in the agent's own entries; lines of children stay as they are.
  std::vector<std::string> masked;
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
/// Closes and reopens by name what is a file, LogFiles included (rotation); if that fails the old
/// file stays in use. Errors: the first one met.
Status reopen_log();
/// Writes out what is buffered, waiting at most a second.
void flush_log();
[[nodiscard]] LogConfig log_config();
[[nodiscard]] bool log_enabled(LogLevel level);

/// One entry. Any thread; never blocks on a full pipe or disk (see LogStats::dropped): a thread of
/// its own writes. `message` must say everything a person needs: the default format, which
/// is 3.8.0's, has no place for `fields`; text and json show them, with `mod`. Entries at warn and
/// above that repeat word by word are held back after 10 in 10 s, and their number is told
/// afterwards.
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

/// A file that child output goes to instead of the log's own output. Closing the last reference
/// closes it once what is buffered is written. reopen_log() reopens it too.
class LogFile;
/// Appends, creates with 0666 & ~umask. Errors: kNotFound, kDenied, kIo.
Result<std::shared_ptr<LogFile>> open_log_file(const std::string& path);

/// Further keys and values of a child's lines, as generation 2 names who printed them.
using LineFields = std::vector<std::pair<std::string, std::string>>;

/// Who a line of child output came from. At most one of the first three is set.
struct LineSource {
  std::string_view job;    ///< job name
  std::string_view check;  ///< "check.<job>"
  std::string_view sensor;
  pid_t pid = 0;
  bool bare = false;  ///< the line alone, without time and name (makes sense with `file`)
  bool merge_json =
      false;  ///< json format: members of a line that is a JSON object become the entry's own
  std::shared_ptr<LogFile> file = nullptr;  ///< null: where the log goes
  /// Stand beside the others in text and json; with them the default format names nobody.
  std::span<const LineFields::value_type> fields = {};
};
/// One whole line of a child's output, without its newline, logged at level info (so a log level
/// above hides it, unless it has a file of its own). Never dropped: whoever reads children stops
/// while log_congested(). Any thread.
void log_child_line(const LineSource& source, std::string_view line);

struct LogStats {
  std::uint64_t lines = 0;  ///< accepted, of the agent and of children
  std::uint64_t dropped =
      0;  ///< agent entries that found the buffer full, and lines that could not be written
  std::uint64_t suppressed = 0;  ///< repeats held back
};
[[nodiscard]] LogStats log_stats();
/// True while the buffer is above its high-water mark: readers of child output pause
/// (back-pressure).
[[nodiscard]] bool log_congested();

/// For tests: entries (and lines of children, with module "child") go to `sink` instead, until the
/// handle is destroyed.
using LogSinkForTest =
    std::function<void(LogLevel, std::string_view module, std::string_view message, LogFields)>;
std::shared_ptr<void> capture_log_for_test(LogSinkForTest sink);

}  // namespace containerpilot
