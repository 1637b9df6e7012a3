#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::test {

/// A foreign program a test talks to (openssl, nginx, …), with its output in a pipe. Killed and
/// reaped on destruction. For test programs that run no launcher: that one reaps every child of the
/// process.
class ChildProgram {
 public:
  /// argv[0] is looked up in PATH. Aborts when it cannot be started.
  explicit ChildProgram(const std::vector<std::string>& argv);
  ChildProgram(const ChildProgram&) = delete;
  ChildProgram& operator=(const ChildProgram&) = delete;
  ~ChildProgram();

  /// Blocks until a line of its output contains `part`, and returns that line; empty when it ended
  /// without.
  std::string wait_for_line(std::string_view part);
  /// Blocks until it ended by itself; its exit code, or -1.
  int wait();

 private:
  int pid_ = -1;
  UniqueFd output_;
};

}  // namespace containerpilot::test
