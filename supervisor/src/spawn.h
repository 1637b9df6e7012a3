#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <vector>

namespace containerpilot::detail {

/// A program to execute, with everything made beforehand: between clone and exec nothing may
/// allocate.
struct SpawnPlan {
  const char* file = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* cwd = nullptr;  ///< null: inherited
  /// What becomes the child's 0, 1, 2 and 3; -1 as the last for no 3. Sources are above 2, or the
  /// target itself.
  std::array<int, 4> fds = {-1, -1, -1, -1};
  int cgroup = -1;  ///< folder of the cgroup (v2) it is born into; -1: ours
};

struct Spawned {
  pid_t pid = 0;
  enum class Step { kDone, kClone, kEnter, kExec } failed = Step::kDone;
  int error = 0;           ///< errno of the failed step
  bool in_cgroup = false;  ///< in the one asked for; a sandbox may refuse that
};

/// Starts children as posix_spawn does, on the parent's memory until they execute, but with a third
/// of the system calls. The child leads a group of its own, has default handlers and an empty mask,
/// and no descriptor but `fds`. Born into a cgroup it does not have to be moved there, for which
/// the kernel would first wait for every core.
class Spawner {
 public:
  Spawner();
  ~Spawner() = default;
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;
  /// Returns when the program runs or could not be executed; in that case nothing is left of it.
  Spawned spawn(const SpawnPlan& plan);

 private:
  static int become(void* call);
  pid_t clone_into(int cgroup, void* call);

  std::vector<int> ignored_;  // handlers go with the exec, ignoring stays
  std::vector<std::byte> stack_;
};

}  // namespace containerpilot::detail
