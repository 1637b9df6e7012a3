#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot {

/// A cron schedule: five fields as bit sets, and the zone they are read in. Made by
/// parse_schedule().
///
/// When the clocks change, a schedule whose hour field begins with '*' follows the clock on the
/// wall: times that are skipped do not come, times that are repeated come twice. Any other schedule
/// means times of the day, each once a day: what falls into a skipped stretch comes at its end
/// (several such times are one), and of repeated times the first counts.
struct Schedule {
  std::string text;       ///< as written
  std::string time_zone;  ///< IANA name; empty: the container's own (TZ, else /etc/localtime)
  std::uint64_t minutes = 0;
  std::uint32_t hours = 0;
  std::uint32_t days = 0;      ///< bits 1 to 31
  std::uint16_t months = 0;    ///< bits 1 to 12
  std::uint8_t weekdays = 0;   ///< bits 0 (Sunday) to 6
  bool either_day = false;     ///< days and weekdays are both restricted: one of them is enough
  bool follows_clock = false;  ///< the hour field begins with '*'
  friend bool operator==(const Schedule&, const Schedule&) = default;

  /// The first time after `when`; nullopt beyond what the calendar can say.
  [[nodiscard]] std::optional<WallTime> next_after(WallTime when) const;
};

/// Reads "minute hour day month weekday", each a list of '*', N, N-M and names (jan, mon), with
/// "/STEP" after '*', a range, or N (from N to the end); weekday 7 is Sunday; or @hourly, @daily,
/// @midnight, @weekly, @monthly, @yearly, @annually. Source: crontab(5) of Debian's cron, without
/// @reboot.
/// Errors: kInvalid, naming the field; also a schedule that never comes (30 February).
Result<Schedule> parse_schedule(std::string_view text, std::string time_zone);

/// Errors: kNotFound when there is no such zone in the zone files (TZDIR, else
/// /usr/share/zoneinfo).
Status check_time_zone(const std::string& name);

}  // namespace containerpilot
