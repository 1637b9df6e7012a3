#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/line_reader.h"
#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::test {

/// argv that makes this test program play the child called `role` (see roles.cc).
std::vector<std::string> child_argv(const std::string& role,
                                    std::vector<std::string> arguments = {});
/// Plays it and exits, if argv asks for one.
void play_child_if_asked(int argc, char** argv);

/// Waits for events on the real loop, never for time alone.
class LoopTest : public ::testing::Test {
 protected:
  LoopTest();
  /// Turns the loop until `done` or the deadline; false at the deadline.
  bool run_until(const std::function<bool()>& done, Duration deadline = std::chrono::seconds(60));
  std::unique_ptr<EpollReactor> loop;
};

/// One child with everything it said.
struct Child {
  std::unique_ptr<Process> process;
  std::optional<ExitStatus> exit;
  std::string failure;  ///< what start_failure() said when it ended
  std::vector<std::string> out, err;
  bool out_ended = false, err_ended = false;
  std::unique_ptr<LineReader> out_reader, err_reader;
  [[nodiscard]] bool ended() const { return exit && out_ended && err_ended; }
};

class ProcessTest : public LoopTest {
 protected:
  ProcessTest();
  /// Null, with the error in start_error, if it cannot be started. Lines go to Child::out unless
  /// `on_stdout` takes them.
  std::shared_ptr<Child> start(const ProcessSpec& spec, bool own_cgroup = false,
                               LineReader::OnLine on_stdout = nullptr);
  std::shared_ptr<Child> start(std::vector<std::string> argv,
                               LineReader::OnLine on_stdout = nullptr);
  /// Starts it and waits for its end, that of its output included.
  std::shared_ptr<Child> finish(const ProcessSpec& spec);
  std::shared_ptr<Child> finish(std::vector<std::string> argv) {
    return finish(ProcessSpec{.argv = std::move(argv)});
  }

  std::unique_ptr<Launcher> launcher;
  std::optional<Error> start_error;
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C"};
};

/// True while the kernel knows the process and it is not a zombie.
bool alive(pid_t pid);

}  // namespace containerpilot::test
