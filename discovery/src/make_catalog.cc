#include <string>
#include <utility>

#include "consul_catalog.h"
#include "containerpilot/discovery/catalog.h"
#include "etcd_catalog.h"
#include "shown_url.h"

namespace containerpilot::discovery {

Result<std::unique_ptr<Catalog>> make_catalog(Reactor& reactor, const CatalogSpec& spec,
                                              HttpClient& calls, HttpClient& polls) {
  const auto consul = [&](ConsulSpec where, std::string name) -> std::unique_ptr<Catalog> {
    return std::make_unique<ConsulCatalog>(reactor, std::move(where), std::move(name), calls,
                                           polls);
  };
  switch (spec.kind) {
    case CatalogSpec::Kind::kConsul:
      return consul(spec.consul, "consul at " + shown_url(spec.consul.address));
    case CatalogSpec::Kind::kEmbedded: {
      ConsulSpec self;
      self.address = spec.embedded.listen;
      return consul(std::move(self), "embedded catalog at " + spec.embedded.listen);
    }
    case CatalogSpec::Kind::kEtcd: {
      if (spec.etcd.endpoints.empty()) {
        return Error(Errc::kInvalid,
                     "cannot use etcd: no endpoint is given, like 'http://etcd:2379'");
      }
      std::string name = "etcd at " + shown_url(spec.etcd.endpoints.front());
      if (spec.etcd.endpoints.size() > 1) name += " and others";
      return std::unique_ptr<Catalog>(
          std::make_unique<EtcdCatalog>(reactor, spec.etcd, std::move(name), calls, polls));
    }
    case CatalogSpec::Kind::kNone:
      break;
  }
  return Error(Errc::kInvalid, "cannot make a catalog: the configuration says there is none");
}

}  // namespace containerpilot::discovery
