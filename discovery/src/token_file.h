#pragma once

#include <sys/stat.h>

#include <string>

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// The first line of a small file that holds a secret, read again when the file changed (looked at
/// once a second at most). While it cannot be read the last good text stays. Loop thread only.
class TokenFile {
 public:
  TokenFile(Reactor& reactor, std::string path) : reactor_(reactor), path_(std::move(path)) {}
  /// Never to be logged.
  [[nodiscard]] const std::string& text();

 private:
  Reactor& reactor_;
  std::string path_;
  std::string text_;
  TimePoint next_look_{};
  struct timespec modified_ {};
  ino_t inode_ = 0;
};

}  // namespace containerpilot::discovery
