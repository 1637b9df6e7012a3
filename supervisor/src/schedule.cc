#include "containerpilot/supervisor/schedule.h"

#include <absl/time/internal/cctz/include/cctz/civil_time.h>
#include <absl/time/internal/cctz/include/cctz/time_zone.h>

namespace containerpilot {

namespace {

namespace cctz = absl::time_internal::cctz;

constexpr int kMaxYears = 41;  // 29 February on a given weekday comes again within that
// Enough to leave any chain of transitions without a match behind; cctz knows 400 years of them.
constexpr int kMaxTransitions = 2000;

using Instant = cctz::time_point<cctz::seconds>;

template <class Bits>
bool has(Bits bits, int bit) {
  return ((bits >> bit) & 1) != 0;
}

cctz::time_zone zone_of(const Schedule& schedule) {
  if (schedule.time_zone.empty()) return cctz::local_time_zone();
  cctz::time_zone zone;  // UTC, should the zone's file have gone since it was checked
  cctz::load_time_zone(schedule.time_zone, &zone);
  return zone;
}

bool matches_day(const Schedule& schedule, cctz::civil_day day) {
  if (!has(schedule.months, day.month())) return false;
  const int weekday = (static_cast<int>(cctz::get_weekday(day)) + 1) % 7;  // cctz: Monday is 0
  const bool by_day = has(schedule.days, day.day());
  const bool by_weekday = has(schedule.weekdays, weekday);
  return schedule.either_day ? by_day || by_weekday : by_day && by_weekday;
}

/// The first matching minute at or after `from`, whatever clocks do.
std::optional<cctz::civil_second> first_match(const Schedule& schedule, cctz::civil_second from) {
  cctz::civil_minute minute(from);
  if (cctz::civil_second(minute) < from) ++minute;
  cctz::civil_day day(minute);
  int hour = minute.hour();
  int at = minute.minute();
  const auto last_year = from.year() + kMaxYears;
  while (day.year() <= last_year) {
    if (!has(schedule.months, day.month())) {
      day = cctz::civil_day(cctz::civil_month(day) + 1);
      hour = at = 0;
      continue;
    }
    if (matches_day(schedule, day)) {
      for (; hour < 24; ++hour, at = 0) {
        if (!has(schedule.hours, hour)) continue;
        for (; at < 60; ++at) {
          if (!has(schedule.minutes, at)) continue;
          return cctz::civil_second(day.year(), day.month(), day.day(), hour, at);
        }
      }
    }
    ++day;
    hour = at = 0;
  }
  return std::nullopt;
}

bool is_second_time(const cctz::time_zone& zone, cctz::civil_second local, Instant when) {
  const auto lookup = zone.lookup(local);
  return lookup.kind == cctz::time_zone::civil_lookup::REPEATED && lookup.pre != when;
}

}  // namespace

std::optional<WallTime> Schedule::next_after(WallTime when) const {
  const cctz::time_zone zone = zone_of(*this);
  // Between two transitions local time and time are the same but for an offset. So: walk from
  // stretch to stretch; `base` and `local` are one moment, `from` is where to look from.
  Instant base = std::chrono::floor<cctz::seconds>(when);
  cctz::civil_second local = zone.lookup(base).cs;
  cctz::civil_second from = local + 1;
  for (int i = 0; i < kMaxTransitions; ++i) {
    cctz::time_zone::civil_transition transition;
    const bool ends = zone.next_transition(base, &transition);
    const auto match = first_match(*this, from);
    if (!match) return std::nullopt;
    if (!ends || *match < transition.from) {
      const Instant found = base + cctz::seconds(*match - local);
      if (follows_clock || !is_second_time(zone, *match, found)) return WallTime(found);
      from = *match + 1;
      continue;
    }
    base += cctz::seconds(transition.from - local);
    if (!follows_clock && *match < transition.to) return WallTime(base);
    local = from = transition.to;
  }
  return std::nullopt;
}

Status check_time_zone(const std::string& name) {
  cctz::time_zone zone;
  // cctz also takes "Fixed/UTC+…", which nobody else knows.
  if (!name.empty() && !name.starts_with("Fixed/") && cctz::load_time_zone(name, &zone)) {
    return ok();
  }
  return Error(
      Errc::kNotFound,
      "cannot find time zone '" + name +
          "' (TZDIR, else /usr/share/zoneinfo): expected a name like 'Europe/Berlin' whose "
          "file is in this image");
}

}  // namespace containerpilot
