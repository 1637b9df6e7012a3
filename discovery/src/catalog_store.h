#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// A check as somebody wants it registered.
struct CheckDefinition {
  std::string id;  ///< empty: made from the service's
  std::string name;
  std::string service_id;  ///< for checks registered on their own
  std::string notes;
  std::optional<Health> status;  ///< nullopt: as it was, critical when new
  Duration ttl{0};
  Duration deregister_after{0};  ///< 0: never
};

struct Registration {
  ServiceSpec service;  ///< id, name, address, port, tags, meta, enable_tag_override
  std::vector<CheckDefinition> checks;
};

struct StoredCheck {
  std::string id, name, service_id, notes, output;
  Health status = Health::kCritical;
  Duration ttl{0};
  Duration deregister_after{0};
  Watch ttl_timer;
  Watch reap_timer;
};

struct StoredService {
  ServiceSpec spec;
  std::uint64_t create_index = 0, modify_index = 0;
  std::map<std::string, StoredCheck> checks;  ///< by check id
  /// The worst of its checks; passing without any.
  [[nodiscard]] Health health() const;
};

/// The embedded catalog's memory: services, their checks with running TTLs, and the index that
/// every visible change raises. Loop thread only.
class CatalogStore {
 public:
  static constexpr std::size_t kMaxServices = 10000;
  static constexpr std::size_t kMaxChecksPerService = 32;
  static constexpr std::size_t kMaxOutput = 4096;

  /// `on_change` gets the name of each service that changed; it must not call back.
  CatalogStore(Reactor& reactor, std::function<void(const std::string& name)> on_change);

  /// Errors: kUnavailable when full.
  Status register_service(const Registration& registration);
  /// Errors: kNotFound.
  Status deregister_service(const std::string& id);
  /// Errors: kNotFound (its service), kInvalid (no service: there are no node checks here),
  /// kUnavailable.
  Status register_check(const CheckDefinition& check);
  Status deregister_check(const std::string& id);
  /// A beat: sets state and output, and starts the TTL anew. Errors: kNotFound.
  Status update_check(const std::string& id, Health status, const std::string& output);
  /// Adds or removes a critical check that says why. Errors: kNotFound.
  Status set_maintenance(const std::string& service_id, bool on, const std::string& reason);

  [[nodiscard]] const std::map<std::string, StoredService>& services() const { return services_; }
  /// Of the last change of all. Begins at the wall clock's milliseconds, so that whoever waits with
  /// an index of an earlier life is answered at once.
  [[nodiscard]] std::uint64_t index() const { return index_; }
  /// Of the last change of this service; of the last removal of any, when it has no instances.
  [[nodiscard]] std::uint64_t index_of(const std::string& service_name) const;

 private:
  /// Errors: kInvalid (a check of another service), kUnavailable (too many).
  [[nodiscard]] Status fit_checks(const Registration& registration) const;
  StoredService* find_by_check(const std::string& check_id);
  /// True if something visible changed.
  bool put_check(StoredService& service, const CheckDefinition& definition);
  void set_status(StoredService& service, StoredCheck& check, Health status, std::string output);
  void start_ttl(const StoredService& service, StoredCheck& check);
  void changed(StoredService& service);

  Reactor& reactor_;
  std::function<void(const std::string&)> on_change_;
  std::map<std::string, StoredService> services_;      ///< by service id
  std::map<std::string, std::string> check_services_;  ///< check id to service id
  std::map<std::string, std::uint64_t> name_indexes_;  ///< of names that have instances
  std::uint64_t index_;
  std::uint64_t last_removal_;
};

}  // namespace containerpilot::discovery
