#include "log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <thread>

#include "errno_text.h"

namespace containerpilot {

namespace {
// What follows a written batch within this time is written together: in a rush of short runs every
// line would otherwise wake the writer.
constexpr auto kGather = std::chrono::milliseconds(10);
constexpr std::size_t kSpareCapacity = 256 * 1024;
}  // namespace

// The writer comes with the first line, so that it does not hold up the first job. Detached: it
// lives as long as the process, because any thread may log until the very end.
void LogWriter::push(Batch batch) {
  if (!std::exchange(started_, true)) std::thread([this] { run(); }).detach();
  batches_.push_back(std::move(batch));
}

std::string& LogWriter::open_batch(const std::shared_ptr<LogFile>& file) {
  if (batches_.empty() || batches_.back().file != file) {
    push({file, std::exchange(spare_, {}), UniqueFd()});
  }
  return batches_.back().text;
}

void LogWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    while (batches_.empty()) {
      drained_.notify_all();
      idle_ = true;
      wake_.wait(lock);
      idle_ = false;
    }
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    lock.unlock();
    write_out(batch);
    batch.text.clear();
    lock.lock();
    if (batch.text.capacity() <= kSpareCapacity) spare_ = std::move(batch.text);
    if (flushing_ || pending_.load(std::memory_order_relaxed) >= kPiece) continue;
    gathering_ = true;
    wake_.wait_for(lock, kGather, [this] { return !gathering_; });
    gathering_ = false;
  }
}

void LogWriter::write_out(Batch& batch) {
  LogFile& file = *batch.file;
  if (batch.reopened.valid()) {
    file.fd_ = std::move(batch.reopened);
    file.mid_line_ = false;
  }
  if (batch.text.empty()) return;
  const int fd = file.fd_.valid() ? file.fd_.get() : file.stream_fd_;
  if (file.mid_line_ && ::write(fd, "\n", 1) == 1) file.mid_line_ = false;
  std::string_view rest = batch.text;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd, rest.data(), std::min(rest.size(), kPiece));
    if (written > 0) {
      const auto size = static_cast<std::size_t>(written);
      file.mid_line_ = rest[size - 1] != '\n';
      rest.remove_prefix(size);
      pending_.fetch_sub(size, std::memory_order_relaxed);
    } else if (written < 0 && errno == EAGAIN) {
      // Somebody who shares our stdout made it non-blocking.
      pollfd wait{fd, POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      lose(file, rest, written == 0 ? EIO : errno);
      return;
    }
  }
  if (file.failure_ == 0) return;
  file.failure_ = 0;
  on_trouble_(file, 0, std::exchange(file.lost_, 0));
}

// Disk full, reader gone, closed: a log that waited for it would hold up everybody.
void LogWriter::lose(LogFile& file, std::string_view rest, int error) {
  pending_.fetch_sub(rest.size(), std::memory_order_relaxed);
  const auto lines = static_cast<std::uint64_t>(std::count(rest.begin(), rest.end(), '\n'));
  file.lost_ += lines;
  {
    const std::scoped_lock lock(mutex_);
    dropped_ += lines;
  }
  if (std::exchange(file.failure_, error) == 0) on_trouble_(file, error, 0);
}

bool LogWriter::flush() {
  std::unique_lock lock(mutex_);
  if (!started_) return true;
  flushing_ = true;
  gathering_ = false;
  wake_.notify_one();
  const bool done = drained_.wait_for(lock, std::chrono::seconds(1),
                                      [this] { return batches_.empty() && idle_; });
  flushing_ = false;
  return done;
}

std::uint64_t LogWriter::lines() const {
  const std::scoped_lock lock(mutex_);
  return lines_;
}

std::uint64_t LogWriter::dropped() const {
  const std::scoped_lock lock(mutex_);
  return dropped_;
}

Result<UniqueFd> LogWriter::open_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666));
  if (fd.valid()) return fd;
  const int error = errno;
  const Errc code = error == ENOENT                                       ? Errc::kNotFound
                    : error == EACCES || error == EPERM || error == EROFS ? Errc::kDenied
                                                                          : Errc::kIo;
  return Error(code, "cannot open log file '" + path + "': " + detail::errno_text(error), error);
}

Status LogWriter::reopen(const std::shared_ptr<LogFile>& file) {
  if (file->path().empty()) return ok();
  auto fd = open_file(file->path());
  if (!fd) return std::move(fd).error();
  std::unique_lock lock(mutex_);
  push({file, {}, std::move(fd).value()});
  if (!std::exchange(idle_, false)) return ok();
  lock.unlock();
  wake_.notify_one();
  return ok();
}

}  // namespace containerpilot
