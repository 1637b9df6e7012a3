#include "containerpilot/supervisor/line_reader.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "containerpilot/supervisor/log.h"

namespace containerpilot {

namespace {
constexpr std::size_t kChunk = 64 * 1024;  // what a pipe holds
// A congested log is looked at again after 1 ms, then twice that, at most this.
constexpr Duration kMaxPause = std::chrono::milliseconds(64);
// drain() and finish() read what the dead writer left, not what a stranger goes on writing.
constexpr std::size_t kMaxLeftover = 1024 * 1024;
}  // namespace

// Shared, because a callback may destroy the reader it came from.
struct LineReader::State : std::enable_shared_from_this<LineReader::State> {
  Reactor& reactor;
  UniqueFd fd;
  OnLine on_line;
  OnEnd on_end;
  std::string partial;  // of a line whose end has not been read
  Watch readable;
  Watch resume;
  Duration pause = std::chrono::milliseconds(1);
  bool abandoned = false;  // the reader was destroyed: no more calls

  State(Reactor& r, UniqueFd f, OnLine line, OnEnd end)
      : reactor(r), fd(std::move(f)), on_line(std::move(line)), on_end(std::move(end)) {}

  [[nodiscard]] bool open() const { return fd.valid(); }

  void wait_for_data() {
    readable = reactor.on_fd(fd.get(), EPOLLIN, [this](std::uint32_t) { ready(); });
  }

  void ready() {
    const auto keep = shared_from_this();
    if (log_congested()) {
      readable = Watch();
      resume = reactor.after(pause, [this] { wait_for_data(); });
      pause = std::min(pause * 2, kMaxPause);
      return;
    }
    pause = std::chrono::milliseconds(1);
    if (read_chunk() == Read::kEnd && open()) end();
  }

  enum class Read { kData, kNothing, kEnd };
  Read read_chunk() {
    std::array<char, kChunk> buffer;  // lines are handed out at once
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n > 0) {
      hand_out(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
      return Read::kData;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? Read::kNothing : Read::kEnd;
  }

  void hand_out(std::string_view data) {
    while (open() && !data.empty()) {
      const std::size_t newline = data.find('\n');
      const std::size_t room = kMaxLine - partial.size();
      const std::size_t length = std::min(newline, data.size());
      if (length > room) {
        emit(data.substr(0, room));
        data.remove_prefix(room);
      } else if (newline == data.npos) {
        partial += data;
        return;
      } else {
        emit(data.substr(0, newline));
        data.remove_prefix(newline + 1);
      }
    }
  }

  void emit(std::string_view tail) {
    if (partial.empty()) {
      on_line(tail);
      return;
    }
    partial += tail;
    const std::string line = std::exchange(partial, {});
    on_line(line);
  }

  void drain() {
    const auto keep = shared_from_this();
    for (std::size_t left = kMaxLeftover; left > 0 && open(); left -= kChunk) {
      const Read read = read_chunk();
      if (read == Read::kEnd && open()) end();
      if (read != Read::kData) return;
    }
  }

  void finish() {
    const auto keep = shared_from_this();
    drain();
    if (open()) end();
  }

  void end() {
    close();
    if (!abandoned && !partial.empty()) emit({});
    if (!abandoned && on_end) std::exchange(on_end, nullptr)();
  }

  void close() {
    readable = Watch();
    resume = Watch();
    fd.reset();
  }
};

LineReader::LineReader(Reactor& reactor, UniqueFd fd, OnLine on_line, OnEnd on_end)
    : state_(
          std::make_shared<State>(reactor, std::move(fd), std::move(on_line), std::move(on_end))) {
  if (state_->open()) {
    state_->wait_for_data();
  } else {
    state_->resume = reactor.after(Duration(0), [state = state_.get()] { state->end(); });
  }
}

LineReader::~LineReader() {
  state_->abandoned = true;
  state_->close();
}

void LineReader::drain() { state_->drain(); }
bool LineReader::ended() const { return !state_->open(); }
void LineReader::finish() { state_->finish(); }

}  // namespace containerpilot
