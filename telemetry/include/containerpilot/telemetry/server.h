#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"
#include "containerpilot/telemetry/registry.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

/// One immutable document the loop published for the server's threads.
struct Document {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

/// What the loop publishes; any thread may read, the loop thread writes. Each publish replaces the
/// whole.
class Documents {
 public:
  Documents();
  ~Documents();
  Documents(const Documents&) = delete;
  Documents& operator=(const Documents&) = delete;
  /// `path` as requested, "/status"; a trailing '*' serves everything below ("/sensors/*" is not
  /// needed: publish each sensor by its own path).
  void publish(const std::string& path, Document document);
  void withdraw(const std::string& path);
  [[nodiscard]] std::shared_ptr<const Document> find(const std::string& path) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The telemetry port (civetweb): /metrics from the registry, everything else from `documents`.
/// Start and stop from the loop thread; stop is prompt whatever clients do.
class MetricsServer {
 public:
  /// Before each /metrics answer, on a server thread: brings gauges that are computed on demand up
  /// to date.
  using BeforeScrape = std::function<void()>;
  /// Errors: kIo (port taken, address not ours), kInvalid (certificate).
  static Result<std::unique_ptr<MetricsServer>> start(const ServerSpec& spec, Registry& registry,
                                                      Documents& documents,
                                                      BeforeScrape before_scrape);
  MetricsServer() = default;
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;
  virtual ~MetricsServer() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

}  // namespace containerpilot::telemetry
