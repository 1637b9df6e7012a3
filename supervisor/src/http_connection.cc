#include "http_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstdio>

namespace containerpilot {

namespace {

constexpr std::uint32_t kReadEvents = EPOLLIN | EPOLLRDHUP;
/// Requests of one connection answered before others get their turn.
constexpr int kMaxRequestsPerTurn = 32;
/// How long a client may take to read our last words before the socket is closed under it.
constexpr Duration kLingerTime = std::chrono::seconds(1);
constexpr std::size_t kKeptCapacity = 4096;

/// The handle a handler gets. The connection may be gone before it.
class Responder : public HttpResponder {
 public:
  explicit Responder(std::weak_ptr<HttpConnection> connection)
      : connection_(std::move(connection)) {}
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;
  // NOLINTNEXTLINE(bugprone-exception-escape): without memory for an answer nothing goes on
  ~Responder() override {
    const auto connection = connection_.lock();
    if (!connection) return;
    if (state_ == State::kFresh) {
      connection->respond({.status = 500,
                           .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
                           .body = "Internal Server Error\n"});
    } else if (state_ == State::kStreaming) {
      connection->finish_stream();
    }
  }
  void send(HttpServerResponse response) override {
    if (state_ != State::kFresh) return;
    state_ = State::kDone;
    if (const auto connection = connection_.lock()) connection->respond(response);
  }
  void start_stream(HttpServerResponse head) override {
    if (state_ != State::kFresh) return;
    state_ = State::kStreaming;
    if (const auto connection = connection_.lock()) connection->start_stream(head);
  }
  bool write(std::string_view data) override {
    const auto connection = connection_.lock();
    return connection && state_ == State::kStreaming && connection->write_stream(data);
  }
  void on_disconnect(std::function<void()> fn) override {
    const auto connection = connection_.lock();
    if (connection && state_ != State::kDone) connection->on_disconnect(std::move(fn));
  }

 private:
  enum class State { kFresh, kStreaming, kDone };
  State state_ = State::kFresh;
  std::weak_ptr<HttpConnection> connection_;
};

void append_header(std::string& out, std::string_view name, std::string_view value) {
  const std::size_t start = out.size();
  out.append(name).append(": ").append(value);
  // A value made from foreign bytes must not start a header of its own.
  for (std::size_t i = start; i < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  }
  out.append("\r\n");
}

bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

const std::string& HttpServerShared::date() {
  const WallTime now = std::chrono::floor<std::chrono::seconds>(reactor.wall_now());
  if (date_.empty() || now != dated_) {
    dated_ = now;
    const time_t seconds = std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
    tm parts{};
    gmtime_r(&seconds, &parts);
    // Not strftime: names of days and months must not follow the locale.
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char text[80];
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[parts.tm_wday],
                  parts.tm_mday, kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                  parts.tm_min, parts.tm_sec);
    date_ = text;
  }
  return date_;
}

HttpConnection::HttpConnection(std::shared_ptr<HttpServerShared> shared, UniqueFd fd)
    : shared_(std::move(shared)),
      fd_(std::move(fd)),
      parser_(shared_->limits, shared_->is_unix ? HttpRequestParser::Host::kOptional
                                                : HttpRequestParser::Host::kRequired),
      read_deadline_(in(shared_->limits.header_timeout)) {}

void HttpConnection::start() {
  const auto self = shared_from_this();
  const auto shared = shared_;
  read();
  after_io();
}

void HttpConnection::start_refused() {
  refuse({503, "too many connections"});
  flush();
  after_io();
}

void HttpConnection::drain() {
  if (phase_ != Phase::kAnswering && unsent() == 0) close();
}

// ---- in ----

void HttpConnection::on_event(std::uint32_t events) {
  const auto self = shared_from_this();
  const auto shared = shared_;  // a handler may destroy the server
  const bool left = (events & (EPOLLHUP | EPOLLRDHUP)) != 0;
  if (broken_ || (events & EPOLLERR) != 0 || (left && phase_ == Phase::kAnswering)) {
    return client_gone();
  }
  if (unsent() > 0) {
    flush();
    if (unsent() == 0 && phase_ == Phase::kReading && !in_.empty()) return process_held();
    return after_io();
  }
  if (phase_ == Phase::kAnswering) {
    // The next request came early: it stays in the kernel until this one is answered.
    set_interest(EPOLLRDHUP);
  } else {
    read();
  }
}

void HttpConnection::read() {
  if (resume_posted_) return;
  auto& buffer = shared_->read_buffer;
  const ssize_t n = recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return client_gone();
  if (phase_ == Phase::kLingering) return;
  const std::string_view data(buffer.data(), static_cast<std::size_t>(n));
  if (in_.empty()) return process(data);
  in_.append(data);
  process_held();
}

void HttpConnection::process_held() {
  const std::string held = std::exchange(in_, {});
  process(held);
}

void HttpConnection::process(std::string_view data) {
  in_process_ = true;
  int handled = 0;
  bool interrupted = false;  // what is left is not waiting for more bytes
  while (phase_ == Phase::kReading && !close_when_sent_ && !data.empty()) {
    if (handled == kMaxRequestsPerTurn || unsent() > shared_->limits.max_pending_write) {
      interrupted = true;
      break;
    }
    if (!request_begun_) {
      request_begun_ = true;
      read_deadline_ = in(shared_->limits.header_timeout);
    }
    const bool header_was_done = parser_.header_done();
    const HttpRequestParser::Progress progress = parser_.feed(data);
    data.remove_prefix(progress.consumed);
    if (progress.state == HttpRequestParser::State::kComplete) {
      ++handled;
      hand_over();
    } else if (progress.state == HttpRequestParser::State::kRefused) {
      refuse(parser_.refusal());
    } else {
      if (parser_.header_done() && !header_was_done) {
        read_deadline_ = in(shared_->limits.body_timeout);
        if (parser_.expects_continue() && data.empty()) out_ += "HTTP/1.1 100 Continue\r\n\r\n";
      }
      break;
    }
  }
  in_process_ = false;
  if (phase_ == Phase::kClosed) return;
  if (!close_when_sent_) in_.assign(data);
  flush();
  if (interrupted && unsent() == 0) resume_later();
  after_io();
}

void HttpConnection::resume_later() {
  if (resume_posted_) return;
  resume_posted_ = true;
  shared_->reactor.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    const auto shared = self->shared_;
    self->resume_posted_ = false;
    if (self->phase_ == Phase::kReading && self->unsent() == 0) self->process_held();
  });
}

void HttpConnection::hand_over() {
  request_begun_ = false;
  http_1_0_ = parser_.http_1_0();
  close_when_sent_ = !parser_.keep_alive();
  HttpServerRequest request = parser_.take();
  head_ = request.method == "HEAD";
  phase_ = Phase::kAnswering;
  shared_->handler(std::move(request), std::make_unique<Responder>(weak_from_this()));
}

void HttpConnection::refuse(HttpRequestParser::Refusal why) {
  http_1_0_ = false;
  close_when_sent_ = true;
  const std::string body = std::string(why.reason) + "\n";
  append_head({.status = why.status,
               .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
               .body = {}},
              body.size());
  out_ += body;
}

// ---- out ----

void HttpConnection::append_head(const HttpServerResponse& response,
                                 std::optional<std::size_t> length) {
  if (shared_->draining) close_when_sent_ = true;
  out_ += "HTTP/1.1 " + std::to_string(response.status) + " ";
  out_.append(http_reason(response.status)).append("\r\n");
  append_header(out_, "Date", shared_->date());
  for (const auto& [name, value] : response.headers) append_header(out_, name, value);
  if (length) append_header(out_, "Content-Length", std::to_string(*length));
  if (stream_ == Stream::kChunked) append_header(out_, "Transfer-Encoding", "chunked");
  if (close_when_sent_) {
    append_header(out_, "Connection", "close");
  } else if (http_1_0_) {
    append_header(out_, "Connection", "keep-alive");
  }
  out_ += "\r\n";
}

void HttpConnection::respond(const HttpServerResponse& response) {
  if (phase_ != Phase::kAnswering) return;
  const bool body = has_body(response.status);
  append_head(response, body ? std::optional(response.body.size()) : std::nullopt);
  if (body && !head_) out_ += response.body;
  answered();
}

void HttpConnection::start_stream(const HttpServerResponse& head) {
  if (phase_ != Phase::kAnswering) return;
  if (has_body(head.status)) {
    stream_ = http_1_0_ ? Stream::kPlain : Stream::kChunked;
    if (http_1_0_) close_when_sent_ = true;  // only the end of the connection ends the body
  }
  append_head(head, std::nullopt);
  if (head_) stream_ = Stream::kNone;
  write_stream(head.body);
}

bool HttpConnection::write_stream(std::string_view data) {
  if (phase_ != Phase::kAnswering || broken_) return false;
  if (unsent() > shared_->limits.max_pending_write) return false;
  if (stream_ == Stream::kPlain) {
    out_.append(data);
  } else if (stream_ == Stream::kChunked && !data.empty()) {  // an empty chunk would be the last
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    out_.append(size).append(data).append("\r\n");
  }
  if (!in_process_) {
    flush();
    after_io();
  }
  return !broken_;
}

void HttpConnection::finish_stream() {
  if (phase_ != Phase::kAnswering) return;
  if (stream_ == Stream::kChunked) out_ += "0\r\n\r\n";
  answered();
}

void HttpConnection::answered() {
  phase_ = Phase::kReading;
  stream_ = Stream::kNone;
  const auto forgotten = std::exchange(on_disconnect_, nullptr);
  read_deadline_ = in(shared_->limits.idle_timeout);
  if (shared_->draining) close_when_sent_ = true;
  if (in_process_) return;
  flush();
  if (!in_.empty()) resume_later();
  after_io();
}

void HttpConnection::flush() {
  const bool had_unsent = unsent() > 0;
  while (unsent() > 0) {
    const ssize_t n = send(fd_.get(), out_.data() + sent_, unsent(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      if (errno != EAGAIN) broken_ = true;
      break;
    }
    sent_ += static_cast<std::size_t>(n);
    write_deadline_ = in(shared_->limits.body_timeout);  // who takes something, is alive
  }
  if (unsent() == 0) {
    out_.clear();
    sent_ = 0;
    if (out_.capacity() > kKeptCapacity) std::string().swap(out_);  // idle ones cost no buffer
    if (had_unsent && !request_begun_) read_deadline_ = in(shared_->limits.idle_timeout);
  } else if (sent_ > out_.size() / 2) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
}

/// Brings what is waited for, and how long, in line with what is left to do.
void HttpConnection::after_io() {
  if (phase_ == Phase::kClosed) return;
  if (broken_) {  // perhaps in the middle of a caller's write(): he shall not be called back from
                  // there
    set_deadline(shared_->reactor.now());
  } else if (unsent() > 0) {
    set_interest(phase_ == Phase::kAnswering ? EPOLLOUT | EPOLLRDHUP : EPOLLOUT);
    set_deadline(write_deadline_);
  } else if (phase_ == Phase::kAnswering) {
    // Reading stays armed if it was: most clients do not send the next request early.
    if (interest_ != kReadEvents) set_interest(EPOLLRDHUP);
    set_deadline(TimePoint::max());
  } else {
    if (phase_ == Phase::kReading && close_when_sent_ && !linger()) return close();
    set_interest(kReadEvents);
    set_deadline(read_deadline_);
  }
}

// ---- the end ----

/// Closing while the client still sends would reset the connection, and the reset could overtake
/// the answer. So: no more from our side, then read until it has gone, for a moment. False where
/// that is not needed: a unix socket keeps what was sent when nothing is left to read.
bool HttpConnection::linger() {
  char byte = 0;
  if (shared_->is_unix && recv(fd_.get(), &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN) return false;
  shutdown(fd_.get(), SHUT_WR);
  phase_ = Phase::kLingering;
  read_deadline_ = in(kLingerTime);
  return true;
}

void HttpConnection::close() {
  if (phase_ == Phase::kClosed) return;
  const auto self = shared_from_this();
  phase_ = Phase::kClosed;
  watch_ = Watch();
  timer_ = Watch();
  fd_.reset();
  const auto forgotten = std::exchange(on_disconnect_, nullptr);
  shared_->connections.erase(this);
}

void HttpConnection::client_gone() {
  const auto tell = std::exchange(on_disconnect_, nullptr);
  close();
  if (tell) tell();
}

void HttpConnection::set_interest(std::uint32_t events) {
  if (interest_ == events) return;
  interest_ = events;
  watch_ = Watch();  // one registration per fd: the old one goes first
  watch_ = shared_->reactor.on_fd(fd_.get(), events, [this](std::uint32_t e) { on_event(e); });
}

/// Deadlines mostly move away: the timer in place is left to fire, and then looks again. One that
/// fires in vain now and then is cheaper than one set and cancelled with every request.
void HttpConnection::set_deadline(TimePoint when) {
  deadline_ = when;
  if (deadline_ >= armed_) return;
  armed_ = deadline_;
  timer_ = shared_->reactor.at(armed_, [this] { on_timer(); });
}

void HttpConnection::on_timer() {
  const auto self = shared_from_this();
  const auto shared = shared_;
  armed_ = TimePoint::max();
  if (shared->reactor.now() < deadline_) return set_deadline(deadline_);
  if (phase_ == Phase::kReading && request_begun_ && unsent() == 0 && !broken_) {
    refuse({408, "request not complete in time"});
    flush();
    after_io();
  } else {
    client_gone();
  }
}

}  // namespace containerpilot
