#include "containerpilot/supervisor/log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "repeat_guard.h"
#include "support/log_capture.h"
#include "support/temp_dir.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;

std::string content(const std::string& path) {
  flush_log();
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class LogFiles : public ::testing::Test {
 protected:
  void configure(LogLevel level = LogLevel::kInfo) {
    ASSERT_TRUE(configure_log({.level = level, .format = LogFormat::kText, .output = path}));
  }
  void TearDown() override { ASSERT_TRUE(configure_log({})); }
  test::TempDir dir;
  std::string path = dir.path() + "/agent.log";
};

TEST_F(LogFiles, KeepOrderBetweenAgentAndChildren) {
  configure();
  log_info("m", "one");
  log_child_line({.job = "j", .pid = 1}, "two");
  log_info("m", "three");
  const std::string text = content(path);
  EXPECT_LT(text.find("msg=one"), text.find("msg=two"));
  EXPECT_LT(text.find("msg=two"), text.find("msg=three"));
}

TEST_F(LogFiles, HoldLinesOfChildrenWithoutTheCarriageReturnAtTheirEnd) {
  configure();
  log_child_line({.job = "j", .pid = 1}, "dos\r");
  EXPECT_NE(content(path).find("msg=dos job=j"), std::string::npos);
}

TEST_F(LogFiles, HoldOnlyWhatTheLevelAllows) {
  configure(LogLevel::kWarn);
  EXPECT_FALSE(log_enabled(LogLevel::kInfo));
  log_info("m", "quiet");
  log_child_line({.job = "j", .pid = 1}, "quiet too");
  log_warn("m", "loud");
  const std::string text = content(path);
  EXPECT_EQ(text.find("quiet"), std::string::npos);
  EXPECT_NE(text.find("level=warning msg=loud"), std::string::npos);
}

TEST_F(LogFiles, FollowARotation) {
  configure();
  log_info("m", "before");
  ASSERT_EQ(::rename(path.c_str(), (path + ".1").c_str()), 0);
  log_info("m", "between");
  ASSERT_TRUE(reopen_log());
  log_info("m", "after");
  EXPECT_NE(content(path + ".1").find("msg=between"), std::string::npos);
  EXPECT_EQ(content(path).find("msg=between"), std::string::npos);
  EXPECT_NE(content(path).find("msg=after"), std::string::npos);
}

TEST_F(LogFiles, StayInUseWhenReopeningFails) {
  configure();
  ASSERT_EQ(::rename(dir.path().c_str(), (dir.path() + ".moved").c_str()), 0);
  const Status status = reopen_log();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Errc::kNotFound);
  EXPECT_NE(status.error().text().find("'" + path + "'"), std::string::npos);
  log_info("m", "still here");
  EXPECT_NE(content(dir.path() + ".moved/agent.log").find("still here"), std::string::npos);
  ASSERT_EQ(::rename((dir.path() + ".moved").c_str(), dir.path().c_str()), 0);
}

TEST_F(LogFiles, AreNotReplacedByOneThatCannotBeOpened) {
  configure();
  EXPECT_FALSE(configure_log({.output = dir.path() + "/no/such/dir"}));
  EXPECT_EQ(log_config().output, path);
  log_info("m", "kept");
  EXPECT_NE(content(path).find("kept"), std::string::npos);
}

TEST_F(LogFiles, OfAJobGetItsLinesWhateverTheLevel) {
  configure(LogLevel::kError);
  auto file = open_log_file(dir.path() + "/job.log");
  ASSERT_TRUE(file);
  log_child_line({.job = "j", .pid = 5, .bare = true, .file = file.value()}, "bare line");
  EXPECT_EQ(content(dir.path() + "/job.log"), "bare line\n");
  EXPECT_EQ(content(path), "");
}

TEST_F(LogFiles, HoldWholeLinesOfManyThreads) {
  configure();
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([t] {
      for (int i = 0; i < 500; ++i) log_child_line({.job = "j", .pid = t}, std::string(100, 'x'));
    });
  }
  for (auto& writer : writers) writer.join();
  std::istringstream lines(content(path));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    ASSERT_TRUE(line.starts_with("time=\"")) << line;
    ASSERT_NE(line.find("msg=" + std::string(100, 'x') + " job=j pid="), std::string::npos) << line;
  }
  EXPECT_EQ(count, 2000);
}

TEST_F(LogFiles, HoldBackRepeatedWarningsAndCountThem) {
  configure();
  const auto before = log_stats().suppressed;
  for (int i = 0; i < 25; ++i) log_warn("m", "catalog is away");
  EXPECT_EQ(log_stats().suppressed - before, 15u);
  std::istringstream lines(content(path));
  int count = 0;
  for (std::string line; std::getline(lines, line);) ++count;
  EXPECT_EQ(count, 10);
}

TEST(RepeatGuard, TellsHowManyItHeldBackOnceTheWindowIsOver) {
  RepeatGuard guard;
  const RepeatGuard::Clock::time_point start{1h};
  for (int i = 0; i < 12; ++i) EXPECT_EQ(guard.ask("a", start + i * 1ms).pass, i < 10);
  EXPECT_TRUE(guard.ask("b", start).pass);
  const auto verdict = guard.ask("a", start + 10s);
  EXPECT_TRUE(verdict.pass);
  EXPECT_EQ(verdict.held_back, 2u);
  EXPECT_EQ(guard.ask("a", start + 11s).held_back, 0u);
}

TEST(RepeatGuard, ForgetsRatherThanGrows) {
  RepeatGuard guard;
  const RepeatGuard::Clock::time_point start{1h};
  for (std::size_t i = 0; i < 10 * RepeatGuard::kMaxMessages; ++i) {
    EXPECT_TRUE(guard.ask("message " + std::to_string(i), start).pass);
  }
}

TEST(LogCapture, SeesEntriesAndChildLines) {
  const test::LogCapture capture;
  log_debug("m", "below the level");
  log_error("m", "bad", {{"job", "web"}, {"pid", std::int64_t{3}}});
  log_child_line({.check = "check.web", .pid = 4}, "line");
  const auto entries = capture.entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].fields.at("pid"), "3");
  EXPECT_EQ(entries[1].module, "child");
  EXPECT_EQ(entries[1].fields.at("check"), "check.web");
}

}  // namespace
}  // namespace containerpilot
