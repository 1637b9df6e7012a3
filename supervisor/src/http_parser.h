#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "containerpilot/supervisor/http.h"

namespace containerpilot {

/// Parses requests from the bytes of one connection, however they are cut into pieces. Strict: what
/// two parsers could read differently (RFC 9112, sections 2.2, 5.2, 6.3, 11.2) is refused.
class HttpRequestParser {
 public:
  enum class State {
    kNeedMore,
    kComplete,  ///< take() the request
    kRefused,   ///< answer with refusal() and close
  };
  struct Progress {
    State state;
    std::size_t consumed;  ///< the caller keeps the rest and presents it again with what follows
  };
  struct Refusal {
    int status = 400;
    std::string_view reason;
  };
  enum class Host { kRequired, kOptional };

  HttpRequestParser(const HttpServerLimits& limits, Host host);
  ~HttpRequestParser();
  HttpRequestParser(const HttpRequestParser&) = delete;
  HttpRequestParser& operator=(const HttpRequestParser&) = delete;

  /// `data` starts at the first byte not yet consumed.
  Progress feed(std::string_view data);
  [[nodiscard]] bool header_done() const;
  /// The client waits for "100 Continue" before it sends the body.
  [[nodiscard]] bool expects_continue() const;
  [[nodiscard]] Refusal refusal() const;

  // Of the complete request, until take():
  [[nodiscard]] bool keep_alive() const;
  [[nodiscard]] bool http_1_0() const;
  /// Hands the request out and is ready for the next one.
  HttpServerRequest take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "OK", "Not Found", …; "Unknown" for a status without a name.
std::string_view http_reason(int status);

}  // namespace containerpilot
