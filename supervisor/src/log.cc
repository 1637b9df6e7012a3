#include "containerpilot/supervisor/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/sink.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "errno_text.h"
#include "log_format.h"
#include "log_writer.h"
#include "repeat_guard.h"

namespace containerpilot {

namespace {

WallTime wall_clock() { return std::chrono::system_clock::now(); }

/// Hands finished lines to the writer; spdlog decides by level and calls it.
class WriterSink final : public spdlog::sinks::sink {
 public:
  explicit WriterSink(LogWriter& writer, std::shared_ptr<LogFile> file)
      : writer_(writer), file_(std::move(file)) {}
  void log(const spdlog::details::log_msg& message) override {
    writer_.append(file_, LogWriter::WhenFull::kDrop, [&](std::string& out) {
      out.append(message.payload.data(), message.payload.size());
    });
  }
  void flush() override { writer_.flush(); }
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  LogWriter& writer_;
  std::shared_ptr<LogFile> file_;
};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kFatal:
    case LogLevel::kPanic:
      return spdlog::level::critical;
  }
  return spdlog::level::info;
}

/// What is in force; replaced as a whole.
struct Setup {
  LogConfig config;
  std::shared_ptr<LogFile> file;
  std::shared_ptr<spdlog::logger> logger;
  std::shared_ptr<LogSinkForTest> capture;
};

/// All of the log. Never destroyed: threads may log until the process is gone.
struct Log {
  LogWriter writer;
  std::atomic<LogLevel> level = LogLevel::kInfo;
  std::mutex mutex;  // guards what follows
  std::shared_ptr<const Setup> setup;
  std::vector<std::weak_ptr<LogFile>> files;
  RepeatGuard repeats;

  Log()
      : writer([this](const LogFile& file, int error, std::uint64_t lost) {
          report(file, error, lost);
        }) {
    configure({}, std::make_shared<LogFile>(STDOUT_FILENO));
    std::atexit(flush_log);
  }
  void configure(const LogConfig& config, std::shared_ptr<LogFile> file) {
    auto logger = std::make_shared<spdlog::logger>("containerpilot",
                                                   std::make_shared<WriterSink>(writer, file));
    logger->set_level(spdlog_level(config.level));
    setup = std::make_shared<const Setup>(
        Setup{config, std::move(file), std::move(logger), setup ? setup->capture : nullptr});
    level.store(config.level, std::memory_order_relaxed);
  }
  void report(const LogFile& file, int error, std::uint64_t lost) {
    const std::string name = file.path().empty() ? "the log" : "'" + file.path() + "'";
    if (error == 0) {
      log_warn("supervisor",
               name + " can be written again, " + std::to_string(lost) + " lines were lost");
    } else if (current()->file.get() != &file) {  // else there is nowhere to say it
      log_error("supervisor", "cannot write to " + name + ": " + detail::errno_text(error) +
                                  "; its lines are lost until that is over");
    }
  }
  void set_capture(std::shared_ptr<LogSinkForTest> capture) {
    Setup changed = *setup;
    changed.capture = std::move(capture);
    setup = std::make_shared<const Setup>(std::move(changed));
  }
  std::shared_ptr<const Setup> current() {
    const std::scoped_lock lock(mutex);
    return setup;
  }
};

Log& the_log() {
  static Log& log = *new Log;
  return log;
}

/// `text` with all of `values` as ***.
std::string masked(std::string_view text, const std::vector<std::string>& values) {
  constexpr std::string_view kStars = "***";
  std::string out(text);
  for (const std::string& value : values) {
    for (std::size_t at = 0; (at = out.find(value, at)) != std::string::npos; at += kStars.size())
      out.replace(at, value.size(), kStars);
  }
  return out;
}

void format_masked(const LogConfig& config, std::string& out, LogLevel level,
                   std::string_view module, std::string_view message, LogFields fields) {
  std::vector<LogField> shown(fields);
  std::vector<std::string> values;
  values.reserve(shown.size());  // the fields refer to them
  for (LogField& field : shown) {
    const auto* text = std::get_if<std::string_view>(&field.value);
    if (text != nullptr) field.value = values.emplace_back(masked(*text, config.masked));
  }
  detail::format_entry(config.format, out, wall_clock(), level, module,
                       masked(message, config.masked), std::move(shown));
}

bool is_stream(const std::string& output, std::string_view name) {
  return std::equal(output.begin(), output.end(), name.begin(), name.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

}  // namespace

Status configure_log(const LogConfig& config) {
  Log& l = the_log();
  std::shared_ptr<LogFile> file;
  if (is_stream(config.output, "stdout")) {
    file = std::make_shared<LogFile>(STDOUT_FILENO);
  } else if (is_stream(config.output, "stderr")) {
    file = std::make_shared<LogFile>(STDERR_FILENO);
  } else {
    auto opened = open_log_file(config.output);
    if (!opened) return std::move(opened).error();
    file = std::move(opened).value();
  }
  const std::scoped_lock lock(l.mutex);
  l.configure(config, std::move(file));
  return ok();
}

Result<std::shared_ptr<LogFile>> open_log_file(const std::string& path) {
  auto fd = LogWriter::open_file(path);
  if (!fd) return std::move(fd).error();
  auto file = std::make_shared<LogFile>(path, std::move(fd).value());
  Log& l = the_log();
  const std::scoped_lock lock(l.mutex);
  std::erase_if(l.files, [](const auto& known) { return known.expired(); });
  l.files.push_back(file);
  return file;
}

Status reopen_log() {
  Log& l = the_log();
  std::vector<std::weak_ptr<LogFile>> files;
  {
    const std::scoped_lock lock(l.mutex);
    files = l.files;
  }
  Status result = ok();
  for (const auto& known : files) {
    const auto file = known.lock();
    if (!file) continue;
    if (Status status = l.writer.reopen(file); !status && result) result = std::move(status);
  }
  return result;
}

void flush_log() { the_log().writer.flush(); }

LogConfig log_config() { return the_log().current()->config; }

bool log_enabled(LogLevel level) {
  return level >= the_log().level.load(std::memory_order_relaxed);
}

void log(LogLevel level, std::string_view module, std::string_view message, LogFields fields) {
  Log& l = the_log();
  const auto setup = l.current();
  if (setup->capture) {
    (*setup->capture)(level, module, message, fields);
    return;
  }
  if (level < setup->config.level) return;
  std::string counted;
  if (level >= LogLevel::kWarn) {
    const std::scoped_lock lock(l.mutex);
    const auto verdict = l.repeats.ask(message, std::chrono::steady_clock::now());
    if (!verdict.pass) return;
    if (verdict.held_back != 0) {
      counted = std::string(message) + " (" + std::to_string(verdict.held_back) +
                " more like this were held back)";
      message = counted;
    }
  }
  std::string line;
  if (setup->config.masked.empty()) {
    detail::format_entry(setup->config.format, line, wall_clock(), level, module, message, fields);
  } else {
    format_masked(setup->config, line, level, module, message, fields);
  }
  setup->logger->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

void log_child_line(const LineSource& source, std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);  // a line that ends as on a terminal
  Log& l = the_log();
  const auto setup = l.current();
  if (setup->capture && !source.file) {
    const auto [key, name] = detail::origin_of(source);
    (*setup->capture)(LogLevel::kInfo, "child", line,
                      {{key, name}, {"pid", std::int64_t{source.pid}}});
    return;
  }
  if (!source.file && setup->config.level > LogLevel::kInfo) return;
  l.writer.append(
      source.file ? source.file : setup->file, LogWriter::WhenFull::kKeep, [&](std::string& out) {
        detail::format_child_line(setup->config.format, out, wall_clock(), source, line);
      });
}

LogStats log_stats() {
  Log& l = the_log();
  const std::scoped_lock lock(l.mutex);
  return {l.writer.lines(), l.writer.dropped(), l.repeats.held_back()};
}

bool log_congested() { return the_log().writer.congested(); }

std::shared_ptr<void> capture_log_for_test(LogSinkForTest sink) {
  Log& l = the_log();
  const std::scoped_lock lock(l.mutex);
  l.set_capture(std::make_shared<LogSinkForTest>(std::move(sink)));
  return std::shared_ptr<void>(&l, [](void*) {
    const std::scoped_lock reset(the_log().mutex);
    the_log().set_capture(nullptr);
  });
}

}  // namespace containerpilot
