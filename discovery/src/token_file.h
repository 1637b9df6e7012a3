#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// The first line of a small file that holds a secret, read again when the file changed (looked at
/// once a second at most). While it cannot be read, or is empty because somebody is just writing
/// it, the last good text stays. Loop thread only.
class TokenFile {
 public:
  TokenFile(Reactor& reactor, std::string path) : reactor_(reactor), path_(std::move(path)) {}
  /// Never to be logged.
  [[nodiscard]] const std::string& text();

 private:
  /// Once until the next good text.
  void warn(std::string_view trouble);

  Reactor& reactor_;
  std::string path_;
  std::string text_;
  TimePoint next_look_{};
  struct timespec modified_ {};
  ino_t inode_ = 0;
  off_t size_ = 0;
  bool warned_ = false;
};

}  // namespace containerpilot::discovery
