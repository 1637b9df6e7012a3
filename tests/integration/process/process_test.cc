#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "cgroup_tree.h"
#include "harness.h"
#include "support/fd_leak.h"
#include "support/temp_dir.h"

namespace containerpilot::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class Processes : public ProcessTest {};

TEST_F(Processes, ReportAll256ExitCodes) {
  const FdLeakCheck no_leak;
  std::vector<std::shared_ptr<Child>> runs;
  for (int code = 0; code < 256; code += 16) {
    for (int i = code; i < code + 16; ++i)
      runs.push_back(start(child_argv("exit", {std::to_string(i)})));
    ASSERT_TRUE(run_until([&] {
      return std::all_of(runs.begin(), runs.end(),
                         [](const auto& run) { return run && run->ended(); });
    }));
  }
  for (int code = 0; code < 256; ++code) {
    EXPECT_EQ(runs[static_cast<std::size_t>(code)]->exit, (ExitStatus{.code = code}));
  }
}

TEST_F(Processes, ReportTheSignalThatKilledThem) {
  for (const int signo :
       {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1,
        SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGSYS}) {
    const auto run = finish(child_argv("kill-self", {std::to_string(signo)}));
    EXPECT_EQ(run->exit, (ExitStatus{.signal = signo}));
    EXPECT_EQ(describe(*run->exit), "killed by SIG" + std::string(::sigabbrev_np(signo)));
    EXPECT_EQ(run->exit->shell_code(), 128 + signo);
  }
}

TEST_F(Processes, InheritNothingOfTheAgent) {
  // What a careless library leaves behind: no close-on-exec.
  const UniqueFd stray(::open("/dev/null", O_RDONLY));
  const auto run = finish(child_argv("inventory"));
  EXPECT_THAT(run->out, IsEmpty());
  EXPECT_EQ(run->exit, ExitStatus{});
}

TEST_F(Processes, InheritNothingThroughTheShimEither) {
  const UniqueFd stray(::open("/dev/null", O_RDONLY));
  const auto run = finish(ProcessSpec{.argv = child_argv("inventory"), .no_new_privileges = true});
  EXPECT_THAT(run->out, IsEmpty());
  EXPECT_EQ(run->exit, ExitStatus{});
}

TEST_F(Processes, AreToldOfTheirEndOnlyOnceAndLater) {
  auto run = start(child_argv("exit", {"0"}));
  EXPECT_FALSE(run->exit) << "never inside start()";
  ASSERT_TRUE(run_until([&] { return run->ended(); }));
  EXPECT_TRUE(run->process->signal(SIGTERM)) << "nobody is hit by mistake";
  EXPECT_TRUE(run->process->signal_group(SIGTERM));
  run->process->kill_tree();
}

TEST_F(Processes, LeaveNoDescriptorBehind) {
  const FdLeakCheck no_leak;
  for (int i = 0; i < 200; ++i) finish({"/bin/true"});
  for (int i = 0; i < 20; ++i)
    finish(ProcessSpec{.argv = {"/bin/true"}, .no_new_privileges = true});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(start({"/no/such/program"}), nullptr);
}

TEST_F(Processes, AdoptOrphansAndReapThem) {
  const auto before = launcher->orphans();
  const auto run = finish(child_argv("orphans", {"1000"}));
  EXPECT_EQ(run->exit, ExitStatus{});
  EXPECT_TRUE(run_until([&] { return launcher->orphans() - before == 1000; }));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child, no zombie is left";
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(Processes, AreReapedByPid1OfANamespaceToo) {
  if (::getuid() != 0) GTEST_SKIP() << "a pid namespace needs root";
  std::vector<std::string> argv = {"unshare", "--pid", "--fork", "--mount-proc"};
  for (std::string& word : child_argv("as-init")) argv.push_back(std::move(word));
  const auto run = finish(argv);
  EXPECT_THAT(run->out, ElementsAre("pid 1 reaped 1000", "nobody is left"));
  EXPECT_EQ(run->exit, ExitStatus{.code = 7});
}

TEST_F(Processes, StartWithStandardStreamsClosed) {
  // sh closes all three before it becomes the agent's stand-in; the pipes of its child must not
  // land there.
  std::vector<std::string> argv = {"sh", "-c", "exec \"$@\" <&- 2>&-", "sh"};
  for (std::string& word : child_argv("out-of-processes")) argv.push_back(std::move(word));
  EXPECT_THAT(finish(argv)->out, ::testing::SizeIs(3));
}

TEST_F(Processes, AreNotWaitedForLongerBecauseSomebodyHoldsTheirPipe) {
  const auto run = start(child_argv("leave-holder"));
  ASSERT_TRUE(run_until([&] { return run->exit.has_value(); }));
  EXPECT_FALSE(run->out_ended);
  run->out_reader->finish();
  run->err_reader->finish();
  ASSERT_EQ(run->out.size(), 1u) << "what was written before the exit is not lost";
  const pid_t holder = std::stoi(run->out[0]);
  EXPECT_TRUE(alive(holder));
  ::kill(holder, SIGKILL);
  EXPECT_TRUE(run_until([&] { return !alive(holder); }));
}

TEST_F(Processes, ThatIgnoreTermAreKilled) {
  const auto run = start(child_argv("ignore-term"));
  ASSERT_TRUE(run_until([&] { return !run->out.empty(); }));
  ASSERT_TRUE(run->process->signal_group(SIGTERM));
  ASSERT_TRUE(run->process->signal(SIGTERM));
  EXPECT_FALSE(run_until([&] { return run->exit.has_value(); }, 100ms));
  run->process->kill_tree();
  ASSERT_TRUE(run_until([&] { return run->ended(); }));
  EXPECT_EQ(run->exit, (ExitStatus{.signal = SIGKILL}));
}

TEST_F(Processes, ThatAreStoppedAreNotTakenForEndedAndCanBeKilled) {
  const auto run = start(child_argv("stop-self"));
  ASSERT_TRUE(run_until([&] { return !run->out.empty(); }));
  EXPECT_FALSE(run_until([&] { return run->exit.has_value(); }, 100ms));
  run->process->kill_tree();
  ASSERT_TRUE(run_until([&] { return run->ended(); }));
  EXPECT_EQ(run->exit, (ExitStatus{.signal = SIGKILL}));
}

TEST_F(Processes, AreKilledWithTheirGroupWhenTheirHandleIsDropped) {
  const auto run = start({"/bin/sh", "-c", "sleep 1000 & echo $!; wait"});
  ASSERT_TRUE(run_until([&] { return !run->out.empty(); }));
  const pid_t leader = run->process->pid();
  const pid_t member = std::stoi(run->out[0]);
  run->process.reset();
  EXPECT_TRUE(run_until([&] { return !alive(leader) && !alive(member); }));
  EXPECT_FALSE(run->exit) << "who dropped the handle is not called";
}

class Trees : public ProcessTest, public ::testing::WithParamInterface<bool> {};

TEST_P(Trees, AreKilledWithEverybodyWhoLeftTheGroup) {
  const auto run = start(ProcessSpec{.argv = child_argv("escapees")}, GetParam());
  ASSERT_TRUE(run_until([&] { return run->out.size() == 2; })) << run->failure;
  const pid_t first = std::stoi(run->out[0]);
  const pid_t second = std::stoi(run->out[1]);
  ASSERT_TRUE(alive(first) && alive(second));
  run->process->kill_tree();
  EXPECT_TRUE(run_until([&] { return run->exit && !alive(first) && !alive(second); }));
}

TEST_P(Trees, AreKilledInOnExitWhenTheLeaderIsGone) {
  std::unique_ptr<Process> process;
  pid_t escaped = 0;
  bool over = false;
  const ProcessSpec spec{.argv = {"/bin/sh", "-c", "setsid sleep 1000 & echo $!"}};
  auto made = launcher->start(
      {.spec = spec, .environment = environment, .name = "job 'test'", .own_cgroup = GetParam()},
      [&](ExitStatus) {
        process->kill_tree();
        over = true;
      });
  ASSERT_TRUE(made);
  process = std::move(made).value();
  const LineReader out(
      *loop, process->take_stdout(),
      [&](std::string_view line) { escaped = std::stoi(std::string(line)); }, nullptr);
  EXPECT_TRUE(run_until([&] { return over && escaped != 0 && !alive(escaped); }));
}

TEST_F(Processes, LiveInACgroupOfTheirOwnAndLeaveNoneBehind) {
  const auto tree = detail::CgroupTree::create();
  if (!tree) GTEST_SKIP() << "no writable cgroup v2 with cgroup.kill";
  const auto run =
      start(ProcessSpec{.argv = {"sh", "-c", "cat /proc/self/cgroup; exec sleep 1000"}}, true);
  const auto is_own = [](const std::string& line) {
    return line.starts_with("0::") && line.find("/containerpilot.") != line.npos;
  };
  ASSERT_TRUE(run_until([&] { return std::any_of(run->out.begin(), run->out.end(), is_own); }));
  run->process->kill_tree();
  ASSERT_TRUE(run_until([&] { return run->ended(); }));
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutCgroup, Trees, ::testing::Bool(),
                         [](const auto& given) { return given.param ? "own_cgroup" : "sweep"; });

TEST_F(Processes, EnvironmentIsInheritedThenUsersThenFilesThenOwn) {
  const TempDir dir;
  const std::string file = dir.write(
      "env", "# comment\n\nA=file\nexport B=\"quoted value\"\nC='x'\r\nD=a=b\n E = spaced \n");
  environment = {"PATH=/usr/bin:/bin", "A=inherited", "KEEP=1"};
  auto run = finish(
      ProcessSpec{.argv = child_argv("environment"), .env = {{"C", "own"}}, .env_files = {file}});
  EXPECT_THAT(run->out,
              ElementsAre("PATH=/usr/bin:/bin", "A=file", "KEEP=1", "B=quoted value", "C=own",
                          "D=a=b", "E=spaced", StartsWith("CONTAINERPILOT_RUN=")));
  run = finish(
      ProcessSpec{.argv = child_argv("environment"), .env = {{"X", "1"}}, .clear_env = true});
  EXPECT_THAT(run->out,
              ElementsAre("PATH=/usr/bin:/bin", "X=1", StartsWith("CONTAINERPILOT_RUN=")));
}

}  // namespace
}  // namespace containerpilot::test
