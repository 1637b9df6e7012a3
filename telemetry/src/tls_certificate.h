#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <mutex>

#include "containerpilot/supervisor/result.h"
#include "containerpilot/telemetry/spec.h"

namespace containerpilot::telemetry {

/// A certificate with chain and key, read again when its files change. A new pair that cannot be
/// used is logged once and the old one stays. Thread-safe.
class TlsCertificate {
 public:
  /// Errors: kInvalid (unreadable, not PEM, the key does not belong to the certificate).
  static Result<std::unique_ptr<TlsCertificate>> load(const ServerTls& files);
  /// Makes every handshake of `context` use the newest pair. This must outlive the context.
  void install(SSL_CTX* context);

 private:
  struct Pair;
  struct Stamp;
  explicit TlsCertificate(ServerTls files);
  static Result<std::shared_ptr<const Pair>> read(const ServerTls& files);
  static int on_handshake(SSL* ssl, void* self);
  std::shared_ptr<const Pair> newest();

  const ServerTls files_;
  std::mutex mutex_;
  std::shared_ptr<const Pair> pair_;
  std::shared_ptr<const Stamp> stamp_;
  std::chrono::steady_clock::time_point looked_at_{};
};

}  // namespace containerpilot::telemetry
