#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <system_error>

namespace containerpilot::test {

/// What this process has open: fd number to what it points at.
inline std::map<int, std::string> open_fds() {
  std::map<int, std::string> result;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the iterator's own fd
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (!gone) result.emplace(std::stoi(entry.path().filename().string()), target.string());
  }
  std::erase_if(result, [](const auto& fd) { return ::fcntl(fd.first, F_GETFD) < 0; });
  return result;
}

/// Fails the test if more or fewer descriptors are open when it is destroyed.
class FdLeakCheck {
 public:
  FdLeakCheck() : before_(open_fds()) {}
  FdLeakCheck(const FdLeakCheck&) = delete;
  FdLeakCheck& operator=(const FdLeakCheck&) = delete;
  ~FdLeakCheck() {
    const auto after = open_fds();
    EXPECT_EQ(after.size(), before_.size());
    for (const auto& [fd, target] : after) {
      if (!before_.contains(fd)) ADD_FAILURE() << "fd " << fd << " stayed open: " << target;
    }
  }

 private:
  std::map<int, std::string> before_;
};

}  // namespace containerpilot::test
