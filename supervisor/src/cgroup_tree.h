#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace containerpilot::detail {

/// A folder of our own below the agent's cgroup (v2), with one folder per contained child, so that
/// cgroup.kill reaches whatever the child started. Nothing is limited or accounted by it.
class CgroupTree {
 public:
  /// Nothing where there is no cgroup v2, it is not writable, or the kernel (before 5.14) has no
  /// cgroup.kill.
  static std::optional<CgroupTree> create();
  CgroupTree(CgroupTree&& o) noexcept
      : folder_(std::move(o.folder_)), occupied_(std::move(o.occupied_)) {
    o.folder_.clear();
  }
  CgroupTree(const CgroupTree&) = delete;
  CgroupTree& operator=(const CgroupTree&) = delete;
  CgroupTree& operator=(CgroupTree&&) = delete;
  ~CgroupTree();

  /// A new empty folder, or "" when it cannot be made.
  std::string add();
  /// SIGKILL to all that is in it. False if the kernel refused.
  static bool kill(const std::string& folder);
  /// Signals all that is in it, but not the members of group `spared`. True if there was anyone.
  static bool signal(const std::string& folder, int signo, pid_t spared);
  /// Removes it now, or later when those still in it are gone.
  void remove(std::string folder);

 private:
  explicit CgroupTree(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
  std::vector<std::string> occupied_;
  unsigned next_ = 1;
};

}  // namespace containerpilot::detail
