#include "shim.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace containerpilot {

namespace {

// Nobody calls a program this by accident.
constexpr const char* kShimName = "[containerpilot shim]";
constexpr std::string_view kEndOfSteps = "--";

struct LimitName {
  std::string_view name;
  int resource;
};
constexpr std::array kLimitNames = {
    LimitName{"as", RLIMIT_AS},
    LimitName{"core", RLIMIT_CORE},
    LimitName{"cpu", RLIMIT_CPU},
    LimitName{"data", RLIMIT_DATA},
    LimitName{"fsize", RLIMIT_FSIZE},
    LimitName{"locks", RLIMIT_LOCKS},
    LimitName{"memlock", RLIMIT_MEMLOCK},
    LimitName{"msgqueue", RLIMIT_MSGQUEUE},
    LimitName{"nice", RLIMIT_NICE},
    LimitName{"nofile", RLIMIT_NOFILE},
    LimitName{"nproc", RLIMIT_NPROC},
    LimitName{"rss", RLIMIT_RSS},
    LimitName{"rtprio", RLIMIT_RTPRIO},
    LimitName{"rttime", RLIMIT_RTTIME},
    LimitName{"sigpending", RLIMIT_SIGPENDING},
    LimitName{"stack", RLIMIT_STACK},
};

std::string octal(mode_t mode) {
  std::array<char, 16> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), mode, 8).ptr;
  return "0" + std::string(text.data(), end);
}

template <class Range>
std::string join(const Range& values) {
  std::string text;
  for (const auto value : values) text += (text.empty() ? "" : ",") + std::to_string(value);
  return text;
}

// ---- in the child ----

std::uint64_t next_number(std::string_view& text) {
  std::uint64_t value = 0;
  const char* const end = std::from_chars(text.data(), text.data() + text.size(), value).ptr;
  text.remove_prefix(std::min(static_cast<std::size_t>(end - text.data()) + 1, text.size()));
  return value;
}

bool write_file(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  ::close(fd);
  errno = error;
  return written;
}

bool set_groups(std::string_view list) {
  std::vector<gid_t> groups;
  while (!list.empty()) groups.push_back(static_cast<gid_t>(next_number(list)));
  if (::setgroups(groups.size(), groups.data()) == 0) return true;
  // Without privileges nothing can be changed, which is fine if nothing has to be.
  std::vector<gid_t> current(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  if (errno != EPERM || ::getgroups(static_cast<int>(current.size()), current.data()) < 0)
    return false;
  errno = EPERM;
  const auto is_own = [](gid_t gid) { return gid == ::getgid(); };
  std::erase_if(groups, is_own);
  std::erase_if(current, is_own);
  return std::is_permutation(groups.begin(), groups.end(), current.begin(), current.end());
}

bool set_limit(std::string_view numbers) {
  const auto resource = static_cast<__rlimit_resource>(next_number(numbers));
  const rlim_t soft = next_number(numbers);
  const rlimit limit{soft, next_number(numbers)};
  return ::setrlimit(resource, &limit) == 0;
}

bool do_step(std::string_view key, std::string_view value) {
  std::string_view rest = value;
  if (key == "oom") return write_file("/proc/self/oom_score_adj", value);
  if (key == "rlimit") return set_limit(value);
  if (key == "groups") return set_groups(value);
  if (key == "cwd") return ::chdir(std::string(value).c_str()) == 0;
  if (key == "nnp") return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  const auto number = static_cast<id_t>(next_number(rest));
  if (key == "gid") return ::setresgid(number, number, number) == 0;
  if (key == "uid") return ::setresuid(number, number, number) == 0;
  if (key == "umask") {
    ::umask(number);
    return true;
  }
  errno = EINVAL;
  return false;
}

[[noreturn]] void report(int step) {
  const detail::ShimFailure failure{step, errno};
  [[maybe_unused]] const ssize_t n = ::write(detail::kShimReportFd, &failure, sizeof failure);
  ::_exit(127);
}

[[noreturn]] void run_shim(char** argv) {
  // We got an empty mask and default handlers; main may have changed that since.
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  for (int signo = 1; signo < NSIG; ++signo) ::signal(signo, SIG_DFL);
  ::fcntl(detail::kShimReportFd, F_SETFD, FD_CLOEXEC);
  int step = 0;
  for (++argv; *argv != nullptr && *argv != kEndOfSteps; ++argv, ++step) {
    const std::string_view argument = *argv;
    const std::size_t equals = argument.find('=');
    if (equals == argument.npos ||
        !do_step(argument.substr(0, equals), argument.substr(equals + 1))) {
      report(step);
    }
  }
  errno = EINVAL;
  if (*argv != nullptr && argv[1] != nullptr) ::execv(argv[1], argv + 2);
  report(step);
}

}  // namespace

std::optional<int> parse_rlimit_name(std::string_view name) {
  for (const LimitName& limit : kLimitNames) {
    if (limit.name == name) return limit.resource;
  }
  return std::nullopt;
}

void run_shim_if_asked(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[0]) == kShimName) run_shim(argv);
}

namespace detail {

namespace {

Error unknown_limit(const std::string& name) {
  std::string known;
  for (const LimitName& limit : kLimitNames) {
    known.append(known.empty() ? "" : ", ").append(limit.name);
  }
  return {Errc::kInvalid, "no limit '" + name + "'; accepted are " + known};
}

ShimStep limit_step(const std::string& name, int resource, const ResourceLimit& limit) {
  const std::string values = std::to_string(limit.soft) + ":" + std::to_string(limit.hard);
  return {"rlimit=" + std::to_string(resource) + ":" + values,
          "set the limit '" + name + "' to " + values};
}

}  // namespace

Result<std::vector<ShimStep>> shim_steps(const ProcessSpec& spec, const Identity& identity) {
  std::vector<ShimStep> steps;
  if (spec.oom_score_adj) {
    const std::string score = std::to_string(*spec.oom_score_adj);
    steps.push_back({"oom=" + score, "set oomScoreAdj to " + score});
  }
  for (const auto& [name, limit] : spec.rlimits) {
    const auto resource = parse_rlimit_name(name);
    if (!resource) return unknown_limit(name);
    steps.push_back(limit_step(name, *resource, limit));
  }
  if (spec.umask)
    steps.push_back({"umask=" + std::to_string(*spec.umask), "set umask " + octal(*spec.umask)});
  if (identity.groups) {
    const std::string list = join(*identity.groups);
    steps.push_back({"groups=" + list, "set groups (" + list + ")"});
  }
  if (identity.gid) {
    const std::string gid = std::to_string(*identity.gid);
    steps.push_back({"gid=" + gid, "set group '" + (spec.group.empty() ? gid : spec.group) +
                                       "' (gid " + gid + ")"});
  }
  if (identity.uid) {
    const std::string uid = std::to_string(*identity.uid);
    steps.push_back({"uid=" + uid, "set user '" + spec.user + "' (uid " + uid + ")"});
  }
  if (spec.no_new_privileges) steps.push_back({"nnp=1", "set noNewPrivileges"});
  // A cwd alone needs no shim. With one, it is entered as the user who has to work there.
  if (!spec.cwd.empty() && !steps.empty())
    steps.push_back({"cwd=" + spec.cwd, "enter cwd '" + spec.cwd + "'"});
  return steps;
}

std::vector<std::string> shim_argv(const std::vector<ShimStep>& steps, const std::string& path,
                                   const std::vector<std::string>& argv) {
  std::vector<std::string> result = {kShimName};
  for (const ShimStep& step : steps) result.push_back(step.argument);
  result.emplace_back(kEndOfSteps);
  result.push_back(path);
  result.insert(result.end(), argv.begin(), argv.end());
  return result;
}

}  // namespace detail
}  // namespace containerpilot
