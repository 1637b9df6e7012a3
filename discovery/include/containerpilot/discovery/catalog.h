#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// One answer to a watch query.
struct Snapshot {
  std::uint64_t index = 0;          ///< to hand to the next call of query()
  std::vector<Instance> instances;  ///< passing ones, sorted by id
};

/// A catalog's wire protocol, one call each; no memory, no retries: Registrar and Watcher have those.
/// Loop thread only. Callbacks run once, later, on the loop; dropping a watch cancels the call.
class Catalog {
 public:
  using Done = std::function<void(Status)>;
  Catalog() = default;
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;
  virtual ~Catalog() = default;

  /// For people and logs: "consul at 127.0.0.1:8500".
  [[nodiscard]] virtual std::string describe() const = 0;
  /// Service and check in one request, with that state and output.
  virtual Watch register_service(const ServiceSpec& service, Health health, const std::string& output,
                                 Done done) = 0;
  /// A TTL beat. kNotFound: the catalog does not know this entry (any more).
  virtual Watch update(const ServiceSpec& service, Health health, const std::string& output, Done done) = 0;
  virtual Watch deregister(const ServiceSpec& service, Done done) = 0;
  /// This instance's own entries as the catalog sees them, by id (to find lost, altered and stale ones).
  virtual Watch own_entries(std::function<void(Result<std::vector<ServiceSpec>>)> done) = 0;
  /// Healthy instances of a service. index 0 answers at once; else when something changed or after `wait`.
  virtual Watch query(const std::string& service, const std::string& dc, std::uint64_t index, Duration wait,
                      std::function<void(Result<Snapshot>)> done) = 0;
};

/// Talks to what `spec` names; null Result for kNone. `calls` and `polls` are separate connection pools,
/// so that long polls never delay a beat. All must outlive the catalog.
Result<std::unique_ptr<Catalog>> make_catalog(Reactor& reactor, const CatalogSpec& spec, HttpClient& calls,
                                              HttpClient& polls);

}  // namespace containerpilot::discovery
