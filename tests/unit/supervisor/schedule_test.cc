#include "containerpilot/supervisor/schedule.h"

#include <absl/time/internal/cctz/include/cctz/civil_time.h>
#include <absl/time/internal/cctz/include/cctz/time_zone.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "support/sim_reactor.h"
#include "ticker.h"

namespace containerpilot {
namespace {

namespace cctz = absl::time_internal::cctz;

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

cctz::time_zone zone(const std::string& name) {
  cctz::time_zone tz;
  EXPECT_TRUE(cctz::load_time_zone(name, &tz)) << name;
  return tz;
}

WallTime utc(const std::string& text) {
  WallTime when;
  EXPECT_TRUE(cctz::parse("%Y-%m-%d %H:%M:%S", text, cctz::utc_time_zone(), &when)) << text;
  return when;
}

std::string show(WallTime when, const std::string& name) {
  return cctz::format("%Y-%m-%d %H:%M %z", std::chrono::floor<cctz::seconds>(when), zone(name));
}

/// The next `count` times after `when` (UTC), in the zone's own time.
std::vector<std::string> times(const std::string& text, const std::string& tz,
                               const std::string& when, int count) {
  const Schedule schedule = parse_schedule(text, tz).value();
  std::vector<std::string> out;
  WallTime at = utc(when);
  while (count-- > 0) {
    const auto next = schedule.next_after(at);
    if (!next) break;
    at = *next;
    out.push_back(show(at, tz));
  }
  return out;
}

TEST(ScheduleText, NamesRangesListsAndStepsAreRead) {
  const Schedule plain = parse_schedule("0,20,40 8-17 1-5/2 1,2,12 1-5", "UTC").value();
  EXPECT_EQ(plain.minutes, 1U | 1U << 20U | std::uint64_t{1} << 40U);
  EXPECT_EQ(plain.hours, 0x3FF00U);
  EXPECT_EQ(plain.days, 0b101010U);
  EXPECT_EQ(plain.months, 0b1000000000110U);
  EXPECT_EQ(plain.weekdays, 0b111110U);
  const auto fields = [](const std::string& text) {
    Schedule schedule = parse_schedule(text, "UTC").value();
    schedule.text.clear();
    return schedule;
  };
  EXPECT_EQ(fields("0 0 * jan,FEB,Dec mon-Fri"), fields("0 0 * 1,2,12 1-5"));
  EXPECT_EQ(fields("*/15\t* * *   *"), fields("0-59/15 * * * *"));
  EXPECT_EQ(fields("50/5 * * * *"), fields("50,55 * * * *"));
  EXPECT_EQ(fields("0 0 * * 7"), fields("0 0 * * sun"));
  EXPECT_EQ(fields("0 0 * * 5-7"), fields("0 0 * * 0,5,6"));
  EXPECT_EQ(fields("@hourly"), fields("0 * * * *"));
  EXPECT_EQ(fields("@Weekly"), fields("0 0 * * 0"));
  EXPECT_EQ(fields("@annually"), fields("@yearly"));
  EXPECT_EQ(fields("*/4000000 * * * *"), fields("0 * * * *"));
}

TEST(ScheduleText, WhatIsWrongIsNamed) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"", "found 0 fields: expected five"},
           {"* * * *", "found 4 fields"},
           {"0 0 0 * * *", "found 6 fields"},
           {"60 * * * *", "'60' is no minute: expected '*' or 0 to 59"},
           {"* 24 * * *", "'24' is no hour"},
           {"* * 0 * *", "'0' is no day"},
           {"* * * 13 *", "'13' is no month: expected '*' or 1 to 12 (jan to dec)"},
           {"* * * anf *", "'anf' is no month"},
           {"* * * * 8", "'8' is no weekday: expected '*' or 0 to 6 (sun to sat)"},
           {"* * * * fri-mon", "'fri-mon' is no weekday"},
           {"1,,2 * * * *", "'' is no minute"},
           {"-5 * * * *", "'-5' is no minute"},
           {"*/0 * * * *", "'*/0' is no minute"},
           {"*/ * * * *", "'*/' is no minute"},
           {"1/2/3 * * * *", "'1/2/3' is no minute"},
           {"*-5 * * * *", "'*-5' is no minute"},
           {"99999999999999999999 * * * *", "is no minute"},
           {"0 0 L * *", "'L' is no day"},
           {"0 0 30 2 *", "it never comes"},
           {"0 0 31 4,6,9,11 *", "it never comes"},
           {"@reboot", "expected @hourly"},
       }) {
    const auto parsed = parse_schedule(text, "UTC");
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().text(), HasSubstr(expected));
  }
  EXPECT_TRUE(parse_schedule("0 0 30 2 mon", "UTC"));  // or on Mondays
  EXPECT_TRUE(check_time_zone("America/Argentina/Buenos_Aires"));
  for (const char* name : {"Europe/Berln", "Fixed/UTC+01:00:00", "", "../../etc/passwd", "Europe"})
    EXPECT_FALSE(check_time_zone(name)) << name;
}

TEST(ScheduleTimes, FollowTheCalendar) {
  EXPECT_THAT(times("30 4 1,15 * 5", "UTC", "2026-01-02 03:04:05", 4),  // the manual's example
              ElementsAre("2026-01-02 04:30 +0000", "2026-01-09 04:30 +0000",
                          "2026-01-15 04:30 +0000", "2026-01-16 04:30 +0000"));
  EXPECT_THAT(times("0 0 29 2 *", "UTC", "2096-03-01 00:00:00", 1),
              ElementsAre("2104-02-29 00:00 +0000"));  // 2100 is no leap year
  EXPECT_THAT(times("59 23 31 12 *", "UTC", "2026-12-31 23:59:00", 1),
              ElementsAre("2027-12-31 23:59 +0000"));
  EXPECT_THAT(times("0 12 */10 * 1", "UTC", "2026-01-01 00:00:00", 2),  // '*' in one: both hold
              ElementsAre("2026-05-11 12:00 +0000", "2026-06-01 12:00 +0000"));
  EXPECT_THAT(times("* * * * *", "Asia/Kathmandu", "2026-01-01 00:00:59", 1),
              ElementsAre("2026-01-01 05:46 +0545"));
}

TEST(ScheduleTimes, WhatFallsIntoASkippedHourComesAtItsEnd) {
  EXPECT_THAT(times("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00", 2),
              ElementsAre("2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"));
  EXPECT_THAT(
      times("*/20 2,3 * * *", "Europe/Berlin", "2026-03-29 00:50:00", 3),
      ElementsAre("2026-03-29 03:00 +0200", "2026-03-29 03:20 +0200", "2026-03-29 03:40 +0200"));
  EXPECT_THAT(times("30 * * * *", "Europe/Berlin", "2026-03-29 00:00:00", 2),
              ElementsAre("2026-03-29 01:30 +0100", "2026-03-29 03:30 +0200"));
  // Samoa had no 30 December 2011.
  EXPECT_THAT(times("0 8 * * *", "Pacific/Apia", "2011-12-29 20:00:00", 2),
              ElementsAre("2011-12-31 00:00 +1400", "2011-12-31 08:00 +1400"));
}

TEST(ScheduleTimes, OfRepeatedTimesTheFirstCounts) {
  EXPECT_THAT(times("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00", 2),
              ElementsAre("2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"));
  EXPECT_THAT(times("30 2 * * *", "Europe/Berlin", "2026-10-25 00:45:00", 1),
              ElementsAre("2026-10-26 02:30 +0100"));
  EXPECT_THAT(
      times("30 * * * *", "Europe/Berlin", "2026-10-25 00:00:00", 3),
      ElementsAre("2026-10-25 02:30 +0200", "2026-10-25 02:30 +0100", "2026-10-25 03:30 +0100"));
}

/// The rules once more, step by step and as simple as can be.
std::vector<WallTime> by_hand(const Schedule& schedule, const cctz::time_zone& tz, WallTime from,
                              WallTime until, std::chrono::seconds step) {
  const auto matches = [&schedule](const cctz::civil_minute& local) {
    const int weekday = (static_cast<int>(cctz::get_weekday(cctz::civil_day(local))) + 1) % 7;
    return (schedule.minutes >> local.minute() & 1) != 0 &&
           (schedule.hours >> local.hour() & 1) != 0 && (schedule.days >> local.day() & 1) != 0 &&
           (schedule.months >> local.month() & 1) != 0 && (schedule.weekdays >> weekday & 1) != 0;
  };
  std::vector<WallTime> out;
  cctz::civil_second shown = tz.lookup(from).cs;
  cctz::civil_second latest = shown;
  for (WallTime at = from + step; at <= until; at += step) {
    const cctz::civil_second local = tz.lookup(at).cs;
    bool comes = local.second() == 0 && matches(cctz::civil_minute(local)) &&
                 (schedule.follows_clock || local > latest);
    if (local > shown + step.count() && !schedule.follows_clock) {
      for (cctz::civil_minute skipped(shown); cctz::civil_second(skipped) < local; ++skipped) {
        comes = comes || (cctz::civil_second(skipped) > latest && matches(skipped));
      }
    }
    if (comes) out.push_back(at);
    shown = local;
    latest = std::max(latest, local);
  }
  return out;
}

TEST(ScheduleTimes, AgreeWithAClockWatchedByHandAroundEveryTransitionOfTwentyZones) {
  constexpr std::array kZones = {
      "Europe/Berlin",       "Europe/London",     "Europe/Dublin",      "Europe/Moscow",
      "America/New_York",    "America/Sao_Paulo", "America/St_Johns",   "America/Caracas",
      "America/Havana",      "America/Santiago",  "Asia/Tehran",        "Asia/Kathmandu",
      "Asia/Pyongyang",      "Asia/Gaza",         "Africa/Casablanca",  "Africa/Monrovia",
      "Australia/Lord_Howe", "Pacific/Apia",      "Pacific/Kiritimati", "Antarctica/Troll"};
  constexpr std::array kTexts = {"30 2 * * *", "*/20 0-3,23 * * *", "17 * * * *", "0 */2 * * *"};
  int transitions = 0;
  for (const char* name : kZones) {
    const cctz::time_zone tz = zone(name);
    WallTime at = utc("1970-01-01 00:00:00");
    cctz::time_zone::civil_transition transition;
    while (tz.next_transition(at, &transition)) {
      const WallTime moment = tz.lookup(std::min(transition.from, transition.to)).trans;
      at = moment;
      if (moment > utc("2030-01-01 00:00:00")) break;
      ++transitions;
      const char* text = kTexts[static_cast<std::size_t>(transitions) % kTexts.size()];
      const Schedule schedule = parse_schedule(text, name).value();
      const auto width = 20min + std::chrono::seconds(std::abs(transition.to - transition.from));
      const WallTime from = moment - width;
      const WallTime until = moment + width;
      // Liberia's clocks were half a minute off until 1972.
      const auto step = moment.time_since_epoch() % 60s == 0s ? 60s : 30s;
      std::vector<WallTime> found;
      WallTime next = from;
      while ((next = schedule.next_after(next).value()) <= until) found.push_back(next);
      ASSERT_EQ(found, by_hand(schedule, tz, from, until, step))
          << text << " in " << name << " around " << show(moment, name);
    }
  }
  EXPECT_GT(transitions, 1300);
}

class ScheduleTickerTest : public ::testing::Test {
 protected:
  void start(const std::string& text, Duration jitter = 0s) {
    Trigger trigger;
    trigger.kind = Trigger::Kind::kSchedule;
    trigger.schedule = parse_schedule(text, "UTC").value();
    trigger.jitter = jitter;
    ticker_ = make_ticker(loop_, random_, trigger, Duration(0),
                          [this] { ticks_.push_back(loop_.wall_now()); });
  }
  test::SimReactor loop_;
  std::minstd_rand random_{1};
  std::unique_ptr<Ticker> ticker_;
  std::vector<WallTime> ticks_;
};

TEST_F(ScheduleTickerTest, TicksAtTheSecond) {
  start("*/30 * * * *");  // the clock shows 03:04:05
  EXPECT_EQ(ticker_->next(), utc("2026-01-02 03:30:00"));
  loop_.advance(1h);
  EXPECT_THAT(ticks_, ElementsAre(utc("2026-01-02 03:30:00"), utc("2026-01-02 04:00:00")));
}

TEST_F(ScheduleTickerTest, TimesMissedInASleepMakeOneTick) {
  start("*/5 * * * *");
  loop_.jump_wall(1h + 3min);  // 04:07:05
  loop_.advance(30s);
  EXPECT_THAT(ticks_, ElementsAre(utc("2026-01-02 04:07:35")));
  EXPECT_EQ(ticker_->next(), utc("2026-01-02 04:10:00"));
}

TEST_F(ScheduleTickerTest, AClockSetBackRepeatsNothing) {
  start("*/5 * * * *");
  loop_.advance(7min);  // ticked at 05 and 10
  ASSERT_EQ(ticks_.size(), 2U);
  loop_.jump_wall(-1h);
  loop_.advance(59min);
  EXPECT_EQ(ticks_.size(), 2U);
  loop_.advance(5min);
  EXPECT_EQ(ticks_.size(), 3U);
}

TEST_F(ScheduleTickerTest, AClockSetBackByFarIsBelieved) {
  start("*/5 * * * *");
  loop_.jump_wall(-24h * 365);
  loop_.advance(6min);
  EXPECT_THAT(ticks_, ElementsAre(utc("2025-01-02 03:05:00"), utc("2025-01-02 03:10:00")));
}

TEST_F(ScheduleTickerTest, JitterStaysBelowItsBound) {
  start("0 * * * *", 10min);
  loop_.advance(24h + 10min);
  ASSERT_EQ(ticks_.size(), 24U);
  for (const WallTime tick : ticks_) EXPECT_LT(tick.time_since_epoch() % 1h, 10min);
}

}  // namespace
}  // namespace containerpilot
