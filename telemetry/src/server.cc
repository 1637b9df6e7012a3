#include "containerpilot/telemetry/server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <strings.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/log.h"
#include "event_feed.h"
#include "gzip.h"
#include "negotiate.h"
#include "scrape_metrics.h"
#include "tls_certificate.h"

namespace containerpilot::telemetry {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kCompressFrom = 1024;
constexpr std::size_t kDrainAtMost = 64 * 1024;
constexpr std::chrono::seconds kDrainTime{1};
constexpr std::chrono::seconds kHeartbeat{5};
constexpr std::size_t kHeadRoom = 1024;  // the head of a scrape's answer has a third of it
constexpr std::size_t kKeptBuffers = 2;
constexpr std::size_t kKeptSize = 1024 * 1024;

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 411:
      return "Length Required";
    case 413:
      return "Payload Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

bool same_name(const char* name, const char* expected) { return strcasecmp(name, expected) == 0; }

/// Takes the same time wherever the first difference is.
bool equal_secrets(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^
                  static_cast<unsigned char>(b[i % std::max<std::size_t>(b.size(), 1)]);
  }
  return difference == 0;
}

/// The headers that matter, and what is wrong with the request as a whole.
struct Request {
  explicit Request(mg_connection* connection) : info(*mg_get_request_info(connection)) {
    for (int i = 0; i < info.num_headers; ++i) {
      const auto& [name, value] = info.http_headers[i];
      if (same_name(name, "Host")) ++hosts;
      if (same_name(name, "Content-Length")) {
        ++lengths;
        has_body = has_body || std::strcmp(value, "0") != 0;
      }
      if (same_name(name, "Transfer-Encoding")) chunked = has_body = true;
      if (same_name(name, "Accept")) accept += (accept.empty() ? "" : ",") + std::string(value);
      if (same_name(name, "Accept-Encoding")) accept_encoding = value;
      if (same_name(name, "Authorization")) authorization = value;
      if (same_name(name, "Last-Event-ID")) last_event_id = value;
    }
    method = info.request_method;
    path = info.local_uri_raw != nullptr ? info.local_uri_raw : "";
    query = info.query_string != nullptr ? info.query_string : "";
    const bool needs_host = std::strcmp(info.http_version, "1.1") == 0;
    malformed = hosts > 1 || (needs_host && hosts == 0) || lengths > 1 || (lengths > 0 && chunked);
  }

  const mg_request_info& info;
  std::string_view method, path, query;
  std::string accept;
  std::string_view accept_encoding, authorization, last_event_id;
  int hosts = 0, lengths = 0;
  bool chunked = false, has_body = false, malformed = false;
};

/// Buffers of finished answers, kept so that each scrape does not grow a new one.
class Buffers {
 public:
  std::string take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return {};
    std::string buffer = std::move(free_.back());
    free_.pop_back();
    buffer.clear();
    return buffer;
  }
  void give(std::string buffer) {
    const std::lock_guard lock(mutex_);
    if (free_.size() < kKeptBuffers && buffer.capacity() <= kKeptSize)
      free_.push_back(std::move(buffer));
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> free_;
};

class CivetServer final : public MetricsServer {
 public:
  CivetServer(const ServerSpec& spec, Registry& registry, Documents& documents,
              BeforeAnswer before_answer, EventFeed* events)
      : spec_(spec),
        registry_(registry),
        documents_(documents),
        before_answer_(std::move(before_answer)),
        events_(events),
        metrics_(registry) {}

  CivetServer(const CivetServer&) = delete;
  CivetServer& operator=(const CivetServer&) = delete;
  ~CivetServer() override {
    stopping_ = true;
    if (events_ != nullptr) events_->impl().wake();
    if (context_ != nullptr) mg_stop(context_);
    if (library_) mg_exit_library();
  }

  Status listen();
  [[nodiscard]] std::uint16_t port() const override { return port_; }

 private:
  static int on_request(mg_connection* connection);
  static int on_ssl(void* context, void* self);
  static int on_error(mg_connection* connection, int status, const char* text);
  static int on_log(const mg_connection* connection, const char* message);

  void answer(mg_connection* connection, const Request& request);
  void answer_scrape(mg_connection* connection, const Request& request);
  void answer_document(mg_connection* connection, const Request& request, const Document& document);
  void answer_events(mg_connection* connection, const Request& request);
  [[nodiscard]] bool authorized(const Request& request) const;
  [[nodiscard]] std::shared_ptr<const Document> find_document(const Request& request) const;

  const ServerSpec spec_;
  Registry& registry_;
  Documents& documents_;
  const BeforeAnswer before_answer_;
  EventFeed* const events_;
  ScrapeMetrics metrics_;
  Buffers buffers_;
  std::unique_ptr<TlsCertificate> certificate_;
  bool library_ = false;
  mg_context* context_ = nullptr;
  std::uint16_t port_ = 0;
  std::mutex start_mutex_;
  std::string
      start_error_;  // the first thing civetweb logged: why it does not start, if it does not
  std::atomic<int> listeners_{0};
  std::atomic<bool> stopping_{false};
};

std::string head_of(int status, std::string_view type, std::string_view extra, std::size_t length) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  head.append(reason(status)).append("\r\nContent-Type: ").append(type);
  head += "\r\nContent-Length: " + std::to_string(length);
  head.append("\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n")
      .append(extra)
      .append("\r\n");
  return head;
}

/// One write for all of it: each wakes whoever reads.
void send(mg_connection* connection, std::string head, std::string_view body) {
  head += body;
  mg_write(connection, head.data(), head.size());
}

void refuse(mg_connection* connection, int status, std::string_view text,
            std::string_view extra = {}) {
  send(connection, head_of(status, "text/plain; charset=utf-8", extra, text.size()), text);
}

bool CivetServer::authorized(const Request& request) const {
  if (spec_.bearer_token.empty()) return true;
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view header = request.authorization;
  return header.size() > kScheme.size() &&
         strncasecmp(header.data(), kScheme.data(), kScheme.size()) == 0 &&
         equal_secrets(header.substr(kScheme.size()), spec_.bearer_token);
}

int CivetServer::on_request(mg_connection* connection) {
  auto& self = *static_cast<CivetServer*>(mg_get_user_data(mg_get_context(connection)));
  // Closes without reading on: what is left of a body is not drained, however long it is.
  mg_disable_keep_alive(connection);
  const Request request(connection);
  self.answer(connection, request);
  return 1;
}

std::shared_ptr<const Document> CivetServer::find_document(const Request& request) const {
  std::shared_ptr<const Document> document;
  if (!request.query.empty()) {
    document = documents_.find(std::string(request.path) + "?" + std::string(request.query));
  }
  return document ? document : documents_.find(request.path);
}

void CivetServer::answer(mg_connection* connection, const Request& request) {
  if (request.malformed) return refuse(connection, 400, "Bad Request\n");
  if (request.has_body) {
    refuse(connection, 413, "Payload Too Large\n");
    // A little is read, so that a client that is still writing gets to see the answer before the
    // reset.
    std::array<char, 4096> sink;
    const auto until = Clock::now() + kDrainTime;
    for (std::size_t drained = 0; drained < kDrainAtMost && Clock::now() < until;) {
      const int got = mg_read(connection, sink.data(), sink.size());
      if (got <= 0) break;
      drained += static_cast<std::size_t>(got);
    }
    return;
  }
  const bool scrape = request.path == spec_.metrics_path;
  const bool events = events_ != nullptr && request.path == "/events";
  std::shared_ptr<const Document> document;
  if (!scrape && !events) document = find_document(request);
  const bool probe = request.path == "/healthz" || request.path == "/readyz";
  if (!probe && !(document && document->open) && !authorized(request)) {
    return refuse(connection, 401, "Unauthorized\n", "WWW-Authenticate: Bearer\r\n");
  }
  if (!scrape && !events && !document) return refuse(connection, 404, "404 page not found\n");
  if (request.method != "GET" && request.method != "HEAD") {
    return refuse(connection, 405, "Method Not Allowed\n", "Allow: GET, HEAD\r\n");
  }
  if (scrape) return answer_scrape(connection, request);
  if (events) return answer_events(connection, request);
  if (before_answer_ && request.path != "/healthz") {
    before_answer_(/*scrape=*/false);
    if (auto fresh = find_document(request)) document = std::move(fresh);
  }
  answer_document(connection, request, *document);
}

void CivetServer::answer_scrape(mg_connection* connection, const Request& request) {
  const auto start = Clock::now();
  if (before_answer_) before_answer_(/*scrape=*/true);
  const TextFormat format = choose_format(request.accept);
  std::string out = buffers_.take();
  out.resize(kHeadRoom);  // the head is known last, and not worth moving megabytes for
  std::string_view extra = "Vary: Accept, Accept-Encoding\r\n";
  if (accepts_gzip(request.accept_encoding) && registry_.render_gzip(format, out)) {
    extra = "Vary: Accept, Accept-Encoding\r\nContent-Encoding: gzip\r\n";
  } else {
    registry_.render(format, out);
  }
  const std::size_t bytes = out.size() - kHeadRoom;
  const std::string head = head_of(200, content_type(format), extra, bytes);
  const std::size_t begin = kHeadRoom - head.size();
  out.replace(begin, head.size(), head);
  const bool head_only = request.method == "HEAD";
  mg_write(connection, out.data() + begin, head_only ? head.size() : out.size() - begin);
  metrics_.record(request.method, format, bytes, Clock::now() - start);
  buffers_.give(std::move(out));
}

void CivetServer::answer_document(mg_connection* connection, const Request& request,
                                  const Document& document) {
  std::string packed;
  std::string_view body = document.constant_body.empty() ? document.body : document.constant_body;
  std::string extra = "Cache-Control: no-cache\r\n" + document.headers;
  if (body.size() >= kCompressFrom) {
    extra += "Vary: Accept-Encoding\r\n";
    GzipPart part;
    if (accepts_gzip(request.accept_encoding) && GzipPacker().pack(body, part)) {
      GzipJoin join(packed);
      join.add(part);
      join.finish();
      body = packed;
      extra += "Content-Encoding: gzip\r\n";
    }
  }
  send(connection, head_of(document.status, document.content_type, extra, body.size()),
       request.method == "HEAD" ? std::string_view() : body);
}

void CivetServer::answer_events(mg_connection* connection, const Request& request) {
  if (listeners_.fetch_add(1) >= kMaxListeners) {
    listeners_.fetch_sub(1);
    return refuse(connection, 503, "too many listeners, poll /status instead\n",
                  "Retry-After: 10\r\n");
  }
  constexpr std::string_view kHead =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
      "Connection: close\r\nX-Content-Type-Options: nosniff\r\n\r\nretry: 2000\n\n";
  EventFeed::Impl& feed = events_->impl();
  std::uint64_t seen = feed.newest();
  if (!request.last_event_id.empty())
    seen = std::strtoull(request.last_event_id.data(), nullptr, 10);
  std::string out(kHead);
  while (!stopping_) {
    if (mg_write(connection, out.data(), out.size()) != static_cast<int>(out.size())) break;
    if (request.method == "HEAD") break;
    out.clear();
    feed.wait(seen, kHeartbeat, stopping_, out);
    if (out.empty()) out = ":\n\n";  // finds out whether the listener is still there
  }
  listeners_.fetch_sub(1);
}

int CivetServer::on_ssl(void* context, void* self) {
  static_cast<CivetServer*>(self)->certificate_->install(static_cast<SSL_CTX*>(context));
  return 1;
}

int CivetServer::on_error(mg_connection* connection, int status, const char* /*text*/) {
  mg_disable_keep_alive(connection);
  refuse(connection, status, std::string(reason(status)) + "\n");
  return 0;
}

int CivetServer::on_log(const mg_connection* connection, const char* message) {
  auto& self = *static_cast<CivetServer*>(mg_get_user_data(mg_get_context(connection)));
  {
    const std::lock_guard lock(self.start_mutex_);
    if (self.start_error_.empty()) self.start_error_ = message;
  }
  // Nearly all of it is about what strangers send: not worth more.
  log_debug("telemetry", message);
  return 1;
}

Status CivetServer::listen() {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  const bool v4 = ::inet_pton(AF_INET, spec_.listen.c_str(), address.data()) == 1;
  const bool v6 = ::inet_pton(AF_INET6, spec_.listen.c_str(), address.data()) == 1;
  if (!v4 && !v6) {
    return Error(Errc::kInvalid,
                 "cannot serve metrics on '" + spec_.listen + "': an IP address is expected");
  }
  const bool tls = !spec_.tls.cert_file.empty();
  // "+port" is how civetweb spells "::" with IPv4 included, which is what others mean by "::".
  std::string port =
      spec_.listen == "::" ? "+" : (v6 ? "[" + spec_.listen + "]:" : spec_.listen + ":");
  const std::string shown =
      (v6 ? "[" + spec_.listen + "]:" : spec_.listen + ":") + std::to_string(spec_.port);
  port += std::to_string(spec_.port) + (tls ? "s" : "");
  if (tls) {
    auto certificate = TlsCertificate::load(spec_.tls);
    if (!certificate)
      return std::move(certificate).error().during("cannot serve metrics on '" + shown + "'");
    certificate_ = std::move(certificate).value();
  }

  const std::string workers = std::to_string(kWorkers);
  std::vector<const char*> options;
  const auto set = [&](const char* name, const char* value) {
    options.push_back(name);
    options.push_back(value);
  };
  set("listening_ports", port.c_str());
  set("num_threads", workers.c_str());
  set("request_timeout_ms",
      "1000");  // bounds the header as a whole, and each wait of a read or write
  set("enable_keep_alive", "no");
  set("connection_queue", "64");
  set("listen_backlog", "1024");
  set("tcp_nodelay", "1");
  set("decode_url", "no");
  set("enable_auth_domain_check", "no");
  set("access_control_allow_origin", "");
  options.push_back(nullptr);
  mg_callbacks callbacks{};
  callbacks.begin_request = &CivetServer::on_request;
  callbacks.http_error = &CivetServer::on_error;
  callbacks.log_message = &CivetServer::on_log;
  if (tls) callbacks.init_ssl = &CivetServer::on_ssl;
  mg_init_library(tls ? MG_FEATURES_TLS : MG_FEATURES_DEFAULT);
  library_ = true;
  std::array<char, 256> text{};
  unsigned code = 0;
  mg_init_data init{&callbacks, this, options.data()};
  mg_error_data error{&code, text.data(), text.size()};
  context_ = mg_start2(&init, &error);
  if (context_ == nullptr) {
    const std::string why = start_error_.empty() ? text.data() : start_error_;
    return Error(Errc::kIo, "cannot serve metrics on '" + shown + "': " + why);
  }
  mg_server_port bound{};
  if (mg_get_server_ports(context_, 1, &bound) == 1) port_ = static_cast<std::uint16_t>(bound.port);
  return ok();
}

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const ServerSpec& spec,
                                                            Registry& registry,
                                                            Documents& documents,
                                                            BeforeAnswer before_answer,
                                                            EventFeed* events) {
  auto server =
      std::make_unique<CivetServer>(spec, registry, documents, std::move(before_answer), events);
  if (auto status = server->listen(); !status) return std::move(status).error();
  return std::unique_ptr<MetricsServer>(std::move(server));
}

}  // namespace containerpilot::telemetry
