#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "containerpilot/discovery/catalog.h"
#include "etcd_client.h"
#include "etcd_view.h"

namespace containerpilot::discovery {

/// etcd v3 over its JSON gateway. A service is a key with a lease that its passing checks keep
/// alive; there is no state besides being there, so a critical entry is taken out (spec v1-v2,
/// section 5.3).
class EtcdCatalog : public Catalog {
 public:
  EtcdCatalog(Reactor& reactor, const EtcdSpec& spec, std::string name, HttpClient& calls,
              HttpClient& polls);

  /// All of them are fed by one stream.
  [[nodiscard]] std::size_t max_waiting_queries() const override { return SIZE_MAX; }
  Watch register_service(const ServiceSpec& service, Health health, Done done) override;
  Watch update(const ServiceSpec& service, Health health, const std::string& output,
               Done done) override;
  Watch deregister(const ServiceSpec& service, Done done) override;
  Watch own_entries(OwnEntriesDone done) override;
  Watch query(const Query& query, std::uint64_t index, Duration wait, QueryDone done) override;
  Watch table_index(Table /*table*/, std::uint64_t /*index*/, Duration /*wait*/,
                    IndexDone /*done*/) override {
    return {};
  }

 private:
  struct Entry {
    ServiceSpec spec;
    std::uint64_t lease = 0;  ///< 0: critical, and so not there
  };
  struct Listing;
  Watch put(const ServiceSpec& service, Done done);
  Watch take_out(const ServiceSpec& service, std::string what, Done done);
  /// It is critical, as far as etcd was told.
  [[nodiscard]] bool away(const std::string& id) const;
  void list_more(const std::shared_ptr<Listing>& listing);

  std::string prefix_;
  EtcdClient client_;
  EtcdView view_;
  std::map<std::string, Entry> entries_;  ///< by service id
  std::uint64_t outages_seen_ = 0;
};

}  // namespace containerpilot::discovery
