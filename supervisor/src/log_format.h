#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::detail {

/// The three line shapes of ContainerPilot 3.8.0 (spec v3, section 8), each ending in a newline and
/// appended to `out`. Pure but for the local time zone; any thread.
void format_entry(LogFormat format, std::string& out, WallTime when, LogLevel level,
                  std::string_view module, std::string_view message, std::vector<LogField> fields);
void format_child_line(LogFormat format, std::string& out, WallTime when, const LineSource& source,
                       std::string_view line);

/// Whose line it is: key "job", "check" or "sensor" and the name; both empty if nobody is named.
struct Origin {
  std::string_view key;
  std::string_view name;
};
Origin origin_of(const LineSource& source);

/// RFC 3339 in local time; nanoseconds without trailing zeros, or whole seconds.
enum class Fraction { kNanoseconds, kNone };
void append_time(std::string& out, WallTime when, Fraction fraction);

/// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view value);

/// logfmt: bare if only [A-Za-z0-9.-], else quoted with \" \\ \n \r \t \xNN escaped.
void append_text_value(std::string& out, std::string_view value);

/// "debug" … "warning" … "panic".
std::string_view level_name(LogLevel level);

}  // namespace containerpilot::detail
