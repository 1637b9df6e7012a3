#include "log_format.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/utf8.h"
#include "json_object.h"

namespace containerpilot::detail {

namespace {

// What only changes once a second: "2026-01-02T03:04:05" and "Z" or "+02:00".
struct SecondCache {
  time_t second = -1;
  std::array<char, 19> date{};
  std::string zone;
};

void two_digits(char* to, int value) {
  to[0] = static_cast<char>('0' + value / 10 % 10);
  to[1] = static_cast<char>('0' + value % 10);
}

void refresh(SecondCache& cache, time_t second) {
  tm local{};
  localtime_r(&second, &local);
  const int year = local.tm_year + 1900;
  char* d = cache.date.data();
  two_digits(d, year / 100);
  two_digits(d + 2, year % 100);
  d[4] = '-';
  two_digits(d + 5, local.tm_mon + 1);
  d[7] = '-';
  two_digits(d + 8, local.tm_mday);
  d[10] = 'T';
  two_digits(d + 11, local.tm_hour);
  d[13] = ':';
  two_digits(d + 14, local.tm_min);
  d[16] = ':';
  two_digits(d + 17, local.tm_sec);
  if (local.tm_gmtoff == 0) {
    cache.zone = "Z";
  } else {
    const long minutes = std::labs(local.tm_gmtoff) / 60;
    char zone[6];
    zone[0] = local.tm_gmtoff < 0 ? '-' : '+';
    two_digits(zone + 1, static_cast<int>(minutes / 60));
    zone[3] = ':';
    two_digits(zone + 4, static_cast<int>(minutes % 60));
    cache.zone.assign(zone, sizeof zone);
  }
  cache.second = second;
}

template <class Number>
void append_number(std::string& out, Number value) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  out.append(buffer.data(), end);
}

// Bytes that cannot be copied as they are.
using ByteSet = std::array<bool, 256>;
constexpr ByteSet kTextSpecial = [] {
  ByteSet special{};
  for (std::size_t c = 0; c < 0x20; ++c) special[c] = true;
  special['"'] = special['\\'] = special[0x7F] = true;
  return special;
}();
constexpr ByteSet kJsonSpecial = [] {
  ByteSet special = kTextSpecial;
  for (std::size_t c = 0x80; c < 0x100; ++c) special[c] = true;  // to be checked as UTF-8
  return special;
}();

std::size_t plain_prefix(std::string_view text, const ByteSet& special) {
  const auto end = std::find_if(text.begin(), text.end(),
                                [&](char c) { return special[static_cast<unsigned char>(c)]; });
  return static_cast<std::size_t>(end - text.begin());
}

// The escapes that JSON and logfmt share; false if `c` is none of them.
bool append_short_escape(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return true;
    case '\\':
      out += "\\\\";
      return true;
    case '\n':
      out += "\\n";
      return true;
    case '\r':
      out += "\\r";
      return true;
    case '\t':
      out += "\\t";
      return true;
    default:
      return false;
  }
}

void append_hex(std::string& out, std::string_view prefix, unsigned char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += prefix;
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

void append_json_value(std::string& out, const LogField& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    append_json_string(out, *text);
  } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
    append_number(out, *integer);
  } else if (const double number = std::get<double>(field.value); std::isfinite(number)) {
    append_number(out, number);
  } else {
    out += std::isnan(number) ? "\"NaN\"" : number > 0 ? "\"+Inf\"" : "\"-Inf\"";
  }
}

void append_text_field(std::string& out, const LogField& field) {
  out += field.key;
  out += '=';
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    append_text_value(out, *text);
  } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
    append_number(out, *integer);
  } else {
    append_number(out, std::get<double>(field.value));
  }
  out += ' ';
}

void append_text_head(std::string& out, WallTime when, LogLevel level, std::string_view message) {
  out += "time=\"";
  append_time(out, when, Fraction::kNone);
  out += "\" level=";
  out += level_name(level);
  out += " msg=";
  append_text_value(out, message);
  out += ' ';
}

void append_member_name(std::string& out, std::string_view key) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += key;
  out += "\":";
}

// Text and json, keys in alphabetical order.
void format_fields(LogFormat format, std::string& out, WallTime when, LogLevel level,
                   std::string_view message, std::vector<LogField> all) {
  std::string time;
  if (format == LogFormat::kJson) {
    append_time(time, when, Fraction::kNanoseconds);
    all.push_back({"level", level_name(level)});
    all.push_back({"msg", message});
    all.push_back({"time", time});
  } else {
    append_text_head(out, when, level, message);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const LogField& a, const LogField& b) { return a.key < b.key; });
  if (format == LogFormat::kText) {
    for (const LogField& field : all) append_text_field(out, field);
    out += '\n';
    return;
  }
  out += '{';
  for (const LogField& field : all) {
    append_member_name(out, field.key);
    append_json_value(out, field);
  }
  out += "}\n";
}

std::vector<LogField> fields_of(const LineSource& source) {
  std::vector<LogField> all = {{"pid", std::int64_t{source.pid}}};
  if (const Origin origin = origin_of(source); !origin.key.empty())
    all.push_back({origin.key, origin.name});
  for (const auto& [key, value] : source.fields) all.push_back({key, value});
  return all;
}

// Keys in alphabetical order: check, job, level, msg, pid, sensor, time. A child's own members win.
void format_json_line(std::string& out, WallTime when, const LineSource& source,
                      std::string_view line) {
  JsonObject own;  // stays empty unless merging is asked for and possible
  const bool merge = source.merge_json && parse_json_object(line, own);
  const auto ours = [&](std::string_view key) {
    return !merge || std::find(own.keys.begin(), own.keys.end(), key) == own.keys.end();
  };
  const Origin origin = origin_of(source);
  const bool name_first = !origin.key.empty() && origin.key < "level";
  const auto append_name = [&] {
    append_member_name(out, origin.key);
    append_json_string(out, origin.name);
  };
  out += '{';
  if (name_first && ours(origin.key)) append_name();
  if (ours("level")) out += out.back() == '{' ? R"("level":"info")" : R"(,"level":"info")";
  if (!merge) {
    append_member_name(out, "msg");
    append_json_string(out, line);
  }
  if (source.pid != 0 && ours("pid")) {
    append_member_name(out, "pid");
    append_number(out, source.pid);
  }
  if (!origin.key.empty() && !name_first && ours(origin.key)) append_name();
  if (ours("time")) {
    append_member_name(out, "time");
    out += '"';
    append_time(out, when, Fraction::kNanoseconds);
    out += '"';
  }
  if (!own.members.empty()) {
    if (out.back() != '{') out += ',';
    out += own.members;
  }
  out += "}\n";
}

}  // namespace

Origin origin_of(const LineSource& source) {
  if (!source.job.empty()) return {"job", source.job};
  if (!source.check.empty()) return {"check", source.check};
  if (!source.sensor.empty()) return {"sensor", source.sensor};
  return {};
}

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warning";
    case LogLevel::kError:
      return "error";
    case LogLevel::kFatal:
      return "fatal";
    case LogLevel::kPanic:
      return "panic";
  }
  return "info";
}

void append_time(std::string& out, WallTime when, Fraction fraction) {
  thread_local SecondCache cache;
  const auto whole = std::chrono::floor<std::chrono::seconds>(when);
  const time_t second = whole.time_since_epoch().count();
  if (second != cache.second) refresh(cache, second);
  out.append(cache.date.data(), cache.date.size());
  long nanos = (when - whole).count();
  if (fraction == Fraction::kNanoseconds && nanos != 0) {
    std::array<char, 10> digits;
    digits[0] = '.';
    for (std::size_t i = 9; i >= 1; --i, nanos /= 10)
      digits[i] = static_cast<char>('0' + nanos % 10);
    std::size_t length = digits.size();
    while (digits[length - 1] == '0') --length;
    out.append(digits.data(), length);
  }
  out += cache.zone;
}

void append_json_string(std::string& out, std::string_view value) {
  out += '"';
  while (!value.empty()) {
    const std::size_t plain = plain_prefix(value, kJsonSpecial);
    out.append(value, 0, plain);
    value.remove_prefix(plain);
    if (value.empty()) break;
    std::size_t used = 1;
    if (const char c = value.front(); append_short_escape(out, c)) {
      // done
    } else if (static_cast<unsigned char>(c) < 0x80) {
      append_hex(out, "\\u00", static_cast<unsigned char>(c));
    } else if (const std::size_t length = utf8_length(value); length != 0) {
      out.append(value, 0, length);
      used = length;
    } else {
      out += "\xEF\xBF\xBD";
    }
    value.remove_prefix(used);
  }
  out += '"';
}

void append_text_value(std::string& out, std::string_view value) {
  const auto bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  };
  if (std::all_of(value.begin(), value.end(), bare)) {
    out += value;
    return;
  }
  out += '"';
  while (!value.empty()) {
    const std::size_t plain = plain_prefix(value, kTextSpecial);
    out.append(value, 0, plain);
    value.remove_prefix(plain);
    if (value.empty()) break;
    if (const char c = value.front(); !append_short_escape(out, c)) {
      append_hex(out, "\\x", static_cast<unsigned char>(c));
    }
    value.remove_prefix(1);
  }
  out += '"';
}

void format_entry(LogFormat format, std::string& out, WallTime when, LogLevel level,
                  std::string_view module, std::string_view message, std::vector<LogField> fields) {
  if (format == LogFormat::kDefault) {
    append_time(out, when, Fraction::kNanoseconds);
    out += ' ';
    out += message;
    out += '\n';
    return;
  }
  std::vector<LogField> all = std::move(fields);
  if (!module.empty()) all.push_back({"mod", module});
  format_fields(format, out, when, level, message, std::move(all));
}

void format_child_line(LogFormat format, std::string& out, WallTime when, const LineSource& source,
                       std::string_view line) {
  if (source.bare) {
    out += line;
    out += '\n';
    return;
  }
  if (!source.fields.empty() && format != LogFormat::kDefault)
    return format_fields(format, out, when, LogLevel::kInfo, line, fields_of(source));
  switch (format) {
    case LogFormat::kDefault:
      append_time(out, when, Fraction::kNanoseconds);
      out += ' ';
      if (!source.fields.empty()) {
        out += line;
        out += '\n';
        return;
      }
      // A check's line names only the pid, as 3.8.0 has it.
      if (const Origin origin = origin_of(source); !origin.name.empty() && source.check.empty()) {
        out += origin.name;
        out += ' ';
      }
      append_number(out, source.pid);
      out += ' ';
      out += line;
      out += '\n';
      return;
    case LogFormat::kText: {
      append_text_head(out, when, LogLevel::kInfo, line);
      const Origin origin = origin_of(source);
      const LogField pid{"pid", std::int64_t{source.pid}};
      const bool name_first = origin.key < pid.key;
      if (!name_first) append_text_field(out, pid);
      if (!origin.key.empty()) append_text_field(out, {origin.key, origin.name});
      if (name_first) append_text_field(out, pid);
      out += '\n';
      return;
    }
    case LogFormat::kJson:
      format_json_line(out, when, source, line);
      return;
  }
}

}  // namespace containerpilot::detail
