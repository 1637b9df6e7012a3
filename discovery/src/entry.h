#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "containerpilot/discovery/availability.h"
#include "containerpilot/discovery/backoff.h"
#include "containerpilot/discovery/catalog.h"
#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// What must be done next so that the catalog becomes true.
enum class Step : std::uint8_t { kNone, kDeregister, kUpdate, kRegister };
/// "deregister", "update", "register".
std::string_view step_name(Step step);

/// One entry: what should stand in the catalog, what is believed to stand there, and the call under
/// way. Facts go in by the functions, next_step() says what follows from them. Knows no clock and
/// calls nobody.
struct Entry {
  ServiceSpec spec;
  std::optional<Health>
      health;  ///< nullopt: should not be there (nothing reported yet, or withdrawn)
  std::string output;
  std::optional<TimePoint> critical_since;
  TimePoint reported_at{};  ///< when `health` was last said
  bool forget = false;      ///< to be erased once it is out of the catalog

  bool registered = false;   ///< it is there, as far as known
  bool maybe_there = false;  ///< it is, or a call that may have put it there was made
  bool described = false;    ///< the catalog has this very spec
  bool told = true;          ///< the catalog has this very health and output
  bool lapsed = false;       ///< nobody said for a TTL that it is well: away until somebody does
  bool may_be_critical = false;  ///< it starts so, or was there before: no need to be well first

  Step step = Step::kNone;  ///< under way
  Watch call;
  Availability::Call leave;
  Backoff backoff{std::chrono::milliseconds(100), std::chrono::seconds(2)};
  TimePoint retry_at{};
  Watch retry;
  std::uint64_t changed = 0;  ///< number of the last change, to recognise an older comparison
  bool open = false;          ///< there may be something to do
  std::string last_error;
  bool complained = false;  ///< a warning was given and still holds
  bool told_lost = false;   ///< people know that the catalog did not know it

  void describe(const ServiceSpec& service, TimePoint now);
  void report(Health new_health, const std::string& new_output, TimePoint now);
  void withdraw();
  /// Its step was sent, and ended so.
  void begin(Step new_step);
  void succeeded();
  void failed(const Error& error, TimePoint now);
  /// The catalog was read while nothing was under way; nullptr: the entry is not there.
  /// Returns what had to be put right, for the log; empty if nothing.
  std::string_view compare(const OwnEntry* actual, TimePoint now);

  [[nodiscard]] Step next_step(TimePoint now) const;

 private:
  /// Removed by the catalog because it was critical for too long, as its spec demands.
  [[nodiscard]] bool reaped(TimePoint now) const;
  /// The catalog does not have it: did its TTL run out, as it should?
  [[nodiscard]] bool unheard(TimePoint now) const;
};

}  // namespace containerpilot::discovery
