#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot {

using Headers = std::vector<std::pair<std::string, std::string>>;
/// First header of that name, compared without case; null when absent.
const std::string* find_header(const Headers& headers, std::string_view name);

// ---- server: control socket and embedded catalog ----

struct HttpServerRequest {
  std::string method;                                      ///< upper case
  std::string target;                                      ///< as sent
  std::string path;                                        ///< percent-decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  ///< decoded, in order
  Headers headers;
  std::string body;
  /// First value of that name; nullopt when absent ("?passing" gives "").
  [[nodiscard]] std::optional<std::string_view> query_value(std::string_view name) const;
};

struct HttpServerResponse {
  int status = 200;
  Headers headers;  ///< Content-Length, Connection and Date are the server's
  std::string body;
};

/// The one answer to one request. May be kept and sent later (long poll), or streamed. If the
/// client goes away or the server is destroyed first, sending does nothing; dropping it unanswered
/// sends 500.
class HttpResponder {
 public:
  HttpResponder() = default;
  HttpResponder(const HttpResponder&) = delete;
  HttpResponder& operator=(const HttpResponder&) = delete;
  virtual ~HttpResponder() = default;
  virtual void send(HttpServerResponse response) = 0;
  /// Starts a chunked answer; write() appends; destroying the responder ends it.
  virtual void start_stream(HttpServerResponse head) = 0;
  /// False, and `data` is not taken, once the client is gone or more than the write limit is
  /// waiting to be sent.
  virtual bool write(std::string_view data) = 0;
  /// Runs `fn` once if the client closes before the answer is complete. Never runs it inside a
  /// call.
  virtual void on_disconnect(std::function<void()> fn) = 0;
};

using HttpHandler = std::function<void(HttpServerRequest, std::unique_ptr<HttpResponder>)>;

struct HttpServerLimits {
  std::size_t max_header = 16 * 1024;
  std::size_t max_body = 4 * 1024 * 1024;
  std::size_t max_connections = 1024;  ///< the next one is answered 503 and closed
  std::size_t max_pending_write = 4 * 1024 * 1024;
  Duration header_timeout = std::chrono::seconds(10);
  Duration body_timeout =
      std::chrono::seconds(30);  ///< also: for a client to take the next piece of an answer
  Duration idle_timeout = std::chrono::seconds(60);  ///< between requests of one connection
  /// False: a connection ends with its answer unless the client sent "Connection: keep-alive".
  bool keep_alive_unasked = true;
};

/// Strict HTTP/1.1 server on the loop: keep-alive, chunked bodies, pipelining answered in order.
/// Refuses (400 and close): no or two Host headers, Content-Length with Transfer-Encoding, two
/// lengths, bad characters. Destroying it closes everything at once.
class HttpServer {
 public:
  HttpServer() = default;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  virtual ~HttpServer() = default;
  /// "127.0.0.1:8500" with the real port, or the socket's path.
  [[nodiscard]] virtual const std::string& address() const = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// Stops accepting; answers under way get until `deadline`, then everything is closed.
  virtual void drain(Duration deadline) = 0;
};

/// `address` is "host:port" with a literal IP ("[::1]:0", "127.0.0.1:8500"). Errors: kInvalid, kIo
/// (errno kept).
Result<std::unique_ptr<HttpServer>> listen_tcp(Reactor& reactor, const std::string& address,
                                               HttpHandler handler, HttpServerLimits limits = {});
/// `mode` are the permission bits of the socket file. A stale socket nobody listens on is replaced;
/// a live one or a file of another kind is an error (kUnavailable / kInvalid). Removed on
/// destruction if it is still ours. No Host header is demanded here.
Result<std::unique_ptr<HttpServer>> listen_unix(Reactor& reactor, const std::string& path,
                                                unsigned mode, HttpHandler handler,
                                                HttpServerLimits limits = {});

// ---- client ----

struct HttpTls {
  /// PEM files; all certificates in the files of the folder `ca_path` count, whatever their names.
  /// A CA given here replaces those of the system. `server_name` is what is asked for
  /// (SNI) and looked for in the certificate instead of the url's host.
  std::string ca_file, ca_path, client_cert, client_key, server_name;
  bool verify = true;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;          ///< http or https
  std::string unix_socket;  ///< connect here instead; the url's host is only sent
  Headers headers;
  std::string body;
  /// Everything, from the call to the last byte; 0: no limit.
  Duration timeout = std::chrono::seconds(10);
  Duration connect_timeout = std::chrono::seconds(5);
  std::size_t max_body = 8 * 1024 * 1024;  ///< a longer answer is an error; on_data has no limit
  HttpTls tls;
  /// Streaming: gets each piece of the body as it comes; the response's body then stays empty.
  /// Return false to end the call (it completes with kUnavailable).
  std::function<bool(std::string_view)> on_data;
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;
  bool multiplexed = false;  ///< its connection carries many calls at once (HTTP/2)
};

/// Runs HTTP calls on the loop, never blocking it. Calls of one client share a connection pool;
/// one too many waits for a connection, unless its server was seen to speak HTTP/2 (over TLS only).
class HttpClient {
 public:
  using Callback = std::function<void(Result<HttpResponse>)>;
  HttpClient() = default;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  virtual ~HttpClient() = default;
  /// `done` runs once, later, on the loop. Any HTTP status is a value; errors (kTimeout,
  /// kUnavailable: no answer, kIo: one that broke off, is too long or no HTTP, kInvalid: the
  /// request) say the address and why. Dropping the watch cancels: `done` is
  /// then never called.
  virtual Watch request(HttpRequest request, Callback done) = 0;
};

struct Address {
  std::string ip;  ///< textual
  std::uint16_t port = 0;
  friend bool operator==(const Address&, const Address&) = default;
  friend auto operator<=>(const Address&, const Address&) = default;
};

/// Names to addresses without blocking: hosts file, resolv.conf, search domains (c-ares on the
/// loop).
class Resolver {
 public:
  using Callback = std::function<void(Result<std::vector<Address>>)>;
  Resolver() = default;
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  virtual ~Resolver() = default;
  /// `done` runs once, later, on the loop; never after its watch is dropped. A and AAAA, to connect
  /// to: one family is enough when the other is late or fails. A literal IP answers with itself,
  /// "localhost" with the loopback addresses. Errors: kInvalid (not a name), kNotFound, kTimeout,
  /// kUnavailable.
  virtual Watch resolve(const std::string& host, std::uint16_t port, Duration timeout,
                        Callback done) = 0;
  /// As resolve(), but complete or an error: what one family failed to tell must not look as if it
  /// were gone.
  virtual Watch resolve_all(const std::string& host, std::uint16_t port, Duration timeout,
                            Callback done) = 0;
  /// SRV, then the addresses of the targets: best priority first, each with its record's port.
  /// Complete or an error: an instance must not vanish because its name was slow.
  virtual Watch resolve_srv(const std::string& name, Duration timeout, Callback done) = 0;
};

struct ResolverOptions {
  std::vector<std::string> servers;  ///< "ip:port"; empty: those of resolv.conf
  std::string hosts_file = "/etc/hosts";
};
/// resolv.conf and the hosts file are read at each lookup, so changes count at once. Lookups do not
/// depend on the resolver once begun. Errors: kInvalid (bad server address).
Result<std::unique_ptr<Resolver>> make_resolver(Reactor& reactor, ResolverOptions options = {});

/// `max_connections` bounds the pool (further calls queue). The resolver must outlive the client.
/// Redirects are answers like others; proxies named in the environment are not used. Names are kept
/// for half a minute, longer only while DNS gives no answer, and asked again after a failed
/// connection.
Result<std::unique_ptr<HttpClient>> make_http_client(Reactor& reactor, Resolver& resolver,
                                                     std::size_t max_connections);

}  // namespace containerpilot
