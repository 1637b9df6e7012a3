#pragma once

#include <functional>
#include <vector>

#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// A source of instance lists that keeps itself up to date: a catalog service or a DNS name. Tells
/// of every answer, changed or not. Loop thread only.
class Feed {
 public:
  /// The last thing a feed does in a turn: may stop it.
  using OnAnswer = std::function<void(const Result<std::vector<Instance>>&)>;
  Feed() = default;
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;
  virtual ~Feed() = default;
  /// How often to ask where asking is all there is. Used from the next question on.
  virtual void set_interval(Duration interval) = 0;
  /// Asks nothing any more and calls nobody.
  virtual void stop() = 0;
  /// The catalog may be asked again (see Availability::on_chance).
  virtual void chance() {}
  /// The catalog was away: what it holds back for us may be lost.
  virtual void ask_again() {}
  /// How late a change may be seen while all is well.
  [[nodiscard]] virtual Duration staleness() const = 0;
};

}  // namespace containerpilot::discovery
