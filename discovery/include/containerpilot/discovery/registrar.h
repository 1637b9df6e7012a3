#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/discovery/catalog.h"
#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// What a status page shows of one entry.
struct EntryState {
  ServiceSpec service;
  bool registered = false;
  bool withdrawn = false;  ///< maintenance, drain or job stopped
  Health health = Health::kCritical;
  std::string output;
  std::string last_error;  ///< empty while the catalog answers
};

struct RegistrarStats {
  std::uint64_t calls_ok = 0, calls_failed = 0;
  bool catalog_up = true;  ///< false from the first failed call until the next good one
};

/// Keeps this instance's entries in the catalog true: says what should stand there, compares,
/// repairs. A lost, altered or wiped entry is put right; failures are retried with back-off, warned
/// of once and reported as over once. An entry that its catalog removed because it was critical for
/// longer than deregister_critical_after stays away until it is better. Maintenance that somebody
/// switched on in the catalog itself is left alone. Loop thread only.
class Registrar {
 public:
  /// Longer output of a check is cut here (Consul's own limit), at a character's border.
  static constexpr std::size_t kMaxOutput = 4096;
  /// Expected and actual entries are compared this often, and after every failure.
  static constexpr Duration kCompareInterval = std::chrono::seconds(30);

  /// Leftovers of an earlier life of this instance, i.e. expired entries whose id is
  /// "<name>-<hostname>" and that nobody added here, are removed; an empty `hostname` leaves all
  /// alone.
  Registrar(Reactor& reactor, Catalog& catalog, const std::string& hostname = {});
  ~Registrar();
  Registrar(const Registrar&) = delete;
  Registrar& operator=(const Registrar&) = delete;

  /// Adds an entry, or changes its description. Registered at once when it has an initial status,
  /// else at the first report() that is not critical.
  void add(const ServiceSpec& service);
  /// A check result or heartbeat: sent at once (registering first if need be). Undoes withdraw().
  /// An empty output of a passing check is sent as "ok", like ContainerPilot 3.x does.
  void report(const std::string& id, Health health, const std::string& output);
  /// Takes the entry out of the catalog until the next report(). `done` runs when the catalog said
  /// so, or gave up after `bound`; never inside the call. The attempt itself goes on behind the
  /// bound.
  void withdraw(const std::string& id, Duration bound, std::function<void()> done);
  /// Withdraws and forgets.
  void remove(const std::string& id, Duration bound, std::function<void()> done);
  /// Withdraws everything at once, in the order it was added; `done` runs once, later, within
  /// `bound`. For a catalog that is about to be stopped: reports that come later register again.
  void withdraw_all(Duration bound, std::function<void()> done);
  /// withdraw_all(), for good: compares and guards nothing any more.
  void shutdown(Duration bound, std::function<void()> done);

  [[nodiscard]] std::vector<EntryState> entries() const;
  [[nodiscard]] RegistrarStats stats() const;
  void observe_calls(CallObserver observer);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace containerpilot::discovery
