#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot {

/// How a process ended. Exactly one of the two is meaningful: signal != 0 means killed by it.
struct ExitStatus {
  int code = 0;
  int signal = 0;
  [[nodiscard]] bool success() const { return code == 0 && signal == 0; }
  /// As a shell reports it: the code, or 128 + signal.
  [[nodiscard]] int shell_code() const { return signal != 0 ? 128 + signal : code; }
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};
/// "exited with code 3", "killed by SIGKILL".
std::string describe(const ExitStatus& status);

/// Where stdout and stderr of a child go.
enum class Output : std::uint8_t {
  kInherit,  ///< the agent's own stdout and stderr, untouched ("raw")
  kPipe,     ///< two pipes, whose read ends Process::take_stdout/take_stderr hand out once
  kNull,
};

/// Soft and hard limit of one resource; RLIM_INFINITY means unlimited.
struct ResourceLimit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  friend bool operator==(const ResourceLimit&, const ResourceLimit&) = default;
};

/// Everything one exec of the config says, validated. stdin is always /dev/null. The process leads
/// a group of its own, has default signal handlers and an empty mask, and inherits no fd above 2.
struct ProcessSpec {
  std::vector<std::string> argv;  ///< argv[0] is looked up in PATH of the *child's* environment
  std::vector<std::pair<std::string, std::string>> env;  ///< on top of the inherited one
  std::vector<std::string> env_files;                    ///< KEY=VALUE lines, read at each start
  bool clear_env = false;   ///< inherit nothing but PATH and what is listed
  std::string cwd;          ///< empty: inherited
  std::string user, group;  ///< names or numbers; empty: unchanged
  std::vector<std::string> groups;
  std::optional<mode_t> umask;
  std::map<std::string, ResourceLimit>
      rlimits;  ///< "nofile", "core", …: RLIMIT_ names in lower case
  std::optional<int> oom_score_adj;
  bool no_new_privileges = false;
  friend bool operator==(const ProcessSpec&, const ProcessSpec&) = default;
};

/// RLIMIT_NOFILE for "nofile", and so on for every RLIMIT_ name in lower case; nullopt: there is no
/// such.
std::optional<int> parse_rlimit_name(std::string_view name);

/// What a child said about itself over its NOTIFY_SOCKET, one message. Source: sd_notify(3).
struct Notification {
  bool ready = false;                 ///< READY=1
  bool stopping = false;              ///< STOPPING=1
  bool alive = false;                 ///< WATCHDOG=1
  bool failed = false;                ///< WATCHDOG=trigger
  std::optional<std::string> status;  ///< STATUS=, one line, at most 1 KiB
  friend bool operator==(const Notification&, const Notification&) = default;
};

/// A running child. Destroying it while the child runs kills the group and lets the reaper collect
/// it.
class Process {
 public:
  Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  virtual ~Process() = default;
  [[nodiscard]] virtual pid_t pid() const = 0;
  /// To the child only. After its exit: does nothing, ok (there is no pid to hit by mistake).
  /// Errors: kDenied (a child that changed its user).
  virtual Status signal(int signo) = 0;
  /// To the whole process group; still possible inside on_exit, when the child itself is gone.
  /// After that: does nothing, ok (the group's number may belong to somebody else). SIGCONT
  /// follows, so that who is stopped hears it.
  virtual Status signal_group(int signo) = 0;
  /// SIGKILL to everything the child started, also what left its group, as far as the host allows:
  /// cgroup.kill with Request::own_cgroup, and always the group, its descendants and what was
  /// adopted from it. Possible as long as signal_group is. Looks at all of /proc: not for every
  /// run.
  virtual void kill_tree() = 0;
  /// The child has ended: a signal (0: none) to what it left behind outside its group, SIGKILL to
  /// all it left behind, as far as the host lets us find it (see kill_tree()). True if there was
  /// anyone, in the group or outside. Does nothing and says false as long as the child runs.
  virtual bool signal_survivors(int signo) = 0;
  /// Read ends, non-blocking, close-on-exec; invalid unless Output::kPipe, and after the first
  /// call.
  virtual UniqueFd take_stdout() = 0;
  virtual UniqueFd take_stderr() = 0;
  /// Why the child never came to execute its program, although start() could not know it yet (the
  /// shim reports later). Asked in on_exit; null for a program that did run. Valid as long as the
  /// handle.
  [[nodiscard]] virtual const Error* start_failure() const { return nullptr; }
};

/// Starts processes. The real one does it directly, or through the shim where attributes need it.
class Launcher {
 public:
  struct Request {
    const ProcessSpec& spec;
    std::vector<std::string>
        environment;  ///< complete, "KEY=value"; spec.env etc. are applied on top
    Output output = Output::kPipe;
    std::string name;  ///< for messages: "job 'web'", "check of 'web'"
    /// In a cgroup of its own where the host allows, so that kill_tree() misses nothing. Costs a
    /// start through the shim: for what runs long, not for what runs often.
    bool own_cgroup = false;
    /// Given: the child finds a NOTIFY_SOCKET, and what it or its descendants say there comes here
    /// until it has ended. Words of anybody else are ignored.
    std::function<void(const Notification&)> on_notify = nullptr;
  };
  Launcher() = default;
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;
  virtual ~Launcher() = default;
  /// Starts `request.spec`; `on_exit` runs once, on the loop thread, never inside start(), as soon
  /// as the child itself is gone, whoever still holds its pipes. Errors: kNotFound (no such file,
  /// missing interpreter), kDenied (not executable, an attribute was refused: named), kUnavailable
  /// (EAGAIN, ENOMEM, EMFILE), kInvalid (unknown user, bad env file, not a program). Attributes and
  /// cgroup are set by the shim, whose failure shows in Process::start_failure().
  /// The environment also gets CONTAINERPILOT_RUN, by which kill_tree() knows what left the group.
  virtual Result<std::unique_ptr<Process>> start(Request request,
                                                 std::function<void(ExitStatus)> on_exit) = 0;
  /// Processes that became ours because their parent died, reaped so far.
  [[nodiscard]] virtual std::uint64_t orphans() const { return 0; }
};

/// The real launcher with its reaper: the only place that waits for children. Also adopts and reaps
/// orphans (as PID 1 or as subreaper). Must outlive every Process it made.
/// Errors: kIo when the process cannot become a subreaper.
Result<std::unique_ptr<Launcher>> make_launcher(Reactor& reactor);

/// If this process was started as the launcher's shim (a private argv[0]), does that work and never
/// returns; else returns at once. Second call of main, before anything else is set up.
void run_shim_if_asked(int argc, char** argv);

}  // namespace containerpilot
