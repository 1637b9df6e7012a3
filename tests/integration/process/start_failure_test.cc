#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "harness.h"
#include "support/fd_leak.h"
#include "support/temp_dir.h"

namespace containerpilot::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// Every failure is told alike whether posix_spawn meets it (at once) or the shim (before on_exit).
class StartFailures : public ProcessTest, public ::testing::WithParamInterface<bool> {
 protected:
  /// The text after "cannot start job 'test': ".
  std::string failure_of(ProcessSpec spec) {
    const FdLeakCheck no_leak;
    spec.no_new_privileges = GetParam();
    std::string text;
    if (const auto run = start(spec)) {
      EXPECT_TRUE(run_until([&] { return run->ended(); }));
      EXPECT_EQ(run->exit, ExitStatus{.code = 127});
      EXPECT_THAT(run->out, IsEmpty());
      if (const Error* failure = run->process->start_failure()) {
        text = failure->text();
        code = failure->code();
      }
    } else {
      text = start_error->text();
      code = start_error->code();
    }
    constexpr std::string_view kPurpose = "cannot start job 'test': ";
    EXPECT_THAT(text, StartsWith(kPurpose));
    return text.substr(std::min(kPurpose.size(), text.size()));
  }
  std::string failure_of(const std::string& program) {
    return failure_of(ProcessSpec{.argv = {program}});
  }

  TempDir dir;
  std::optional<Errc> code;
};

TEST_P(StartFailures, NoSuchFile) {
  EXPECT_EQ(failure_of("/no/such/program"), "no such file: '/no/such/program'");
  EXPECT_EQ(code, Errc::kNotFound);
}

TEST_P(StartFailures, NotInThePathOfTheChild) {
  environment = {"PATH=" + dir.path() + ":/nowhere"};
  EXPECT_EQ(failure_of("ls"), "no program 'ls' in PATH (" + dir.path() + ":/nowhere)");
  EXPECT_EQ(code, Errc::kNotFound);
}

TEST_P(StartFailures, NotExecutable) {
  const std::string file = dir.write("script", "#!/bin/sh\n", 0644);
  EXPECT_EQ(failure_of(file), "'" + file + "' is not executable (chmod +x would make it so)");
  EXPECT_EQ(code, Errc::kDenied);
  environment = {"PATH=" + dir.path()};
  EXPECT_EQ(failure_of("script"), "'" + file + "' is not executable (chmod +x would make it so)");
}

TEST_P(StartFailures, ADirectory) {
  EXPECT_EQ(failure_of(dir.path()), "'" + dir.path() + "' is a directory, not a program");
  EXPECT_EQ(code, Errc::kDenied);
}

TEST_P(StartFailures, AMissingInterpreter) {
  const std::string file = dir.write("script", "#! /opt/no/python3 -u\nprint()\n", 0755);
  EXPECT_EQ(failure_of(file),
            "'" + file + "' asks for the interpreter '/opt/no/python3', which does not exist");
  EXPECT_EQ(code, Errc::kNotFound);
}

TEST_P(StartFailures, AScriptSavedWithDosLineEnds) {
  const std::string file = dir.write("script", "#!/bin/sh\r\necho\r\n", 0755);
  EXPECT_THAT(failure_of(file),
              HasSubstr("'/bin/sh\\r': its first line ends in a carriage return"));
}

TEST_P(StartFailures, AnInterpreterThatIsNotExecutable) {
  const std::string interpreter = dir.write("interpreter", "", 0644);
  const std::string file = dir.write("script", "#!" + interpreter + "\n", 0755);
  EXPECT_EQ(failure_of(file), "'" + file + "' asks for the interpreter '" + interpreter +
                                  "', which is not executable");
  EXPECT_EQ(code, Errc::kDenied);
}

TEST_P(StartFailures, NeitherScriptNorBinary) {
  const std::string file = dir.write("script", "echo hello\n", 0755);
  EXPECT_EQ(
      failure_of(file),
      "'" + file + "' is not a program: it has no '#!' line and is not a binary of this system");
  EXPECT_EQ(code, Errc::kInvalid);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_P(StartFailures, ABinaryForAnotherArchitecture) {
  std::string binary = read_file("/bin/true");
  binary.at(18) = static_cast<char>(EM_RISCV);
  binary.at(19) = 0;
  const std::string file = dir.write("binary", binary, 0755);
  EXPECT_THAT(failure_of(file), HasSubstr("is built for another architecture"));
  EXPECT_EQ(code, Errc::kInvalid);
}

TEST_P(StartFailures, ABinaryForAnotherLibc) {
  std::string binary = read_file("/bin/true");
  const std::size_t loader = binary.find("/ld-linux");
  ASSERT_NE(loader, std::string::npos);
  binary.replace(loader, 9, "/ld-absnt");
  const std::string file = dir.write("binary", binary, 0755);
  EXPECT_THAT(failure_of(file), HasSubstr("/ld-absnt"));
  EXPECT_THAT(failure_of(file), HasSubstr("which does not exist (built for another C library?)"));
  EXPECT_EQ(code, Errc::kNotFound);
}

TEST_P(StartFailures, AFileBeingWritten) {
  const std::string file = dir.write("binary", read_file("/bin/true"), 0755);
  const UniqueFd writer(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(failure_of(file), "'" + file + "' is being written to");
  EXPECT_EQ(code, Errc::kUnavailable);
}

TEST_P(StartFailures, AnEnvironmentTooLarge) {
  const ProcessSpec spec{.argv = {"/bin/true"},
                         .env = {{"BIG", std::string(4 * 1024 * 1024, 'x')}}};
  EXPECT_THAT(failure_of(spec), HasSubstr("too large for the kernel"));
  EXPECT_EQ(code, Errc::kInvalid);
}

TEST_P(StartFailures, AMissingWorkingDirectory) {
  EXPECT_EQ(failure_of(ProcessSpec{.argv = {"/bin/true"}, .cwd = "/no/such/folder"}),
            "cannot enter cwd '/no/such/folder': No such file or directory");
  EXPECT_EQ(code, Errc::kNotFound);
}

TEST_P(StartFailures, UnknownNames) {
  EXPECT_THAT(failure_of(ProcessSpec{.argv = {"/bin/true"}, .user = "no-such-user"}),
              HasSubstr("no user 'no-such-user'"));
  EXPECT_THAT(failure_of(ProcessSpec{.argv = {"/bin/true"}, .groups = {"no-such-group"}}),
              HasSubstr("no group 'no-such-group'"));
  EXPECT_THAT(failure_of(ProcessSpec{.argv = {"/bin/true"}, .rlimits = {{"pizza", {}}}}),
              HasSubstr("no limit 'pizza'; accepted are as,"));
  EXPECT_EQ(code, Errc::kInvalid);
}

TEST_P(StartFailures, AnEnvFileThatIsNotThere) {
  EXPECT_THAT(failure_of(ProcessSpec{.argv = {"/bin/true"}, .env_files = {"/no/such.env"}}),
              HasSubstr("cannot open env file '/no/such.env'"));
  EXPECT_EQ(code, Errc::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(DirectAndShim, StartFailures, ::testing::Bool(),
                         [](const auto& given) { return given.param ? "shim" : "direct"; });

class Attributes : public ProcessTest {};

TEST_F(Attributes, ThatAreRefusedFailTheStartWithTheirName) {
  const auto run =
      finish(ProcessSpec{.argv = {"/bin/echo", "never"}, .rlimits = {{"nofile", {10, 5}}}});
  EXPECT_EQ(run->failure,
            "cannot start job 'test': cannot set the limit 'nofile' to 10:5: Invalid argument");
  EXPECT_THAT(run->out, IsEmpty());
}

TEST_F(Attributes, AreInForceWhenTheProgramRuns) {
  if (::getuid() != 0) GTEST_SKIP() << "changing the user needs root";
  const TempDir dir;
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
  const auto run = finish(ProcessSpec{
      .argv =
          {"sh", "-c",
           "id -u; id -g; id -G; umask; ulimit -Sn; ulimit -Hn; pwd; cat /proc/self/oom_score_adj;"
           "grep NoNewPrivs /proc/self/status; echo $HOME $USER"},
      .cwd = dir.path(),
      .user = "daemon",
      .group = "nogroup",
      .groups = {"audio", "4321"},
      .umask = 027,
      .rlimits = {{"nofile", {100, 200}}, {"core", {0, 0}}},
      .oom_score_adj = 321,
      .no_new_privileges = true});
  EXPECT_EQ(run->failure, "");
  // Numbers as Debian's base-passwd has had them for ever: daemon 1, nogroup 65534, audio 29.
  EXPECT_THAT(run->out,
              ::testing::ElementsAre("1", "65534", "65534 29 4321", "0027", "100", "200",
                                     dir.path(), "321", "NoNewPrivs:\t1", "/usr/sbin daemon"));
}

TEST_F(Attributes, OfAUserAreItsOwnGroups) {
  if (::getuid() != 0) GTEST_SKIP() << "changing the user needs root";
  const auto run = finish(ProcessSpec{.argv = {"id", "-G"}, .user = "65534"});
  EXPECT_THAT(run->out, ::testing::ElementsAre("65534")) << "root's groups are gone";
}

TEST_F(Attributes, CwdAloneNeedsNoShim) {
  const auto run = finish(ProcessSpec{.argv = {"pwd"}, .cwd = "/usr/lib"});
  EXPECT_THAT(run->out, ::testing::ElementsAre("/usr/lib"));
}

class Exhaustion : public ProcessTest {};

TEST_F(Exhaustion, OfDescriptorsFailsTheStartOrNothing) {
  const FdLeakCheck no_leak;
  rlimit normal{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &normal), 0);
  const UniqueFd next(::dup(0));
  const auto free_from = static_cast<rlim_t>(next.get());
  int failed = 0;
  for (rlim_t budget = 0; budget < 10; ++budget) {
    const rlimit tight{free_from + 1 + budget, normal.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    const auto run = start({"/bin/true"});
    if (!run) {
      ++failed;
      EXPECT_EQ(start_error->code(), Errc::kUnavailable);
      EXPECT_THAT(start_error->text(), HasSubstr("no file descriptors are left"));
    } else {
      EXPECT_TRUE(run_until([&] { return run->ended(); }));
      EXPECT_EQ(run->exit, ExitStatus{});
    }
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &normal), 0);
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 10);
  EXPECT_EQ(finish({"/bin/true"})->exit, ExitStatus{});
}

// The kernel does not limit root, so a child of ours becomes somebody else and tries.
TEST_F(Exhaustion, OfProcessesFailsTheStartAndIsOverWhenItIsOver) {
  const auto run = finish(child_argv("out-of-processes"));
  EXPECT_THAT(run->out, ::testing::ElementsAre("cannot start job 'test': the limit on processes is "
                                               "reached (RLIMIT_NPROC or pids cgroup)",
                                               "kUnavailable", "exited with code 0"));
}

}  // namespace
}  // namespace containerpilot::test
