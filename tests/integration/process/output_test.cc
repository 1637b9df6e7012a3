// Output of children, from their pipe through the log to whoever reads it, or does not.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "containerpilot/supervisor/log.h"
#include "harness.h"
#include "support/temp_dir.h"

namespace containerpilot::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class Output : public ProcessTest {
 protected:
  void TearDown() override { ASSERT_TRUE(configure_log({})); }
  /// A log output of which we hold the reading end.
  UniqueFd log_to_fifo() {
    const std::string path = dir.path() + "/fifo";
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    EXPECT_TRUE(configure_log({.output = path}));
    return reader;
  }
  TempDir dir;
};

TEST_F(Output, KeepsTheLastLineWithoutNewline) {
  EXPECT_THAT(finish(child_argv("print", {"one\ntwo"}))->out, ElementsAre("one", "two"));
}

TEST_F(Output, KeepsLinesOfAnyLength) {
  EXPECT_THAT(finish(child_argv("long-line", {"200000"}))->out, ElementsAre(SizeIs(200'000)));
  EXPECT_THAT(finish(child_argv("long-line", {"2500000"}))->out,
              ElementsAre(SizeIs(LineReader::kMaxLine), SizeIs(LineReader::kMaxLine),
                          SizeIs(2'500'000 - 2 * LineReader::kMaxLine)));
}

TEST_F(Output, LosesNothingOfAChildThatEndsAtOnce) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(finish({"/bin/sh", "-c", "echo out; echo err >&2"})->out, ElementsAre("out"));
  }
  EXPECT_THAT(finish(child_argv("flood", {"5000"}))->out, SizeIs(5000));
}

TEST_F(Output, WaitsForASlowLogReaderWithoutHoldingUpTheLoopOrLosingALine) {
  constexpr int kLines = 100'000;  // ten times what pipe and buffers hold
  const UniqueFd fifo = log_to_fifo();
  const auto child =
      start(child_argv("flood", {std::to_string(kLines)}),
            [](std::string_view line) { log_child_line({.job = "flood", .pid = 1}, line); });
  ASSERT_TRUE(run_until([] { return log_congested(); }));
  EXPECT_FALSE(child->exit) << "the child waits, too";

  // Nobody reads now: anything that wrote to the pipe from this thread would hang for ever.
  int ticks = 0;
  Watch tick;
  std::function<void()> next = [&] {
    ++ticks;
    tick = loop->after(1ms, next);
  };
  next();
  EXPECT_TRUE(run_until([&] { return ticks == 50; }));
  const auto before = log_stats();
  for (int i = 0; i < 100'000; ++i)
    log_info("test", "an entry of the agent finds the buffer full sooner or later");
  EXPECT_GT(log_stats().dropped, before.dropped);

  ::fcntl(fifo.get(), F_SETFL, 0);
  std::string text;
  std::thread reader([&] {
    std::array<char, 65536> buffer;
    for (ssize_t n; (n = ::read(fifo.get(), buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
  });
  EXPECT_TRUE(run_until([&] { return child->ended(); }));
  ASSERT_TRUE(
      configure_log({}));  // the last writer is gone when all is written: the reader sees the end
  reader.join();
  EXPECT_FALSE(log_congested());

  int expected = kLines;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t message = line.find(" flood 1 ");
    if (message == line.npos) continue;
    ASSERT_EQ(std::stoi(line.substr(message + 9)), expected) << line;
    --expected;
  }
  EXPECT_EQ(expected, 0);
}

TEST_F(Output, SurvivesAFullDisk) {
  ASSERT_TRUE(configure_log({.output = "/dev/full"}));
  const auto before = log_stats();
  for (int i = 0; i < 10; ++i) log_info("test", "lost");
  flush_log();
  EXPECT_EQ(log_stats().dropped - before.dropped, 10u);
}

TEST_F(Output, SurvivesAReaderThatWentAway) {
  log_to_fifo().reset();
  const auto before = log_stats();
  log_info("test", "lost");
  flush_log();
  EXPECT_EQ(log_stats().dropped - before.dropped, 1u);
}

}  // namespace
}  // namespace containerpilot::test
