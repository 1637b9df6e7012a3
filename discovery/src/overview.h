#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "containerpilot/discovery/backoff.h"
#include "containerpilot/discovery/catalog.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// Waits for a change of anything in the catalog, by one query for each of its tables, so that
/// those services for which no query can wait need not be asked about while nothing changes. Where
/// something always changes, or the catalog cannot tell, it rests longer and longer and is no help.
/// Loop thread only.
class Overview {
 public:
  /// `catalog` may be null; `observer` may be empty, and change.
  Overview(Reactor& reactor, Catalog* catalog, const CallObserver& observer)
      : reactor_(reactor), catalog_(catalog), observer_(observer) {}
  Overview(const Overview&) = delete;
  Overview& operator=(const Overview&) = delete;
  ~Overview() = default;

  /// Somebody is asked about in turn. To be repeated: when nobody has for a while, it ends.
  void need();
  /// The catalog was away: what it knew, and what it holds back for us, may be lost.
  void start_over();
  /// Who finds the same number twice knows that nothing has changed in between. nullopt: nobody can
  /// tell what happens at this moment.
  [[nodiscard]] std::optional<std::uint64_t> state() const;

 private:
  struct Line {
    std::uint64_t index = 0;  ///< of the last answer; 0: the next question is answered at once
    bool waiting = false;     ///< a query is held back at the catalog
    TimePoint asked{};
    Backoff backoff{std::chrono::seconds(1), std::chrono::minutes(5)};
    Watch call;
    Watch pause;
  };

  void ask(Table table);
  void ask_later(Table table, Duration delay);
  void hear(Table table, const Result<std::uint64_t>& answer);
  [[nodiscard]] Line& line(Table table) { return lines_[static_cast<std::size_t>(table)]; }

  Reactor& reactor_;
  Catalog* catalog_;
  const CallObserver& observer_;
  std::array<Line, kTables.size()> lines_;
  bool running_ = false;
  TimePoint needed_{};
  std::uint64_t changes_ = 0;
};

}  // namespace containerpilot::discovery
