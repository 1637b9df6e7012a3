#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/process.h"
#include "support/sim_reactor.h"

namespace containerpilot::test {

/// Starts nothing: keeps a record of each start and lets the test decide what the process does.
///
/// Names are those of Launcher::Request::name, or the bare name in "job 'web'". A process ends by
/// finish(), finish_after(), or in the next turn after SIGKILL (kill_tree and a dropped handle
/// included); other signals are only recorded unless obey_signals() or a hook says otherwise.
class FakeLauncher : public Launcher {
 public:
  /// One start and all that happened to it. Valid as long as the launcher.
  struct Run {
    std::string name;
    pid_t pid = 0;
    ProcessSpec spec;
    std::vector<std::string> environment;
    Output output = Output::kPipe;
    bool own_cgroup = false;
    std::function<void(const Notification&)> on_notify;  ///< for the test to speak as the child
    TimePoint started_at;
    bool running = true;
    bool dropped = false;            ///< its handle was destroyed while it ran
    bool tree_killed = false;        ///< kill_tree() was called
    std::vector<int> signals;        ///< sent to the process alone
    std::vector<int> group_signals;  ///< sent to its group
    bool leaves_others = false;      ///< some outlive it, up to SIGKILL
    std::vector<int> told_others;    ///< signals sent to those
    std::optional<ExitStatus> exit;
    std::optional<Error> start_failure;  ///< what Process::start_failure() says
    TimePoint ended_at;
    /// Value of a variable it was started with, spec.env applied.
    [[nodiscard]] std::optional<std::string> env(std::string_view key) const;
  };

  explicit FakeLauncher(SimReactor& loop) : loop_(loop) {}
  ~FakeLauncher() override;

  Result<std::unique_ptr<Process>> start(Request request,
                                         std::function<void(ExitStatus)> on_exit) override;

  // What happened.
  [[nodiscard]] int starts(std::string_view name) const;  ///< failed ones are not counted
  [[nodiscard]] int failed_starts(std::string_view name) const;
  [[nodiscard]] int running(std::string_view name) const;
  [[nodiscard]] std::size_t running() const;
  /// The latest run of that name; the test fails and ends when there is none.
  Run& last(std::string_view name);
  [[nodiscard]] const std::deque<std::unique_ptr<Run>>& runs() const { return runs_; }

  // What shall happen.
  /// The latest run of that name ends: in this call when made from the test, in the next turn when
  /// made from a callback.
  void finish(std::string_view name, ExitStatus status = {});
  void finish(Run& run, ExitStatus status = {});
  void finish_after(Run& run, Duration delay, ExitStatus status = {});
  /// The latest run of that name never executed its program, as the shim reports it: ends with code
  /// 127.
  void fail_late(std::string_view name, Error error);
  /// The next `times` starts of that name fail with `error`.
  void fail_next(std::string_view name, Error error, int times = 1);
  /// Signals that would kill a process end it in the next turn, or `delay` later.
  void obey_signals(Duration delay = Duration(0)) { obey_after_ = delay; }
  /// After each successful start: the place to script how long runs take.
  void on_start(std::function<void(Run&)> hook) { on_start_ = std::move(hook); }
  /// After each signal but SIGKILL, before obey_signals().
  void on_signal(std::function<void(Run&, int signo)> hook) { on_signal_ = std::move(hook); }
  /// From now on Output::kPipe gets real pipes, fed by print(). Without, take_stdout() gives an
  /// invalid fd.
  void use_pipes() { pipes_ = true; }
  /// The process writes `text` (no newline is added).
  void print(std::string_view name, std::string_view text, bool to_stderr = false);

 private:
  class Handle;
  struct Live;
  void deliver(Live& live, int signo);
  void end(Live& live, ExitStatus status);
  Live* find(const Run& run);

  SimReactor& loop_;
  std::deque<std::unique_ptr<Run>> runs_;
  std::map<pid_t, std::shared_ptr<Live>> live_;
  std::map<std::string, std::deque<Error>, std::less<>> failures_;
  std::map<std::string, int, std::less<>> failed_;
  std::function<void(Run&)> on_start_;
  std::function<void(Run&, int)> on_signal_;
  std::optional<Duration> obey_after_;
  bool pipes_ = false;
  pid_t next_pid_ = 1000;
};

}  // namespace containerpilot::test
