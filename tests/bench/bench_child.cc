// What the benches let every supervisor run, and the smallest init as the floor. Linked
// statically, so that its own start costs little beside what is measured.
//
//   bench_child stamp FILE NAME      appends "NAME nanoseconds" to FILE
//   bench_child gauge FILE NAME      the same, and prints a number
//   bench_child lines COUNT FILE     prints that many lines of 100 bytes
//   bench_child orphans COUNT FILE   leaves that many children behind and waits for their end
//   bench_child init PROGRAM ...     runs the program and reaps until it has ended
//   bench_child exec FILE PROGRAM .. appends a stamp to FILE and becomes the program
//
// `lines` and `orphans` append begin and end to FILE. Times are CLOCK_MONOTONIC.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

long long now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

void append(const char* file, const char* name, long long when) {
  char line[128];
  const int size = std::snprintf(line, sizeof line, "%s %lld\n", name, when);
  const int fd = ::open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0 || ::write(fd, line, static_cast<std::size_t>(size)) != size) std::abort();
}

int lines(long count) {
  std::string text;
  for (int i = 0; i < 640; ++i) {
    text +=
        "GET /index.html 200 the usual hundred bytes of an access log, or nearly so, with some "
        "of it in \"quotes\"";
    text.back() = '\n';
  }
  for (long left = count; left > 0; left -= 640) {
    const char* from = text.data();
    const char* const end =
        from + text.size() / 640 * static_cast<std::size_t>(left < 640 ? left : 640);
    while (from < end) {
      const ssize_t n = ::write(STDOUT_FILENO, from, static_cast<std::size_t>(end - from));
      if (n <= 0) return 1;
      from += n;
    }
  }
  return 0;
}

int orphans(long count) {
  const std::size_t size = static_cast<std::size_t>(count) * sizeof(pid_t);
  void* const shared =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  auto* const pids = static_cast<pid_t*>(shared);
  for (long i = 0; i < count; ++i) {
    const pid_t middle = ::vfork();
    if (middle < 0) return 1;
    if (middle == 0) {
      const pid_t orphan = ::vfork();
      if (orphan == 0) ::_exit(7);
      pids[i] = orphan;
      ::_exit(0);
    }
    ::waitpid(middle, nullptr, 0);
  }
  for (long i = 0; i < count; ++i) {
    while (::kill(pids[i], 0) == 0) ::usleep(200);
  }
  return 0;
}

int init(char** program) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(program[0], program);
    ::_exit(127);
  }
  for (pid_t pid; (pid = ::waitpid(-1, nullptr, 0)) > 0;) {
    if (pid == child) return 0;
  }
  return 1;
}

int timed(int (*what)(long), const char* count, const char* file) {
  const long long begin = now();
  const int code = what(std::atol(count));
  append(file, "begin", begin);
  append(file, "end", now());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  if (what == "init") return init(argv + 2);
  if (what == "exec" && argc > 3) {
    append(argv[2], "exec", now());
    ::execv(argv[3], argv + 3);
    return 127;
  }
  if (argc != 4) return 2;
  if (what == "stamp") {
    append(argv[2], argv[3], now());
    return 0;
  }
  if (what == "gauge") {
    append(argv[2], argv[3], now());
    return ::write(STDOUT_FILENO, "1\n", 2) == 2 ? 0 : 1;
  }
  if (what == "lines") return timed(lines, argv[2], argv[3]);
  if (what == "orphans") return timed(orphans, argv[2], argv[3]);
  return 2;
}
