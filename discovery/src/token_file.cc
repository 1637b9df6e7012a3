#include "token_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <utility>

#include "containerpilot/supervisor/log.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::discovery {

const std::string& TokenFile::text() {
  using namespace std::chrono_literals;
  if (path_.empty() || reactor_.now() < next_look_) return text_;
  next_look_ = reactor_.now() + 1s;

  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) {
    warn("cannot read the token file");
    return text_;
  }
  // Rotated secrets are usually a rename or a new link target: another inode, not always another
  // time. One that is written in place may keep both, within a tick of the clock.
  if (status.st_ino == inode_ && status.st_size == size_ &&
      status.st_mtim.tv_sec == modified_.tv_sec && status.st_mtim.tv_nsec == modified_.tv_nsec) {
    return text_;
  }
  std::array<char, 4096> buffer{};
  const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
  if (size < 0) return text_;
  const std::string_view content(buffer.data(), static_cast<std::size_t>(size));
  const std::string_view line = content.substr(0, content.find_first_of({"\r\n\0", 3}));
  if (line.empty()) {
    warn("the token file is empty");
    return text_;
  }
  inode_ = status.st_ino;
  size_ = status.st_size;
  modified_ = status.st_mtim;
  warned_ = false;
  text_ = line;
  return text_;
}

void TokenFile::warn(std::string_view trouble) {
  inode_ = 0;  // whatever comes is news
  if (std::exchange(warned_, true)) return;
  log_warn("discovery", std::string(trouble) + ", going on without a new token", {{"file", path_}});
}

}  // namespace containerpilot::discovery
