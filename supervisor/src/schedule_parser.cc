#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "containerpilot/supervisor/schedule.h"

namespace containerpilot {

namespace {

struct Field {
  std::string_view name;
  int first, last;
  std::string_view names;  // three letters each, the first is `named_from`
  int named_from = 0;
};
constexpr std::array<Field, 5> kFields = {{
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day", 1, 31, ""},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec", 1},
    {"weekday", 0, 7, "sunmontuewedthufrisat", 0},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kMacros = {{
    {"@hourly", "0 * * * *"},
    {"@daily", "0 0 * * *"},
    {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"},
    {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
}};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find_first_of(separators, begin)) != text.npos;
       begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text[0] == '-') return {};
  return value;
}

std::optional<int> value_of(const Field& field, std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (const auto value = number(text)) {
    return *value >= field.first && *value <= field.last ? value : std::nullopt;
  }
  if (text.size() != 3) return std::nullopt;
  const auto at = field.names.find(lower(text));
  if (at == field.names.npos || at % 3 != 0) return std::nullopt;
  return field.named_from + static_cast<int>(at / 3);
}

Error bad(const Field& field, std::string_view found) {
  std::string accepted = "'*' or " + std::to_string(field.first) + " to " +
                         std::to_string(field.last == 7 ? 6 : field.last);
  if (!field.names.empty()) {
    accepted += " (" + std::string(field.names.substr(0, 3)) + " to " +
                std::string(field.names.substr(field.names.size() - 3)) + ")";
  }
  return Error(Errc::kInvalid, "'" + std::string(found) + "' is no " + std::string(field.name) +
                                   ": expected " + accepted +
                                   ", ranges (1-5), lists (1,3) and steps (*/2)");
}

Result<std::uint64_t> parse_item(const Field& field, std::string_view item) {
  const auto slash = item.find('/');
  const std::string_view range = item.substr(0, slash);
  int step = 1;
  if (slash != item.npos) {
    const auto written = number(item.substr(slash + 1));
    if (!written || *written < 1) return bad(field, item);
    step = *written;
  }
  int first = field.first;
  int last = field.last == 7 ? 6 : field.last;
  if (range != "*") {
    const auto dash = range.find('-');
    const auto begin = value_of(field, range.substr(0, dash));
    const auto end = dash != range.npos   ? value_of(field, range.substr(dash + 1))
                     : slash != item.npos ? std::optional(last)
                                          : begin;
    if (!begin || !end || *begin > *end) return bad(field, item);
    first = *begin;
    last = *end;
  }
  std::uint64_t bits = 0;
  for (int value = first; value <= last; value += std::min(step, 100)) {
    bits |= std::uint64_t{1} << (field.last == 7 ? value % 7 : value);
  }
  return bits;
}

Result<std::uint64_t> parse_field(const Field& field, std::string_view text) {
  std::uint64_t bits = 0;
  for (const std::string_view item : split(text, ",")) {
    auto part = parse_item(field, item);
    if (!part) return part;
    bits |= part.value();
  }
  return bits;
}

/// True if one of the chosen days exists in one of the chosen months.
bool ever_comes(const Schedule& schedule) {
  constexpr std::array<int, 13> kDays = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (schedule.either_day) return true;
  for (unsigned month = 1; month <= 12; ++month) {
    if (((schedule.months >> month) & 1) == 0) continue;
    const std::uint64_t days = (std::uint64_t{2} << kDays[month]) - 2;
    if ((schedule.days & days) != 0) return true;
  }
  return false;
}

}  // namespace

Result<Schedule> parse_schedule(std::string_view text, std::string time_zone) {
  Schedule schedule;
  schedule.text = text;
  schedule.time_zone = std::move(time_zone);
  const auto fail = [&schedule](const std::string& why) {
    return Error(Errc::kInvalid, "cannot read schedule '" + schedule.text + "': " + why);
  };
  std::string_view line = text;
  if (text.starts_with('@')) {
    const auto macro =
        std::find_if(kMacros.begin(), kMacros.end(),
                     [name = lower(text)](const auto& known) { return known.first == name; });
    if (macro == kMacros.end()) {
      return fail("expected @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually");
    }
    line = macro->second;
  }
  std::vector<std::string_view> fields = split(line, " \t");
  std::erase(fields, std::string_view());
  if (fields.size() != kFields.size()) {
    return fail("found " + std::to_string(fields.size()) +
                " fields: expected five, minute hour day month weekday");
  }
  std::array<std::uint64_t, 5> bits{};
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    auto parsed = parse_field(kFields[i], fields[i]);
    if (!parsed) return fail(parsed.error().text());
    bits[i] = parsed.value();
  }
  schedule.minutes = bits[0];
  schedule.hours = static_cast<std::uint32_t>(bits[1]);
  schedule.days = static_cast<std::uint32_t>(bits[2]);
  schedule.months = static_cast<std::uint16_t>(bits[3]);
  schedule.weekdays = static_cast<std::uint8_t>(bits[4]);
  schedule.either_day = fields[2][0] != '*' && fields[4][0] != '*';
  schedule.follows_clock = fields[1][0] == '*';
  if (!ever_comes(schedule)) return fail("no month it names has such a day, so it never comes");
  return schedule;
}

}  // namespace containerpilot
