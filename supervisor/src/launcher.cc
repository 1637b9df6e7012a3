#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "cgroup_tree.h"
#include "child_environment.h"
#include "containerpilot/supervisor/process.h"
#include "errno_text.h"
#include "kill_tree.h"
#include "notify_socket.h"
#include "program.h"
#include "reaper.h"
#include "shim.h"
#include "spawn.h"
#include "user_db.h"

namespace containerpilot {

namespace {

using namespace detail;

constexpr std::string_view kRunVariable = "CONTAINERPILOT_RUN";

std::string run_variable(const std::string& run) {
  return std::string(kRunVariable) + "=" + std::to_string(::getpid()) + "." + run;
}

Status kill_signal(pid_t pid, int signo) {
  if (::kill(pid, signo) == 0 || errno == ESRCH) return ok();
  return Error(Errc::kDenied, errno_text(errno), errno);
}

/// What handle and reaper know of one child.
struct Child {
  pid_t pid = 0;
  std::string name;
  std::string marker;  // its entry in the environment, with the NUL that ends it
  CgroupTree* cgroups = nullptr;
  std::string cgroup;
  UniqueFd out, err;
  bool exited = false;  // the child is a zombie: its group may still be signalled
  bool reaped = false;  // pid and group id may belong to somebody else
  std::function<void(ExitStatus)> on_exit;

  // Only of children that start through the shim.
  std::vector<ShimStep> steps;
  std::string program;
  UniqueFd report;
  Watch report_watch;
  std::optional<Error> failure;

  std::unique_ptr<NotifySocket> notify;

  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { leave_cgroup(); }
  void leave_cgroup() {
    if (!cgroup.empty()) cgroups->remove(std::exchange(cgroup, {}));
  }

  // Ends the watch; the pipe closes without a word when the exec succeeded.
  void read_report() {
    if (!report.valid()) return;
    ShimFailure said;
    const ssize_t n = ::read(report.get(), &said, sizeof said);
    if (n < 0 && errno == EAGAIN) return;
    report_watch = Watch();
    report.reset();
    if (n != sizeof said) return;
    const auto step = static_cast<std::size_t>(said.step);
    if (step < steps.size()) {
      const Errc code = said.error == EPERM || said.error == EACCES     ? Errc::kDenied
                        : said.error == ENOENT || said.error == ENOTDIR ? Errc::kNotFound
                        : said.error == EAGAIN                          ? Errc::kUnavailable
                                                                        : Errc::kIo;
      failure =
          Error(code, "cannot " + steps[step].purpose + ": " + errno_text(said.error), said.error);
    } else {
      failure = explain_exec_failure(program, said.error);
    }
    failure = std::move(*failure).during("cannot start " + name);
  }

  void kill_all() {
    if (reaped) return;
    if (!cgroup.empty()) CgroupTree::kill(cgroup);
    kill_descendants(pid, marker);
  }
};

class Handle final : public Process {
 public:
  Handle(std::shared_ptr<Child> child, const Reaper& reaper)
      : child_(std::move(child)), reaper_(reaper) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() override {
    child_->on_exit = nullptr;
    child_->notify.reset();
    if (child_->exited) return;
    if (!child_->cgroup.empty()) CgroupTree::kill(child_->cgroup);
    ::kill(-child_->pid, SIGKILL);
  }
  [[nodiscard]] pid_t pid() const override { return child_->pid; }
  Status signal(int signo) override {
    if (child_->exited) return ok();
    // Nobody else reaps, so the pid is still this child's.
    Status sent = kill_signal(child_->pid, signo);
    return sent ? ok() : refused(signo, sent.error());
  }
  Status signal_group(int signo) override {
    if (child_->reaped) return ok();
    Status sent = kill_signal(-child_->pid, signo);
    // Who is stopped (SIGSTOP) hears of it only when it goes on.
    if (signo != 0 && !child_->exited) ::kill(-child_->pid, SIGCONT);
    return sent ? ok() : refused(signo, sent.error());
  }
  void kill_tree() override { child_->kill_all(); }
  bool signal_survivors(int signo) override {
    if (!child_->reaped) return false;
    // The group has been told; its number is not given away while it has members.
    const pid_t told = signo == SIGKILL ? 0 : child_->pid;
    const bool group = ::kill(-child_->pid, told != 0 ? 0 : signo) == 0;
    if (!child_->cgroup.empty()) return CgroupTree::signal(child_->cgroup, signo, told) || group;
    const auto is_own = [this](pid_t pid) { return reaper_.owns(pid); };
    return signal_adopted(child_->marker, is_own, signo, told) || group;
  }
  UniqueFd take_stdout() override { return std::move(child_->out); }
  UniqueFd take_stderr() override { return std::move(child_->err); }
  [[nodiscard]] const Error* start_failure() const override {
    return child_->failure ? &*child_->failure : nullptr;
  }

 private:
  [[nodiscard]] Error refused(int signo, const Error& why) const {
    return {why.code(),
            "cannot send SIG" + std::string(::sigabbrev_np(signo)) + " to " + child_->name + ": " +
                why.text(),
            why.sys_errno()};
  }
  std::shared_ptr<Child> child_;
  const Reaper& reaper_;
};

struct Pipe {
  UniqueFd read, write;
};

/// Close-on-exec from birth; reading never blocks.
Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return explain_exec_failure("", errno);
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& s : strings) result.push_back(const_cast<char*>(s.c_str()));
  result.push_back(nullptr);
  return result;
}

class RealLauncher final : public Launcher {
 public:
  RealLauncher(Reactor& reactor, UniqueFd null)
      : reactor_(reactor), null_(std::move(null)), reaper_(reactor) {}
  RealLauncher(const RealLauncher&) = delete;
  RealLauncher& operator=(const RealLauncher&) = delete;
  // As the kernel does when PID 1 ends: what jobs left behind goes, too.
  ~RealLauncher() override {
    const auto is_own = [this](pid_t pid) { return reaper_.owns(pid); };
    signal_adopted(run_variable(""), is_own, SIGKILL, 0);
  }

  Result<std::unique_ptr<Process>> start(Request request,
                                         std::function<void(ExitStatus)> on_exit) override {
    const std::string purpose = "cannot start " + request.name;
    auto process = try_start(std::move(request), std::move(on_exit));
    if (!process) return std::move(process).error().during(purpose);
    return process;
  }
  [[nodiscard]] std::uint64_t orphans() const override { return reaper_.orphans(); }

 private:
  Result<std::unique_ptr<Process>> try_start(Request request,
                                             std::function<void(ExitStatus)> on_exit);
  Status connect_output(const Request& request, Child& child, SpawnPlan& plan, Pipe& out,
                        Pipe& err);
  Status spawn(const Request& request, Child& child, const std::vector<std::string>& environment);
  std::string new_cgroup();
  void exited(const std::shared_ptr<Child>& child, ExitStatus status);

  Reactor& reactor_;
  UniqueFd null_;
  std::optional<CgroupTree> cgroups_;  // made when first asked for
  Reaper reaper_;
  Spawner spawner_;
  bool cgroups_tried_ = false;
  std::uint64_t runs_ = 0;
};

Result<std::unique_ptr<Process>> RealLauncher::try_start(Request request,
                                                         std::function<void(ExitStatus)> on_exit) {
  const ProcessSpec& spec = request.spec;
  if (spec.argv.empty()) return Error(Errc::kInvalid, "there is no program to execute");
  auto identity = resolve_identity(spec);
  if (!identity) return std::move(identity).error();
  auto environment = child_environment(spec, std::move(request.environment), identity.value());
  if (!environment) return std::move(environment).error();
  auto program = find_program(spec.argv.front(), environment.value());
  if (!program) return std::move(program).error();

  auto child = std::make_shared<Child>();
  child->name = request.name;
  child->program = std::move(program).value();
  child->marker = run_variable(std::to_string(++runs_));
  set_variable(environment.value(), kRunVariable, child->marker.substr(kRunVariable.size() + 1));
  child->marker += '\0';
  if (request.on_notify) {
    auto socket = NotifySocket::open(
        reactor_, [c = child.get()](pid_t sender) { return belongs_to(sender, c->pid, c->marker); },
        std::move(request.on_notify));
    if (!socket) return std::move(socket).error();
    child->notify = std::move(socket).value();
    set_variable(environment.value(), "NOTIFY_SOCKET", child->notify->address());
  }
  if (request.own_cgroup) child->cgroup = new_cgroup();
  if (!child->cgroup.empty()) child->cgroups = &*cgroups_;
  auto steps = shim_steps(spec, identity.value());
  if (!steps) return std::move(steps).error();
  child->steps = std::move(steps).value();
  if (Status status = spawn(request, *child, environment.value()); !status)
    return std::move(status).error();
  child->on_exit = std::move(on_exit);
  reaper_.own(child->pid, [this, child](ExitStatus status) { exited(child, status); });
  if (child->report.valid()) {
    child->report_watch = reactor_.on_fd(child->report.get(), EPOLLIN,
                                         [c = child.get()](std::uint32_t) { c->read_report(); });
  }
  return std::unique_ptr<Process>(std::make_unique<Handle>(std::move(child), reaper_));
}

std::string RealLauncher::new_cgroup() {
  if (!std::exchange(cgroups_tried_, true)) {
    if (auto made = CgroupTree::create()) cgroups_.emplace(std::move(*made));
  }
  return cgroups_ ? cgroups_->add() : std::string();
}

Status RealLauncher::connect_output(const Request& request, Child& child, SpawnPlan& plan,
                                    Pipe& out, Pipe& err) {
  switch (request.output) {
    case Output::kInherit:
      plan.fds = {null_.get(), STDOUT_FILENO, STDERR_FILENO, -1};
      break;
    case Output::kNull:
      plan.fds = {null_.get(), null_.get(), null_.get(), -1};
      break;
    case Output::kPipe:
      for (Pipe* pipe : {&out, &err}) {
        auto made = make_pipe();
        if (!made) return std::move(made).error();
        *pipe = std::move(made).value();
      }
      plan.fds = {null_.get(), out.write.get(), err.write.get(), -1};
      child.out = std::move(out.read);
      child.err = std::move(err.read);
      break;
  }
  return ok();
}

Status RealLauncher::spawn(const Request& request, Child& child,
                           const std::vector<std::string>& environment) {
  const ProcessSpec& spec = request.spec;
  SpawnPlan plan;
  Pipe out, err, report;
  if (Status status = connect_output(request, child, plan, out, err); !status) return status;
  const bool shim = !child.steps.empty();
  if (shim) {
    auto made = make_pipe();
    if (!made) return std::move(made).error();
    report = std::move(made).value();
    plan.fds[kShimReportFd] = report.write.get();
  }
  const std::vector<std::string> argv =
      shim ? shim_argv(child.steps, child.program, spec.argv) : spec.argv;
  const std::vector<char*> arguments = pointers(argv);
  const std::vector<char*> variables = pointers(environment);
  plan.file = shim ? "/proc/self/exe" : child.program.c_str();
  plan.argv = arguments.data();
  plan.environment = variables.data();
  if (!shim && !spec.cwd.empty()) plan.cwd = spec.cwd.c_str();
  const UniqueFd cgroup(
      child.cgroup.empty() ? -1 : ::open(child.cgroup.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  plan.cgroup = cgroup.get();
  const Spawned spawned = spawner_.spawn(plan);
  switch (spawned.failed) {
    case Spawned::Step::kDone:
      break;
    case Spawned::Step::kEnter:
      return Error(spawned.error == EACCES ? Errc::kDenied : Errc::kNotFound,
                   "cannot enter cwd '" + spec.cwd + "': " + errno_text(spawned.error),
                   spawned.error);
    case Spawned::Step::kClone:
    case Spawned::Step::kExec:
      return explain_exec_failure(plan.file, spawned.error);
  }
  if (!spawned.in_cgroup) child.leave_cgroup();
  child.pid = spawned.pid;
  child.report = std::move(report.read);
  return ok();
}

void RealLauncher::exited(const std::shared_ptr<Child>& child, ExitStatus status) {
  child->read_report();
  if (child->notify) child->notify->drain();  // its last words
  child->notify.reset();
  child->exited = true;
  if (const auto on_exit = std::exchange(child->on_exit, nullptr)) on_exit(status);
  child->reaped = true;  // as soon as the reaper goes on
}

}  // namespace

std::string describe(const ExitStatus& status) {
  if (status.signal == 0) return "exited with code " + std::to_string(status.code);
  const char* const name = ::sigabbrev_np(status.signal);
  return "killed by " +
         (name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(status.signal));
}

Result<std::unique_ptr<Launcher>> make_launcher(Reactor& reactor) {
  // PID 1 gets every orphan anyway.
  if (::getpid() != 1 && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return Error(Errc::kIo, "cannot become the reaper of orphans: " + errno_text(errno), errno);
  }
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid())
    return Error(Errc::kIo, "cannot open '/dev/null': " + errno_text(errno), errno);
  return std::unique_ptr<Launcher>(std::make_unique<RealLauncher>(reactor, std::move(null)));
}

}  // namespace containerpilot
