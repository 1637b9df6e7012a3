#include "containerpilot/supervisor/probe.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "support/fake_http.h"
#include "support/fake_launcher.h"
#include "support/sim_reactor.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using Kind = ProbeResult::Kind;

class ProbeTest : public testing::Test {
 protected:
  ProbeTest() { launcher.use_pipes(); }
  Watch run(const Probe& probe, Duration timeout = 5s, std::size_t max_output = 1024) {
    ProbeRun one{.probe = probe, .environment = {"A=b"}, .timeout = timeout, .name = "check.web"};
    one.max_output = max_output;
    one.on_line = [this](pid_t pid, bool from_stderr, std::string_view line) {
      lines.push_back((from_stderr ? "err:" : "out:") + std::string(line));
      line_pid = pid;
    };
    result.reset();
    return runner.run(std::move(one), [this](ProbeResult got) {
      EXPECT_FALSE(result) << "told twice";
      result = std::move(got);
    });
  }

  test::SimReactor loop;
  test::FakeLauncher launcher{loop};
  test::FakeHttpClient http{loop};
  test::FakeResolver resolver{loop};
  ProbeRunner runner{loop, launcher, http, resolver};
  const Probe exec = ProcessSpec{.argv = {"/bin/check", "now"}};
  std::optional<ProbeResult> result;
  std::vector<std::string> lines;
  pid_t line_pid = 0;
};

TEST_F(ProbeTest, NobodyAskedMeansWell) {
  const Watch watch = run(std::monostate{});
  EXPECT_FALSE(result) << "never from inside the call";
  loop.settle();
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->ok());
}

TEST_F(ProbeTest, AnExecThatEndsWith0IsWell) {
  const Watch watch = run(exec);
  EXPECT_EQ(launcher.last("check.web").spec.argv, (std::vector<std::string>{"/bin/check", "now"}));
  EXPECT_EQ(launcher.last("check.web").env("A"), "b");
  launcher.print("check.web", "4\nwarm");
  launcher.print("check.web", "hm\n", true);
  loop.advance(30ms);
  launcher.finish("check.web");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kOk);
  EXPECT_EQ(result->output, "4\nwarm\n");
  EXPECT_EQ(result->last_lines, "4\nhm\nwarm") << "the unfinished line comes with the end";
  EXPECT_EQ(lines, (std::vector<std::string>{"out:4", "err:hm", "out:warm"}));
  EXPECT_EQ(line_pid, launcher.last("check.web").pid);
  EXPECT_EQ(result->duration, 30ms);
  EXPECT_EQ(loop.timers(), 0u);
  EXPECT_EQ(loop.fds(), 0u);
}

TEST_F(ProbeTest, AnExecSaysHowItFailed) {
  Watch watch = run(exec);
  launcher.print("check.web", "disk full\n", true);
  launcher.finish("check.web", {.code = 3});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kFailed);
  EXPECT_EQ(result->reason, describe(ExitStatus{.code = 3}));
  EXPECT_EQ(result->last_lines, "disk full");
  EXPECT_EQ(result->exit.code, 3);

  watch = run(exec);
  launcher.finish("check.web", {.signal = 9});
  EXPECT_EQ(result->kind, Kind::kFailed);
  EXPECT_EQ(result->exit.signal, 9);
}

TEST_F(ProbeTest, AnExecThatCannotStartSaysWhy) {
  launcher.fail_next("check.web",
                     Error(Errc::kNotFound, "cannot start '/bin/check': no such file"));
  Watch watch = run(exec);
  EXPECT_FALSE(result);
  loop.settle();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kCannotStart);
  EXPECT_EQ(result->reason, "cannot start '/bin/check': no such file");

  watch = run(exec);
  launcher.fail_late("check.web", Error(Errc::kDenied, "cannot become 'nobody'"));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kCannotStart);
  EXPECT_EQ(result->reason, "cannot become 'nobody'");
}

TEST_F(ProbeTest, AnExecThatTakesTooLongIsKilledWithItsTree) {
  const Watch watch = run(exec, 2s);
  launcher.print("check.web", "half\n");
  loop.advance(1999ms);
  EXPECT_FALSE(launcher.last("check.web").tree_killed);
  loop.advance(1ms);
  EXPECT_TRUE(launcher.last("check.web").tree_killed);
  loop.settle();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kTimeout);
  EXPECT_EQ(result->reason, "not finished within 2s");
  EXPECT_EQ(result->output, "half\n");
  EXPECT_EQ(loop.timers(), 0u);
}

TEST_F(ProbeTest, WithoutATimeoutAnExecHasAsLongAsItLikes) {
  const Watch watch = run(exec, 0s);
  loop.advance(24h);
  EXPECT_FALSE(result);
  launcher.finish("check.web");
  EXPECT_TRUE(result && result->ok());
}

TEST_F(ProbeTest, OutputIsBoundedAndSaysSo) {
  const Watch watch = run(exec, 5s, 10);
  launcher.print("check.web", "12345\n678\nmore\n");
  launcher.finish("check.web");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output, "12345\n678\n");
  EXPECT_EQ(result->reason, "output after the first 10 bytes was thrown away");
  EXPECT_TRUE(result->ok());
  EXPECT_EQ(lines.size(), 3u) << "the log gets all of it";
}

TEST_F(ProbeTest, LastLinesAreWholeAndAtMost4kB) {
  const Watch watch = run(exec, 5s, 1'000'000);
  for (int i = 0; i < 3000; ++i) {
    launcher.print("check.web", "line " + std::to_string(i) + "\n", i % 2 == 0);
  }
  launcher.finish("check.web");
  ASSERT_TRUE(result);
  EXPECT_LE(result->last_lines.size(), 4096u);
  EXPECT_GT(result->last_lines.size(), 4000u);
  EXPECT_EQ(result->last_lines.compare(0, 5, "line "), 0);
  EXPECT_EQ(result->last_lines.substr(result->last_lines.size() - 10), "\nline 2999");
}

TEST_F(ProbeTest, RawOutputIsNotCaptured) {
  ProbeRun one{.probe = exec, .environment = {}, .timeout = 1s, .name = "check.web"};
  one.raw_output = true;
  const Watch watch = runner.run(std::move(one), [this](ProbeResult got) { result = got; });
  EXPECT_EQ(launcher.last("check.web").output, Output::kInherit);
  launcher.finish("check.web");
  EXPECT_TRUE(result && result->ok());
}

TEST_F(ProbeTest, DroppingTheWatchKillsWhatRunsAndTellsNobody) {
  Watch watch = run(exec);
  watch = Watch();
  EXPECT_TRUE(launcher.last("check.web").tree_killed);
  loop.advance(1min);
  EXPECT_FALSE(result);
  EXPECT_EQ(launcher.running(), 0u);
  EXPECT_EQ(loop.timers(), 0u);
  EXPECT_EQ(loop.fds(), 0u);
}

TEST_F(ProbeTest, ALineCallbackMayDropTheWatch) {
  Watch watch;
  ProbeRun one{.probe = exec, .environment = {}, .timeout = 1s, .name = "check.web"};
  int seen = 0;
  one.on_line = [&](pid_t, bool, std::string_view) {
    ++seen;
    watch = Watch();
  };
  watch = runner.run(std::move(one), [this](ProbeResult got) { result = got; });
  launcher.print("check.web", "one\ntwo\n");
  EXPECT_EQ(seen, 1);
  loop.advance(1min);
  EXPECT_FALSE(result);
  EXPECT_EQ(launcher.running(), 0u);
}

// ---- http ----

TEST_F(ProbeTest, HttpTakesTheAcceptedStatuses) {
  HttpProbe probe{.url = "http://h:80/health", .status = {{200, 299}, {404, 404}}};
  probe.headers = {{"Host", "web"}};
  for (const auto& [status, well] :
       {std::pair{200, true}, {299, true}, {404, true}, {301, false}, {500, false}}) {
    const Watch watch = run(probe, 3s);
    test::FakeHttpClient::Call& call = http.last("GET", "/health");
    EXPECT_EQ(call.request.timeout, 3s);
    EXPECT_EQ(*find_header(call.request.headers, "host"), "web");
    http.data(call, "the body");
    http.answer(call, status);
    ASSERT_TRUE(result) << status;
    EXPECT_EQ(result->kind, well ? Kind::kOk : Kind::kFailed) << status;
    EXPECT_EQ(result->reason, well ? "" : "HTTP " + std::to_string(status));
    EXPECT_EQ(result->output, "the body");
  }
}

TEST_F(ProbeTest, HttpLooksForAMatch) {
  const HttpProbe probe{.url = "http://h:80/", .match = "ready"};
  Watch watch = run(probe);
  http.data(http.last("GET", "/"), "almost re");
  http.data(http.last("GET", "/"), "ady");
  http.answer(http.last("GET", "/"), 200);
  EXPECT_TRUE(result && result->ok()) << "also across two pieces";
  watch = run(probe);
  http.data(http.last("GET", "/"), "no");
  http.answer(http.last("GET", "/"), 200);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->reason, "no 'ready' in the body");
}

TEST_F(ProbeTest, HttpSaysWhatWentWrongAndIsAlwaysBounded) {
  const HttpProbe probe{.url = "http://h:80/"};
  Watch watch = run(probe);
  http.fail(http.last("GET", "/"), Error(Errc::kUnavailable, "cannot GET: refused"));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kFailed);
  EXPECT_EQ(result->reason, "cannot GET: refused");
  watch = run(probe, 0s);
  loop.advance(10s);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kTimeout);
  watch = run(probe, 5s, 4);
  http.data(http.last("GET", "/"), "123456");
  http.answer(http.last("GET", "/"), 200);
  EXPECT_EQ(result->output, "1234");
  EXPECT_EQ(result->reason, "body after the first 4 bytes was thrown away");
  watch = run(probe);
  watch = Watch();
  EXPECT_EQ(http.open_calls(), 0u);
}

// ---- tcp ----

TEST_F(ProbeTest, TcpSaysThatANameCannotBeResolved) {
  Watch watch = run(TcpProbe{.host = "nowhere", .port = 80});
  loop.settle();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kFailed);
  EXPECT_EQ(result->reason, "cannot resolve 'nowhere': no such name");
  resolver.hang("slow");
  watch = run(TcpProbe{.host = "slow", .port = 80}, 1s);
  loop.advance(1s);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kTimeout);
}

}  // namespace
}  // namespace containerpilot
