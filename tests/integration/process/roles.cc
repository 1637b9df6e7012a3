// What the children of these tests do. Each role is one small program.

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"
#include "harness.h"

namespace containerpilot::test {

namespace {

using Arguments = std::vector<std::string>;

[[noreturn]] void wait_for_ever() {
  while (true) ::pause();
}

void say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(1, text.data(), text.size()) < 0) ::_exit(99);
}

int exit_with(const Arguments& a) { return std::atoi(a.at(0).c_str()); }

int kill_self(const Arguments& a) {
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::kill(::getpid(), std::atoi(a.at(0).c_str()));
  wait_for_ever();
}

int send_notification(const std::string& text) {
  const char* const name = ::getenv("NOTIFY_SOCKET");
  if (name == nullptr || name[0] != '@') return 98;
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path + 1, name + 1, sizeof address.sun_path - 2);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(name));
  return ::sendto(fd.get(), text.data(), text.size(), 0,
                  reinterpret_cast<const sockaddr*>(&address), size) < 0
             ? 97
             : 0;
}

// Sends its first argument, and its second from a grandchild in a session of its own.
int notify(const Arguments& a) {
  if (const int failed = send_notification(a.at(0)); failed != 0) return failed;
  if (::fork() == 0) {
    ::setsid();
    if (::fork() == 0) send_notification(a.at(1));
  }
  wait_for_ever();
}

// "fd N" for each above 2, "mask N" and "handler N" for each signal that is not as after boot.
int inventory(const Arguments&) {
  DIR* const dir = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(dir)) {
    const int fd = std::atoi(entry->d_name);
    if (fd > 2 && fd != ::dirfd(dir)) say("fd " + std::to_string(fd));
  }
  sigset_t mask;
  ::sigprocmask(SIG_BLOCK, nullptr, &mask);
  for (int signo = 1; signo < 65; ++signo) {
    if (sigismember(&mask, signo) == 1) say("mask " + std::to_string(signo));
    struct sigaction action {};
    if (::sigaction(signo, nullptr, &action) == 0 && action.sa_handler != SIG_DFL) {
      say("handler " + std::to_string(signo));
    }
  }
  if (::getpgrp() != ::getpid()) say("group of somebody else");
  char byte;
  if (::read(0, &byte, 1) != 0) say("stdin is not empty");
  return 0;
}

int environment(const Arguments&) {
  for (char** entry = environ; *entry != nullptr; ++entry) say(*entry);
  return 0;
}

// `count` grandchildren whose parent is gone at once, so that they are adopted.
int orphans(const Arguments& a) {
  for (int i = std::atoi(a.at(0).c_str()); i > 0; --i) {
    if (const pid_t middle = ::fork(); middle != 0) {
      ::waitpid(middle, nullptr, 0);
      continue;
    }
    if (::fork() == 0) ::_exit(i % 256);
    ::_exit(0);
  }
  return 0;
}

// Says the pids of: a child in a session of its own, and a daemon that has also lost its parent.
int escapees(const Arguments&) {
  if (::fork() == 0) {
    ::setsid();
    say(std::to_string(::getpid()));
    wait_for_ever();
  }
  if (const pid_t middle = ::fork(); middle == 0) {
    if (::fork() == 0) {
      ::setsid();
      say(std::to_string(::getpid()));
      wait_for_ever();
    }
    ::_exit(0);
  } else {
    ::waitpid(middle, nullptr, 0);
  }
  wait_for_ever();
}

int ignore_term(const Arguments&) {
  ::signal(SIGTERM, SIG_IGN);
  say("ready");
  wait_for_ever();
}

// Ends at once but leaves somebody behind who holds stdout, and says who.
int leave_holder(const Arguments&) {
  const pid_t holder = ::fork();
  if (holder == 0) wait_for_ever();
  say(std::to_string(holder));
  return 0;
}

int stop_self(const Arguments&) {
  say("stopping");
  ::raise(SIGSTOP);
  wait_for_ever();
}

// Counts down to 1, in lines of some 100 bytes.
int flood(const Arguments& a) {
  const std::string filling(94, 'x');
  for (int i = std::atoi(a.at(0).c_str()); i > 0; --i) say(std::to_string(i) + " " + filling);
  return 0;
}

// Starts /bin/true with no process left to start, then with enough.
int out_of_processes(const Arguments&) {
  block_signals();
  auto loop = EpollReactor::create().value();
  auto launcher = make_launcher(*loop).value();
  if (::getuid() == 0 && ::setresuid(54321, 54321, 54321) != 0) return 1;
  rlimit normal{};
  ::getrlimit(RLIMIT_NPROC, &normal);
  const rlimit none{0, normal.rlim_max};
  ::setrlimit(RLIMIT_NPROC, &none);
  const ProcessSpec spec{.argv = {"/bin/true"}};
  const auto failed =
      launcher->start({.spec = spec, .environment = {}, .name = "job 'test'"}, nullptr);
  if (failed) return 2;
  say(failed.error().text());
  say(failed.error().code() == Errc::kUnavailable ? "kUnavailable" : "another code");
  ::setrlimit(RLIMIT_NPROC, &normal);
  auto process = launcher->start({.spec = spec, .environment = {}, .name = "job 'test'"},
                                 [&](ExitStatus status) {
                                   say(describe(status));
                                   loop->stop();
                                 });
  if (!process) return 3;
  loop->run();
  return 0;
}

// PID 1 of a namespace of its own: starts a storm of orphans and says how many it reaped.
int as_init(const Arguments&) {
  block_signals();
  auto loop = EpollReactor::create().value();
  auto launcher = make_launcher(*loop).value();
  const ProcessSpec spec{.argv = child_argv("orphans", {"1000"})};
  std::optional<ExitStatus> exit;
  const auto process = launcher->start(
      {.spec = spec, .environment = {}, .output = Output::kInherit, .name = "storm"},
      [&](ExitStatus status) { exit = status; });
  if (!process) return 1;
  loop->observe_turns([&](Duration, Duration) {
    if (exit && launcher->orphans() == 1000) loop->stop();
  });
  const Watch limit = loop->after(std::chrono::seconds(50), [&] { loop->stop(); });
  loop->run();
  say("pid " + std::to_string(::getpid()) + " reaped " + std::to_string(launcher->orphans()));
  say(::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD ? "nobody is left"
                                                               : "somebody is left");
  return 7;
}

int print_raw(const Arguments& a) {
  return ::write(1, a.at(0).data(), a.at(0).size()) == static_cast<ssize_t>(a.at(0).size()) ? 0 : 1;
}

int long_line(const Arguments& a) {
  const std::string text(static_cast<std::size_t>(std::atol(a.at(0).c_str())), 'y');
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(1, text.data() + at, text.size() - at);
    if (n <= 0) return 1;
    at += static_cast<std::size_t>(n);
  }
  say("");
  return 0;
}

const std::map<std::string, int (*)(const Arguments&)> kRoles = {
    {"exit", exit_with},
    {"kill-self", kill_self},
    {"inventory", inventory},
    {"notify", notify},
    {"environment", environment},
    {"orphans", orphans},
    {"escapees", escapees},
    {"ignore-term", ignore_term},
    {"leave-holder", leave_holder},
    {"stop-self", stop_self},
    {"flood", flood},
    {"print", print_raw},
    {"as-init", as_init},
    {"out-of-processes", out_of_processes},
    {"long-line", long_line},
};

}  // namespace

std::vector<std::string> child_argv(const std::string& role, std::vector<std::string> arguments) {
  static const std::string self = [] {
    char path[4096];
    const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
    return std::string(path, n > 0 ? static_cast<std::size_t>(n) : 0);
  }();
  std::vector<std::string> argv = {self, "--play", role};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

void play_child_if_asked(int argc, char** argv) {
  if (argc < 3 || std::strcmp(argv[1], "--play") != 0) return;
  const auto role = kRoles.find(argv[2]);
  std::exit(role == kRoles.end() ? 98 : role->second(Arguments(argv + 3, argv + argc)));
}

}  // namespace containerpilot::test
