#pragma once

#include <memory>
#include <string>

#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// A catalog in this process, answering the part of Consul's HTTP API that agents, watchers and
/// people use (discovery/README.md has the list). Memory only, for one machine and for tests: never
/// a cluster. Loop thread only.
class EmbeddedCatalog {
 public:
  /// Errors: those of listen_tcp().
  static Result<std::unique_ptr<EmbeddedCatalog>> start(Reactor& reactor, const EmbeddedSpec& spec);
  EmbeddedCatalog() = default;
  EmbeddedCatalog(const EmbeddedCatalog&) = delete;
  EmbeddedCatalog& operator=(const EmbeddedCatalog&) = delete;
  virtual ~EmbeddedCatalog() = default;
  /// "127.0.0.1:8500", with the real port: what EmbeddedSpec::listen must become for
  /// make_catalog().
  [[nodiscard]] virtual const std::string& address() const = 0;
};

}  // namespace containerpilot::discovery
