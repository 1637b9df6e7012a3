#include "reaper.h"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>

namespace containerpilot::detail {

Reaper::Reaper(Reactor& reactor)
    : sigchld_(reactor.on_signal(SIGCHLD, [this](const siginfo_t&) { collect(); })),
      // Whoever executed us may have left children whose SIGCHLD is long gone.
      first_look_(reactor.after(Duration(0), [this] { collect(); })) {}

void Reaper::collect() {
  while (true) {
    // The kernel shows the same first zombie until it is reaped, so peek and reap go together.
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      return;  // ECHILD: no children at all
    }
    if (info.si_pid == 0) return;
    const pid_t pid = info.si_pid;
    if (const auto it = owners_.find(pid); it != owners_.end()) {
      const auto on_exit = std::move(it->second);
      owners_.erase(it);
      const bool exited = info.si_code == CLD_EXITED;
      on_exit(exited ? ExitStatus{.code = info.si_status} : ExitStatus{.signal = info.si_status});
    } else {
      ++orphans_;
    }
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
  }
}

}  // namespace containerpilot::detail
