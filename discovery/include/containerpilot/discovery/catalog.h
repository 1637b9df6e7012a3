#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/discovery/availability.h"
#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// What a watch asks for. An empty `tag` means any, an empty `dc` the catalog's own.
struct Query {
  std::string service;
  std::string dc;
  std::string tag;
  std::size_t known = 0;  ///< Snapshot::content of the last answer
};

/// One answer to a query.
struct Snapshot {
  std::uint64_t index = 0;  ///< to hand to the next query; 0: this catalog cannot hold answers back
  std::vector<Instance> instances;  ///< passing ones, sorted by id
  std::size_t content = 0;          ///< a fingerprint of the answer, where the catalog takes any
  bool same = false;  ///< it is Query::known's: `instances` were not read again and are empty
};

/// An entry near us as the catalog sees it: ours, one of an earlier life, or another agent's.
struct OwnEntry {
  ServiceSpec service;  ///< id, name, address, port, tags, meta, enable_tag_override
  bool has_check = true;
  bool keeps_meta = true;             ///< false: this catalog drops it (Consul before 1.0.7)
  bool expired = false;               ///< made by this program, and nobody keeps it alive any more
  std::optional<Health> health = {};  ///< what it was last told, as far as the catalog tells
};

/// What the answers to queries are made from.
enum class Table : std::uint8_t { kNodes, kServices, kChecks };
inline constexpr std::array kTables = {Table::kNodes, Table::kServices, Table::kChecks};

/// Told of each finished call: the operation ("register", "update", "deregister", "list"; "query"
/// for a question answered at once, "wait" for one that the catalog may hold back, "overview" for
/// one about a whole table), its result and the time it took.
using CallObserver = std::function<void(std::string_view operation, bool ok, Duration latency)>;

/// A catalog's wire protocol, one call each. No retries: Registrar and Watcher have those. Loop
/// thread only. Callbacks run once, later, on the loop; dropping a watch cancels the call. Errors
/// of all calls: kUnavailable, kTimeout, kIo (no answer, or only that it cannot); kDenied, kInvalid
/// (it refuses this one). All name the catalog, and never a token or password.
class Catalog {
 public:
  using Done = std::function<void(Status)>;
  using OwnEntriesDone = std::function<void(Result<std::vector<OwnEntry>>)>;
  using QueryDone = std::function<void(Result<Snapshot>)>;
  using IndexDone = std::function<void(Result<std::uint64_t>)>;

  /// `name` is for people and logs: "consul at 127.0.0.1:8500".
  Catalog(Reactor& reactor, std::string name)
      : name_(name), availability_(reactor, std::move(name)) {}
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;
  virtual ~Catalog() = default;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Availability& availability() { return availability_; }
  /// How many queries may wait at the same time; changes with what the catalog turns out to speak.
  [[nodiscard]] virtual std::size_t max_waiting_queries() const = 0;

  /// Service and check in one request, with that state. Overwrites an entry of the same id.
  virtual Watch register_service(const ServiceSpec& service, Health health, Done done) = 0;
  /// A TTL beat. kNotFound: the catalog does not know this entry (any more), register it again.
  virtual Watch update(const ServiceSpec& service, Health health, const std::string& output,
                       Done done) = 0;
  /// ok also when there is no such entry.
  virtual Watch deregister(const ServiceSpec& service, Done done) = 0;
  /// The entries this instance may own (to find lost, altered and expired ones). kNotFound: it
  /// cannot tell.
  virtual Watch own_entries(OwnEntriesDone done) = 0;
  /// Healthy instances of a service. index 0 answers at once; else when something changed or after
  /// `wait`. Errors: also kInternal (it answers, only that it cannot tell this now).
  virtual Watch query(const Query& query, std::uint64_t index, Duration wait, QueryDone done) = 0;
  /// The index of the last change in a whole table of the catalog's own datacenter; waits as
  /// query() does. A catalog that lets any number of queries wait need not tell, and then never
  /// answers.
  virtual Watch table_index(Table table, std::uint64_t index, Duration wait, IndexDone done) = 0;

 private:
  std::string name_;
  Availability availability_;
};

/// Talks to what `spec` names: Consul, etcd, or the embedded catalog at spec.embedded.listen (put
/// the real address there once it is started). `calls` and `polls` are separate connection pools,
/// so that waiting queries never delay a beat: kCallConnections and kPollConnections. All must
/// outlive the catalog. Errors: kInvalid; for Kind::kNone there is nothing to make, and that is one
/// too.
Result<std::unique_ptr<Catalog>> make_catalog(Reactor& reactor, const CatalogSpec& spec,
                                              HttpClient& calls, HttpClient& polls);

inline constexpr std::size_t kCallConnections = 4;
/// Consul refuses a client its 201st connection; one agent keeps far away from that.
inline constexpr std::size_t kPollConnections = 54;

}  // namespace containerpilot::discovery
