#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

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
  /// How long it may be served; afterwards 503, because whoever publishes it hangs. 0: for ever.
  Duration valid_for{0};
  /// Served without the bearer token: what is the same for everybody, like a page's files.
  bool open = false;
  /// Further header lines, each ending in CRLF.
  std::string headers;
  /// In place of `body`: a text that lives as long as the program.
  std::string_view constant_body = {};
};

/// What the loop publishes; any thread may read, the loop thread writes. Each publish replaces the
/// whole.
class Documents {
 public:
  Documents();
  ~Documents();
  Documents(const Documents&) = delete;
  Documents& operator=(const Documents&) = delete;
  /// `path` as requested: "/status", or with the exact query it is for: "/readyz?verbose".
  void publish(const std::string& path, Document document);
  void withdraw(const std::string& path);
  /// Null when there is none. One that is no longer valid is replaced by a 503 that says so.
  [[nodiscard]] std::shared_ptr<const Document> find(std::string_view path) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Server-sent events: what the loop publishes goes to every listener of /events. Who is too slow
/// misses some and is told how many; a reconnect with Last-Event-ID gets what is still remembered.
class EventFeed {
 public:
  static constexpr std::size_t kRemembered = 1000;
  EventFeed();
  ~EventFeed();
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;
  /// `type` names the event ("job", "sensor"); `data` is one line, JSON by custom. Any thread.
  void publish(std::string_view type, std::string_view data);

  class Impl;
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// The telemetry port (civetweb): the registry at `spec.metrics_path`, /events from the feed,
/// everything else from `documents`. GET and HEAD only; no request has a body. With a bearer token
/// everything but /healthz, /readyz and open documents asks for it. Start and stop (destroy) from
/// the loop thread; stop takes at most 0.1 s whatever clients do.
class MetricsServer {
 public:
  static constexpr int kWorkers = 16;
  static constexpr int kMaxListeners = 4;  ///< of /events; the next gets 503 with Retry-After
  /// Before each scrape and each document but /healthz, on a server thread: brings what is made on
  /// demand up to date. Must come back soon, whatever the loop does.
  using BeforeAnswer = std::function<void(bool scrape)>;
  /// Everything given must outlive the server. Declares and records the metrics of scrapes.
  /// Errors: kIo (port taken, address not ours), kInvalid (certificate, address).
  static Result<std::unique_ptr<MetricsServer>> start(const ServerSpec& spec, Registry& registry,
                                                      Documents& documents,
                                                      BeforeAnswer before_answer,
                                                      EventFeed* events = nullptr);
  MetricsServer() = default;
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;
  virtual ~MetricsServer() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

}  // namespace containerpilot::telemetry
