#include "overview.h"

#include <algorithm>
#include <utility>

#include "containerpilot/discovery/watcher.h"

namespace containerpilot::discovery {

namespace {
using namespace std::chrono_literals;
constexpr Duration kWait = 60s;
/// Nobody has been asked about in turn for so long: nobody is.
constexpr Duration kUnneeded = 3 * Watcher::kPollInterval;
}  // namespace

void Overview::need() {
  needed_ = reactor_.now();
  if (catalog_ == nullptr || std::exchange(running_, true)) return;
  for (const Table table : kTables) ask(table);
}

void Overview::start_over() {
  for (Line& line : lines_) line = Line();
  ++changes_;
  if (running_) {
    for (const Table table : kTables) ask(table);
  }
}

std::optional<std::uint64_t> Overview::state() const {
  const bool all =
      std::all_of(lines_.begin(), lines_.end(), [](const Line& l) { return l.waiting; });
  return all ? std::optional(changes_) : std::nullopt;
}

void Overview::ask(Table table) {
  Line& asking = line(table);
  if (reactor_.now() - needed_ >= kUnneeded) {
    running_ = false;
    for (Line& each : lines_) each = Line();
    return;
  }
  asking.asked = reactor_.now();
  asking.waiting = asking.index != 0;
  asking.call = catalog_->table_index(
      table, asking.index, kWait,
      [this, table](const Result<std::uint64_t>& answer) { hear(table, answer); });
}

void Overview::ask_later(Table table, Duration delay) {
  line(table).pause = reactor_.after(delay, [this, table] { ask(table); });
}

void Overview::hear(Table table, const Result<std::uint64_t>& answer) {
  Line& heard = line(table);
  const Duration took = reactor_.now() - heard.asked;
  const std::uint64_t known = std::exchange(heard.index, answer ? answer.value() : 0);
  heard.waiting = false;
  if (observer_) observer_("overview", answer.has_value(), took);
  const bool held_back = known == 0 || heard.index != known || took >= kWait / 2;
  if (!held_back) heard.index = 0;
  if (known != 0 && took >= Watcher::kPollInterval) heard.backoff.reset();  // it was worth the wait
  if (heard.index != 0 && (known == 0 || heard.index == known)) return ask_later(table, 0s);
  ++changes_;
  if (heard.index < known) heard.index = 0;  // another life of the catalog, with indexes of its own
  ask_later(table, heard.backoff.next());
}

}  // namespace containerpilot::discovery
