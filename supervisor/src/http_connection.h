#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/unique_fd.h"
#include "http_parser.h"

namespace containerpilot {

class HttpConnection;

/// What the connections of one server share. Outlives the server for the length of one callback, so
/// that a handler may destroy the server.
struct HttpServerShared {
  HttpServerShared(Reactor& r, HttpHandler h, HttpServerLimits l, bool unix_socket)
      : reactor(r), handler(std::move(h)), limits(l), is_unix(unix_socket) {}
  /// The Date header's value; made once a second.
  const std::string& date();

  Reactor& reactor;
  HttpHandler handler;
  const HttpServerLimits limits;
  const bool is_unix;
  bool draining = false;
  std::unordered_map<HttpConnection*, std::shared_ptr<HttpConnection>> connections;
  std::array<char, 64 * 1024> read_buffer;

 private:
  WallTime dated_{};
  std::string date_;
};

/// One accepted connection. At most one of its requests is with the handler at a time; what else
/// was sent waits (in the kernel, mostly), so answers come in order by nature.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<HttpServerShared> shared, UniqueFd fd);
  /// Answers what has come already. A handler may destroy the server.
  void start();
  /// Says 503 to a connection too many and closes it.
  void start_refused();
  /// Closes now unless an answer is under way; then after it.
  void drain();
  /// Nobody is told.
  void close();

  // For the responder of the request under way.
  void respond(const HttpServerResponse& response);
  void start_stream(const HttpServerResponse& head);
  bool write_stream(std::string_view data);
  void finish_stream();
  void on_disconnect(std::function<void()> fn) { on_disconnect_ = std::move(fn); }

 private:
  enum class Phase {
    kReading,    ///< a request, or the pause before one
    kAnswering,  ///< a request is with the handler
    kLingering,  ///< all is said; waiting for the client to take it
    kClosed,
  };
  enum class Stream { kNone, kPlain, kChunked };

  void on_event(std::uint32_t events);
  void read();
  void process(std::string_view data);
  void process_held();
  void resume_later();
  void hand_over();
  void refuse(HttpRequestParser::Refusal why);
  void append_head(const HttpServerResponse& response, std::optional<std::size_t> length);
  void answered();
  void flush();
  void after_io();
  bool linger();
  void client_gone();
  void set_interest(std::uint32_t events);
  void set_deadline(TimePoint when);
  void on_timer();
  [[nodiscard]] TimePoint in(Duration d) const { return shared_->reactor.now() + d; }
  [[nodiscard]] std::size_t unsent() const { return out_.size() - sent_; }

  std::shared_ptr<HttpServerShared> shared_;
  UniqueFd fd_;
  Phase phase_ = Phase::kReading;
  HttpRequestParser parser_;
  std::string in_;  // read but not yet parsed
  std::string out_;
  std::size_t sent_ = 0;        // of out_
  bool in_process_ = false;     // answers are collected and sent together
  bool resume_posted_ = false;  // more of in_ is parsed next turn; nothing is read until then
  bool request_begun_ = false;  // a byte of the next request has come
  bool broken_ = false;         // sending failed: closed by the next event or timer
  bool close_when_sent_ = false;

  // Of the request under way.
  bool head_ = false;
  bool http_1_0_ = false;
  Stream stream_ = Stream::kNone;
  std::function<void()> on_disconnect_;

  std::uint32_t interest_ = 0;
  Watch watch_;
  TimePoint read_deadline_;   // while reading or lingering
  TimePoint write_deadline_;  // while something is unsent
  TimePoint deadline_ = TimePoint::max();
  TimePoint armed_ = TimePoint::max();  // when timer_ fires: at or before deadline_
  Watch timer_;
};

}  // namespace containerpilot
