#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "harness.h"
#include "support/fd_leak.h"

namespace containerpilot::test {
namespace {

using namespace std::chrono_literals;

class Reactors : public LoopTest {
 protected:
  struct Pipe {
    UniqueFd read, write;
  };
  static Pipe make_pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

TEST_F(Reactors, TurnInTheOrderTheyPromise) {
  auto launcher = make_launcher(*loop).value();
  std::string order;
  const Pipe pipe = make_pipe();
  const Watch signal = loop->on_signal(SIGUSR2, [&](const siginfo_t& info) {
    order += info.si_pid == ::getpid() ? "signal " : "? ";
  });
  const Watch io = loop->on_fd(pipe.read.get(), EPOLLIN, [&](std::uint32_t) {
    order += "io ";
    char byte;
    EXPECT_EQ(::read(pipe.read.get(), &byte, 1), 1);
  });
  const ProcessSpec spec{.argv = {"/bin/true"}};
  const auto process =
      launcher->start({.spec = spec, .environment = {}, .output = Output::kNull, .name = "true"},
                      [&](ExitStatus) { order += "exit "; });
  ASSERT_TRUE(process);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(process.value()->pid()), &info, WEXITED | WNOWAIT),
            0);
  // Everything is due now; registered in an order that is not the one asked for.
  const Watch timer = loop->after(0s, [&] { order += "timer "; });
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  loop->post([&] { order += "posted "; });
  ASSERT_EQ(::kill(::getpid(), SIGUSR2), 0);
  EXPECT_TRUE(run_until([&] { return order.find("timer") != order.npos; }));
  EXPECT_EQ(order, "signal exit posted io timer ");
}

TEST_F(Reactors, FireTimersInOrderAndNotEarly) {
  std::string order;
  const TimePoint start = loop->now();
  TimePoint fired;
  const Watch third = loop->after(30ms, [&] {
    order += '3';
    fired = loop->now();
  });
  const Watch first = loop->after(10ms, [&] { order += '1'; });
  const Watch second = loop->at(start + 10ms, [&] { order += '2'; });
  Watch cancelled = loop->after(20ms, [&] { order += 'x'; });
  const Watch canceller = loop->after(15ms, [&] { cancelled = Watch(); });
  const Watch past = loop->at(start - 1h, [&] { order += '0'; });
  EXPECT_TRUE(run_until([&] { return order.find('3') != order.npos; }));
  EXPECT_TRUE(order == "0123" || order == "0213") << order;
  EXPECT_GE(fired - start, 30ms);
  EXPECT_GE(loop->stats().timers_fired, 5u);
}

TEST_F(Reactors, KeepTheirTimeWithinATurn) {
  bool same = false;
  loop->post([&] {
    const TimePoint before = loop->now();
    const WallTime wall = loop->wall_now();
    const auto real = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - real < 2ms) {
    }
    same = loop->now() == before && loop->wall_now() == wall;
    loop->stop();
  });
  loop->run();
  EXPECT_TRUE(same);
  EXPECT_GE(loop->stats().longest_turn_seconds, 0.002);
}

TEST_F(Reactors, RunWhatOtherThreadsPostInOrder) {
  std::vector<int> seen;
  std::thread poster([&] {
    for (int i = 0; i < 10'000; ++i) loop->post([&, i] { seen.push_back(i); });
    loop->post([&] { loop->stop(); });
  });
  loop->run();
  poster.join();
  ASSERT_EQ(seen.size(), 10'000u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_F(Reactors, StopFromAnotherThreadAndRunAgain) {
  for (int i = 0; i < 3; ++i) {
    std::thread stopper([&] { loop->stop(); });
    loop->run();
    stopper.join();
  }
}

TEST_F(Reactors, LetCallbacksCancelThemselvesAndTheOthers) {
  const Pipe a = make_pipe();
  const Pipe b = make_pipe();
  int calls = 0;
  Watch watch_a, watch_b;
  const auto once = [&](std::uint32_t) {
    ++calls;
    watch_a = Watch();
    watch_b = Watch();
  };
  watch_a = loop->on_fd(a.read.get(), EPOLLIN, once);
  watch_b = loop->on_fd(b.read.get(), EPOLLIN, once);
  ASSERT_EQ(::write(a.write.get(), "x", 1) + ::write(b.write.get(), "x", 1), 2);
  Watch signal = loop->on_signal(SIGUSR2, [&](const siginfo_t&) {
    ++calls;
    signal = Watch();
  });
  ASSERT_EQ(::kill(::getpid(), SIGUSR2), 0);
  bool later = false;
  const Watch timer = loop->after(20ms, [&] { later = true; });
  EXPECT_TRUE(run_until([&] { return later; }));
  EXPECT_EQ(calls, 2) << "one of the two pipes, and the signal";
}

TEST_F(Reactors, ReplaceARegistrationByTheNextOfTheSameFd) {
  const Pipe pipe = make_pipe();
  std::string calls;
  Watch watch = loop->on_fd(pipe.write.get(), EPOLLOUT, [&](std::uint32_t) { calls += 'a'; });
  watch = loop->on_fd(pipe.write.get(), EPOLLOUT, [&](std::uint32_t) { calls += 'b'; });
  EXPECT_TRUE(run_until([&] { return !calls.empty(); }));
  EXPECT_EQ(calls[0], 'b');
  watch = Watch();
  calls.clear();
  bool later = false;
  const Watch timer = loop->after(10ms, [&] { later = true; });
  EXPECT_TRUE(run_until([&] { return later; }));
  EXPECT_EQ(calls, "")
      << "the replaced watch's end did not keep the second alive, nor the other way round";
}

TEST_F(Reactors, TellTheOwnerOfAnFdThatCannotBePolled) {
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  std::uint32_t told = 0;
  const Watch watch =
      loop->on_fd(file.get(), EPOLLIN, [&](std::uint32_t events) { told = events; });
  EXPECT_TRUE(run_until([&] { return told != 0; }));
  EXPECT_EQ(told, static_cast<std::uint32_t>(EPOLLERR));
}

TEST_F(Reactors, GiveIoItsTurnThoughTimersAndPostsNeverEnd) {
  const Pipe pipe = make_pipe();
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  bool io = false;
  const Watch watch = loop->on_fd(pipe.read.get(), EPOLLIN, [&](std::uint32_t) { io = true; });
  Watch timer;
  std::function<void()> again = [&] { timer = loop->after(0s, again); };
  std::function<void()> post_again = [&] { loop->post(post_again); };
  again();
  post_again();
  EXPECT_TRUE(run_until([&] { return io; }, 2s));
  post_again = [] {};
}

TEST_F(Reactors, GiveTimersTheirTurnThoughIoNeverEnds) {
  constexpr std::size_t kPipes = 20;
  std::vector<Pipe> pipes;
  std::vector<Watch> watches;
  std::vector<std::size_t> calls(kPipes), at_timer;
  for (std::size_t i = 0; i < kPipes; ++i) {
    pipes.push_back(make_pipe());
    // Always ready, and slow: all of them together take five times what timers may wait for.
    watches.push_back(loop->on_fd(pipes[i].write.get(), EPOLLOUT, [&calls, i](std::uint32_t) {
      ++calls[i];
      const auto end = std::chrono::steady_clock::now() + 3ms;
      while (std::chrono::steady_clock::now() < end) continue;
    }));
  }
  const Watch timer = loop->after(1ms, [&] { at_timer = calls; });
  const auto least = [&] { return *std::min_element(calls.begin(), calls.end()); };
  EXPECT_TRUE(run_until([&] { return !at_timer.empty() && least() == 3; }));
  EXPECT_EQ(*std::min_element(at_timer.begin(), at_timer.end()), 0u);
  EXPECT_LE(*std::max_element(calls.begin(), calls.end()), 4u) << "no fd goes before the others";
}

TEST_F(Reactors, SleepWhenThereIsNothingToDo) {
  bool done = false;
  const Watch timer = loop->after(100ms, [&] { done = true; });
  const std::uint64_t before = loop->stats().turns;
  EXPECT_TRUE(run_until([&] { return done; }));
  EXPECT_LE(loop->stats().turns - before, 5u);
}

TEST(ReactorResources, AreGivenBack) {
  const FdLeakCheck no_leak;
  for (int i = 0; i < 10; ++i) {
    auto loop = EpollReactor::create();
    ASSERT_TRUE(loop);
    const Watch timer = loop.value()->after(1h, [] {});
    const Watch signal = loop.value()->on_signal(SIGUSR2, [](const siginfo_t&) {});
  }
}

}  // namespace
}  // namespace containerpilot::test
