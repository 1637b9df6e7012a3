#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot {

/// One place lines go to: a standard stream or a file. The fd is swapped by reopen() only.
class LogFile {
 public:
  /// A stream that is not ours to close.
  explicit LogFile(int stream_fd) : stream_fd_(stream_fd) {}
  LogFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  friend class LogWriter;
  int stream_fd_ = -1;
  std::string path_;
  UniqueFd fd_;
  // For the writer's thread only.
  int failure_ = 0;         // errno of the writes that fail now
  std::uint64_t lost_ = 0;  // lines, since they fail
  bool mid_line_ = false;   // the last write ended there
};

/// Takes lines from any thread and writes them, in order and in large pieces, from a thread of its
/// own: pipes that nobody reads and slow disks hold up that thread only.
class LogWriter {
 public:
  static constexpr std::size_t kHighWater = 1024 * 1024;  ///< congested above this
  static constexpr std::size_t kLimit = 4 * kHighWater;   ///< beyond it entries are dropped
  /// Batches are written in pieces no larger than this, so that congestion ends as soon as there
  /// is room.
  static constexpr std::size_t kPiece = 64 * 1024;

  /// Writing to a file began to fail (`error`; 0: it works again and `lost` lines are missing).
  /// Called on the writer's thread.
  using OnTrouble = std::function<void(const LogFile& file, int error, std::uint64_t lost)>;

  explicit LogWriter(OnTrouble on_trouble) : on_trouble_(std::move(on_trouble)) {}
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter() = default;

  enum class WhenFull { kDrop, kKeep };
  /// Appends what `format(std::string&)` appends: one whole line.
  template <class Format>
  void append(const std::shared_ptr<LogFile>& file, WhenFull when_full, Format format) {
    std::unique_lock lock(mutex_);
    if (when_full == WhenFull::kDrop && pending_.load(std::memory_order_relaxed) > kLimit) {
      ++dropped_;
      return;
    }
    std::string& text = open_batch(file);
    const std::size_t before = text.size();
    format(text);
    pending_.fetch_add(text.size() - before, std::memory_order_relaxed);
    ++lines_;
    const bool much = pending_.load(std::memory_order_relaxed) >= kPiece;
    if (!idle_ && !(gathering_ && much)) return;
    idle_ = gathering_ = false;
    lock.unlock();
    wake_.notify_one();
  }

  /// Lines appended before go to the old file, later ones to the one now found by that name.
  Status reopen(const std::shared_ptr<LogFile>& file);
  /// False if a second was not enough.
  bool flush();
  [[nodiscard]] bool congested() const {
    return pending_.load(std::memory_order_relaxed) > kHighWater;
  }
  [[nodiscard]] std::uint64_t lines() const;
  [[nodiscard]] std::uint64_t dropped() const;

  /// Errors: kNotFound, kDenied, kIo.
  static Result<UniqueFd> open_file(const std::string& path);

 private:
  struct Batch {
    std::shared_ptr<LogFile> file;
    std::string text;
    UniqueFd reopened;  ///< becomes the file's fd before `text` is written
  };
  void push(Batch batch);
  std::string& open_batch(const std::shared_ptr<LogFile>& file);
  void run();
  void write_out(Batch& batch);
  void lose(LogFile& file, std::string_view rest, int error);

  const OnTrouble on_trouble_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable drained_;
  std::deque<Batch> batches_;
  std::string spare_;                     ///< keeps its capacity from batch to batch
  bool started_ = false;                  ///< there is a writer
  bool idle_ = false;                     ///< the writer waits for wake_
  bool gathering_ = false;                ///< so it does after a batch, for a little while
  bool flushing_ = false;                 ///< somebody waits for drained_: no gathering
  std::atomic<std::size_t> pending_ = 0;  ///< bytes not yet written
  std::uint64_t lines_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace containerpilot
