#include "support/sim_reactor.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <string>
#include <thread>
#include <vector>

#include "support/fake_launcher.h"

namespace containerpilot::test {
namespace {

using namespace std::chrono_literals;

TEST(SimReactor, TimeMovesOnlyInAdvance) {
  SimReactor loop;
  const TimePoint start = loop.now();
  loop.settle();
  EXPECT_EQ(loop.now(), start);
  loop.advance(24h);
  EXPECT_EQ(loop.now(), start + 24h);
  EXPECT_EQ(loop.wall_now().time_since_epoch(), Duration(1767323045s + 24h));
}

TEST(SimReactor, EqualDeadlinesFireInTheOrderTheyWereSet) {
  SimReactor loop;
  std::string order;
  const Watch late = loop.after(2s, [&] { order += 'c'; });
  const Watch first = loop.after(1s, [&] { order += 'a'; });
  const Watch second = loop.after(1s, [&] { order += 'b'; });
  loop.advance(1s);
  EXPECT_EQ(order, "ab");
  loop.advance(1s);
  EXPECT_EQ(order, "abc");
}

TEST(SimReactor, TurnsRunSignalsThenExitsThenPostedThenIoThenTimers) {
  SimReactor loop;
  std::string order;
  const Watch timer = loop.after(1s, [&] { order += 't'; });
  const Watch exit = loop.exit_at(loop.now() + 1s, [&] {
    order += 'x';
    loop.post([&] { order += 'p'; });
    loop.trigger(7, EPOLLIN);  // does not run inside this callback
  });
  const Watch fd = loop.on_fd(7, EPOLLIN, [&](std::uint32_t) { order += 'i'; });
  const Watch signal = loop.on_signal(SIGHUP, [&](const siginfo_t&) { order += 's'; });
  loop.advance(1s);
  loop.raise(SIGHUP);
  EXPECT_EQ(order, "xpits");
}

TEST(SimReactor, ATimerSetInACallbackWaitsForTheNextTurn) {
  SimReactor loop;
  std::string order;
  Watch inner;
  const Watch outer = loop.after(0s, [&] {
    order += 'o';
    inner = loop.after(0s, [&] { order += 'i'; });
  });
  const Watch other = loop.after(0s, [&] { order += 'x'; });
  EXPECT_TRUE(loop.turn());
  EXPECT_EQ(order, "ox");
  EXPECT_TRUE(loop.turn());
  EXPECT_EQ(order, "oxi");
  EXPECT_FALSE(loop.turn());
}

TEST(SimReactor, CallbacksMayCancelThemselvesAndOthers) {
  SimReactor loop;
  int fired = 0;
  Watch self;
  Watch other;
  self = loop.after(1s, [&] {
    ++fired;
    self = Watch();
    other = Watch();
  });
  other = loop.after(1s, [&] { ++fired; });
  Watch fd = loop.on_fd(3, EPOLLIN, [&](std::uint32_t) { fd = Watch(); });
  loop.advance(1s);
  loop.trigger(3, EPOLLIN);
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(loop.timers() + loop.fds() + loop.signals(), 0u);
}

TEST(SimReactor, OtherThreadsMayPost) {
  SimReactor loop;
  int ran = 0;
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) loop.post([&] { ++ran; });
  });
  while (ran < 1000) loop.settle();
  poster.join();
  EXPECT_EQ(ran, 1000);
}

class FakeLaunches : public ::testing::Test {
 protected:
  std::unique_ptr<Process> start(const std::string& name) {
    auto process =
        launcher.start({.spec = spec, .environment = {"A=1"}, .name = "job '" + name + "'"},
                       [this](ExitStatus status) { ends.push_back(status); });
    return process ? std::move(process).value() : nullptr;
  }
  SimReactor loop;
  FakeLauncher launcher{loop};
  ProcessSpec spec{.argv = {"/bin/true"}};
  std::vector<ExitStatus> ends;
};

TEST_F(FakeLaunches, EndWhenTheTestSaysSo) {
  const auto process = start("web");
  loop.advance(1h);
  EXPECT_TRUE(ends.empty());
  launcher.finish("web", {.code = 3});
  EXPECT_EQ(ends, std::vector{ExitStatus{.code = 3}});
  EXPECT_EQ(launcher.starts("web"), 1);
  EXPECT_EQ(launcher.running("web"), 0);
  EXPECT_TRUE(process->signal(SIGTERM));
  EXPECT_TRUE(launcher.last("web").signals.empty()) << "a signal after the exit went nowhere";
}

TEST_F(FakeLaunches, FailAsScripted) {
  launcher.fail_next("web", Error(Errc::kNotFound, "cannot start"), 2);
  EXPECT_EQ(start("web"), nullptr);
  EXPECT_EQ(start("web"), nullptr);
  EXPECT_NE(start("web"), nullptr);
  EXPECT_EQ(launcher.starts("web"), 1);
  EXPECT_EQ(launcher.failed_starts("web"), 2);
}

TEST_F(FakeLaunches, IgnoreSignalsUntilTheyAreKilled) {
  const auto process = start("web");
  ASSERT_TRUE(process->signal_group(SIGTERM));
  loop.advance(1s);
  EXPECT_EQ(launcher.running("web"), 1);
  process->kill_tree();
  EXPECT_TRUE(ends.empty()) << "on_exit never runs inside the call";
  loop.settle();
  EXPECT_EQ(ends, std::vector{ExitStatus{.signal = SIGKILL}});
  EXPECT_EQ(launcher.last("web").group_signals, std::vector{SIGTERM});
  EXPECT_TRUE(launcher.last("web").tree_killed);
}

TEST_F(FakeLaunches, ObeySignalsWhenAsked) {
  launcher.obey_signals(2s);
  const auto process = start("web");
  ASSERT_TRUE(process->signal(SIGINT));
  loop.advance(1s);
  EXPECT_TRUE(ends.empty());
  loop.advance(1s);
  EXPECT_EQ(ends, std::vector{ExitStatus{.signal = SIGINT}});
}

TEST_F(FakeLaunches, ADroppedHandleKillsSilently) {
  start("web").reset();
  loop.settle();
  EXPECT_TRUE(ends.empty());
  EXPECT_TRUE(launcher.last("web").dropped);
  EXPECT_EQ(launcher.running("web"), 0);
}

TEST_F(FakeLaunches, PrintThroughRealPipes) {
  launcher.use_pipes();
  const auto process = start("web");
  const UniqueFd out = process->take_stdout();
  ASSERT_TRUE(out.valid());
  std::string got;
  const Watch watch = loop.on_fd(out.get(), EPOLLIN, [&](std::uint32_t) {
    char buffer[64];
    const ssize_t n = ::read(out.get(), buffer, sizeof buffer);
    got.append(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
  });
  launcher.print("web", "hello\n");
  EXPECT_EQ(got, "hello\n");
  EXPECT_EQ(launcher.last("web").env("A"), "1");
}

}  // namespace
}  // namespace containerpilot::test
