#include <gtest/gtest.h>

#include "notify_socket.h"
#include "rate_guard.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using detail::parse_notification;

TEST(Notifications, AreReadLineByLine) {
  EXPECT_EQ(parse_notification("READY=1"), (Notification{.ready = true}));
  EXPECT_EQ(parse_notification("STATUS=loading\nWATCHDOG=1\n"),
            (Notification{.alive = true, .status = "loading"}));
  EXPECT_EQ(parse_notification("STOPPING=1\nSTATUS=bye\nMAINPID=7"),
            (Notification{.stopping = true, .status = "bye"}));
  EXPECT_EQ(parse_notification("WATCHDOG=trigger"), (Notification{.failed = true}));
  EXPECT_EQ(parse_notification("STATUS="), (Notification{.status = ""}));
}

TEST(Notifications, ThatAreNoneSayNothing) {
  for (const char* text : {"", "\n\n", "READY", "READY=0", "READY=10", "ready=1", " READY=1",
                           "X_READY=1", "WATCHDOG=2", "FDSTORE=1"}) {
    EXPECT_EQ(parse_notification(text), Notification{}) << text;
  }
  const auto said = parse_notification("STATUS=" + std::string(4000, 'x'));
  EXPECT_EQ(said.status->size(), 1024U);
}

TEST(RateGuard, LetsThatManyThroughInEachSecondAndCountsTheOthers) {
  RateGuard guard(3);
  TimePoint now{1h};
  int admitted = 0;
  for (int i = 0; i < 10; ++i) admitted += guard.admit(now) ? 1 : 0;
  EXPECT_EQ(admitted, 3);
  EXPECT_FALSE(guard.admit(now + 999ms));
  EXPECT_TRUE(guard.admit(now + 1s));
  EXPECT_EQ(guard.take_untold(), 8U);
  EXPECT_EQ(guard.take_untold(), 0U);
  EXPECT_EQ(guard.suppressed(), 8U);
}

TEST(RateGuard, WithoutALimitLetsAllThrough) {
  RateGuard guard(0);
  for (int i = 0; i < 10000; ++i) ASSERT_TRUE(guard.admit(TimePoint{}));
}

}  // namespace
}  // namespace containerpilot
