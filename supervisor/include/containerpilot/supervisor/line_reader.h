#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot {

/// Reads a pipe on the loop and hands out whole lines without their newline, the last one also if
/// it has none. A line longer than kMaxLine is handed out in pieces of that size. Pauses while
/// log_congested(), so that a slow log reader slows the writer down instead of losing lines.
class LineReader {
 public:
  static constexpr std::size_t kMaxLine = 1024 * 1024;
  using OnLine = std::function<void(std::string_view line)>;
  using OnEnd = std::function<void()>;

  LineReader(Reactor& reactor, UniqueFd fd, OnLine on_line, OnEnd on_end);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// Reads what is there now, so that a child's last words come before the news of its end. Goes on
  /// reading unless that was all there will be.
  void drain();
  /// Nothing more will come: every writer is gone, or finish() was called.
  [[nodiscard]] bool ended() const;
  /// Reads what is there now, hands it out (the unfinished last line too) and closes. Called when
  /// the writer is gone but a stranger may still hold the pipe.
  void finish();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace containerpilot
