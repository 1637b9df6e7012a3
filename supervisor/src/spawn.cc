#include "spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace containerpilot::detail {

namespace {

constexpr std::size_t kStack = 64 * 1024;

struct Call {
  const SpawnPlan& plan;
  const std::vector<int>& ignored;
  Spawned& result;
};

/// clone3() with a stack of the child's own, on which it calls `function` and never returns. glibc
/// keeps its wrapper to itself. -1 with errno, also where this was not written for the processor.
long call_on_clone([[maybe_unused]] clone_args& args, [[maybe_unused]] int (*function)(void*),
                   [[maybe_unused]] void* argument) {
  long result = -ENOSYS;
#if defined(__x86_64__)
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %[argument], %%rdi\n\t"
      "call *%[function]\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "0"(static_cast<long>(SYS_clone3)), "D"(&args),
        "S"(sizeof args), [function] "r"(function), [argument] "r"(argument)
      : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long x8 asm("x8") = SYS_clone3;
  register long x0 asm("x0") = reinterpret_cast<long>(&args);
  register long x1 asm("x1") = sizeof args;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, %[argument]\n\t"
      "blr %[function]\n\t"
      "brk #0\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), [function] "r"(function), [argument] "r"(argument)
      : "memory");
  result = x0;
#endif
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace

Spawner::Spawner() : ignored_{SIGPIPE}, stack_(kStack) {
  for (int signo = 1; signo < NSIG; ++signo) {
    struct sigaction action {};
    if (signo != SIGPIPE && ::sigaction(signo, nullptr, &action) == 0 &&
        action.sa_handler == SIG_IGN) {
      ignored_.push_back(signo);
    }
  }
}

// Runs in the child, on the parent's memory, while the parent waits: system calls only.
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
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  if (plan.cwd != nullptr && ::chdir(plan.cwd) != 0) {
    result.failed = Spawned::Step::kEnter;
  } else {
    ::execve(plan.file, plan.argv, plan.environment);
    result.failed = Spawned::Step::kExec;
  }
  result.error = errno;
  ::_exit(127);
}

pid_t Spawner::clone_into(int cgroup, void* call) {
  clone_args args{};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.stack = reinterpret_cast<__u64>(stack_.data());
  args.stack_size = stack_.size();
  args.cgroup = static_cast<__u64>(cgroup);
  return static_cast<pid_t>(call_on_clone(args, become, call));
}

Spawned Spawner::spawn(const SpawnPlan& plan) {
  Spawned result;
  Call call{plan, ignored_, result};
  // No handler may run in the child: it would run on our memory.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  result.pid = plan.cgroup >= 0 ? clone_into(plan.cgroup, &call) : -1;
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
