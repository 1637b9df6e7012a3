#include "spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <new>

namespace containerpilot::detail {

namespace {

constexpr std::size_t kStack = 64 * 1024;

struct Call {
  const SpawnPlan& plan;
  const std::vector<int>& ignored;
  Spawned& result;
};

Spawned* share() {
  void* const page =
      ::mmap(nullptr, sizeof(Spawned), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? nullptr : new (page) Spawned;
}

}  // namespace

Spawner::Spawner() : ignored_{SIGPIPE}, stack_(kStack), shared_(share()) {
  for (int signo = 1; signo < NSIG; ++signo) {
    struct sigaction action {};
    if (signo != SIGPIPE && ::sigaction(signo, nullptr, &action) == 0 &&
        action.sa_handler == SIG_IGN) {
      ignored_.push_back(signo);
    }
  }
}

Spawner::~Spawner() {
  if (shared_ != nullptr) ::munmap(shared_, sizeof(Spawned));
}

// Runs in the child, on the parent's memory or a copy, while the parent waits: system calls only.
int Spawner::become(void* argument) {
  const auto& [plan, ignored, result] = *static_cast<Call*>(argument);
  ::setpgid(0, 0);
  int count = 0;
  for (; count < static_cast<int>(plan.fds.size()); ++count) {
    const int fd = plan.fds[static_cast<std::size_t>(count)];
    if (fd < 0) break;
    if (fd == count) {
      ::fcntl(fd, F_SETFD, 0);
    } else {
      ::dup2(fd, count);
    }
  }
  // For libraries that forget close-on-exec. Linux before 5.9 does not know it.
  ::syscall(SYS_close_range, count, ~0U, 0);
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (const int signo : ignored) ::sigaction(signo, &by_default, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (plan.cwd != nullptr && ::chdir(plan.cwd) != 0) {
    result.failed = Spawned::Step::kEnter;
  } else {
    ::execve(plan.file, plan.argv, plan.environment);
    result.failed = Spawned::Step::kExec;
  }
  result.error = errno;
  ::_exit(127);
}

// The only call that does it; without a wrapper in glibc the child needs a stack, so a copy, of its
// own.
pid_t Spawner::clone_into(int cgroup, void* call) {
  clone_args args{};
  args.flags = CLONE_VFORK | CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<__u64>(cgroup);
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) ::_exit(become(call));
  return pid;
}

Spawned Spawner::spawn(const SpawnPlan& plan) {
  Spawned own;
  Spawned& result = shared_ != nullptr ? (*shared_ = {}) : own;
  Call call{plan, ignored_, result};
  // No handler may run in the child: it would run on our memory.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  result.pid = plan.cgroup >= 0 && shared_ != nullptr ? clone_into(plan.cgroup, &call) : -1;
  result.in_cgroup = result.pid > 0;
  if (!result.in_cgroup) {
    void* const top = stack_.data() + stack_.size();
    result.pid = ::clone(become, top, CLONE_VM | CLONE_VFORK | SIGCHLD, &call);
  }
  if (result.pid < 0) {
    result.failed = Spawned::Step::kClone;
    result.error = errno;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (result.pid > 0 && result.failed != Spawned::Step::kDone) ::waitpid(result.pid, nullptr, 0);
  return result;
}

}  // namespace containerpilot::detail
