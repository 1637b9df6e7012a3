#include "containerpilot/discovery/embedded_catalog.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "catalog_store.h"
#include "containerpilot/discovery/backoff.h"
#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/log.h"
#include "embedded_wire.h"
#include "go_duration.h"
#include "waiting_room.h"

namespace containerpilot::discovery {

namespace {

using namespace std::chrono_literals;

/// The Consul whose answers these resemble; clients decide by it what they may ask.
constexpr std::string_view kVersion = "1.0.4";
constexpr Duration kDefaultWait = 5min;
constexpr Duration kMaxWait = 10min;

/// Each watcher that waits holds a connection.
constexpr rlim_t kMaxConnections = 4096;

/// How many connections this process can spare, half of its descriptors being for everything else.
/// A soft limit that is too low for all of them is raised as far as allowed.
std::size_t room_for_connections() {
  constexpr rlim_t kWanted = 2 * kMaxConnections;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return kMaxConnections / 8;
  if (files.rlim_cur < kWanted) {
    const rlimit raised{std::min(kWanted, files.rlim_max), files.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
  }
  return static_cast<std::size_t>(std::min(kMaxConnections, files.rlim_cur / 2));
}

HttpServerLimits limits() {
  HttpServerLimits limits;
  limits.max_body = 256 * 1024;  // one registration
  limits.max_connections = room_for_connections();
  return limits;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

HttpServerResponse plain(int status, std::string_view text) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::string(text)};
}

HttpServerResponse json(std::string body) {
  return {200, {{"Content-Type", "application/json"}}, std::move(body)};
}

HttpServerResponse done(const Status& status) {
  if (status) return {200, {}, {}};
  switch (status.error().code()) {
    case Errc::kNotFound:
      return plain(404, status.error().text());
    case Errc::kInvalid:
      return plain(400, status.error().text());
    default:
      return plain(500, status.error().text());
  }
}

std::string text_of(std::optional<std::string_view> value) {
  return std::string(value.value_or(""));
}

/// A flag of Consul's API: "?passing", "?passing=1", "?enable=true".
bool flag(const HttpServerRequest& request, std::string_view name) {
  const auto value = request.query_value(name);
  return value && *value != "0" && *value != "false";
}

struct WaitTerms {
  std::uint64_t index = 0;
  Duration wait = kDefaultWait;
};

Result<WaitTerms> wait_terms(const HttpServerRequest& request) {
  WaitTerms terms;
  if (const auto text = request.query_value("index"); text && !text->empty()) {
    const auto [end, error] =
        std::from_chars(text->data(), text->data() + text->size(), terms.index);
    if (error != std::errc() || end != text->data() + text->size()) {
      return Error(Errc::kInvalid, "Invalid index: a number is expected");
    }
  }
  if (const auto text = request.query_value("wait"); text && !text->empty()) {
    const auto wait = parse_go_duration(*text);
    if (!wait) return Error(Errc::kInvalid, "Invalid wait time: a duration like '30s' is expected");
    if (*wait > 0s) terms.wait = std::min(*wait, kMaxWait);
  }
  return terms;
}

/// The request's question, without what says how long the answer may take.
std::string question_of(const HttpServerRequest& request) {
  std::string question = request.path;
  for (const auto& [name, value] : request.query) {
    if (name == "index" || name == "wait") continue;
    question += '\n' + name + '=' + value;
  }
  return question;
}

class Server : public EmbeddedCatalog {
 public:
  explicit Server(Reactor& reactor)
      : store_(reactor, [this](const std::string& name) { room_.wake(name); }), room_(reactor) {}

  Status listen(Reactor& reactor, const std::string& address);
  [[nodiscard]] const std::string& address() const override { return node_.listen; }

 private:
  using Responder = std::unique_ptr<HttpResponder>;
  using Handler = HttpServerResponse (Server::*)(const HttpServerRequest&, const std::string& rest);
  struct Route {
    std::string_view method;  ///< kEither: what clients older than Consul 1.0 also GET
    std::string_view path;    ///< ends in '/': a name follows
    Handler handler;
    /// What a waiting query waits for: its own service, or any change; nullopt: it never waits.
    enum class Waits : std::uint8_t { kNever, kForService, kForAny } waits = Waits::kNever;
  };
  static constexpr std::string_view kEither = "PUT, GET";
  static const std::array<Route, 22> kRoutes;

  void handle(const HttpServerRequest& request, Responder responder);
  void answer(const Route& route, const HttpServerRequest& request, const std::string& rest,
              Responder responder);
  HttpServerResponse render(const Route& route, const HttpServerRequest& request,
                            const std::string& rest);

  HttpServerResponse register_service(const HttpServerRequest& request, const std::string&);
  HttpServerResponse deregister_service(const HttpServerRequest&, const std::string& id);
  HttpServerResponse maintain_service(const HttpServerRequest& request, const std::string& id);
  HttpServerResponse register_check(const HttpServerRequest& request, const std::string&);
  HttpServerResponse deregister_check(const HttpServerRequest&, const std::string& id);
  HttpServerResponse pass_check(const HttpServerRequest& request, const std::string& id);
  HttpServerResponse warn_check(const HttpServerRequest& request, const std::string& id);
  HttpServerResponse fail_check(const HttpServerRequest& request, const std::string& id);
  HttpServerResponse update_check(const HttpServerRequest& request, const std::string& id);
  HttpServerResponse agent_services(const HttpServerRequest&, const std::string&);
  HttpServerResponse agent_service(const HttpServerRequest&, const std::string& id);
  HttpServerResponse agent_checks(const HttpServerRequest&, const std::string&);
  HttpServerResponse agent_self(const HttpServerRequest&, const std::string&);
  HttpServerResponse catalog_services(const HttpServerRequest&, const std::string&);
  HttpServerResponse catalog_service(const HttpServerRequest& request, const std::string& name);
  HttpServerResponse catalog_nodes(const HttpServerRequest&, const std::string&);
  HttpServerResponse catalog_datacenters(const HttpServerRequest&, const std::string&);
  HttpServerResponse health_service(const HttpServerRequest& request, const std::string& name);
  HttpServerResponse health_checks(const HttpServerRequest&, const std::string& name);
  HttpServerResponse health_state(const HttpServerRequest&, const std::string& state);
  HttpServerResponse status_leader(const HttpServerRequest&, const std::string&);
  HttpServerResponse status_peers(const HttpServerRequest&, const std::string&);

  NodeIdentity node_;
  CatalogStore store_;
  WaitingRoom room_;
  std::unique_ptr<HttpServer> server_;  // last: its handler uses all of the above
};

// clang-format off
const std::array<Server::Route, 22> Server::kRoutes = {{
    {"PUT", "/v1/agent/service/register", &Server::register_service},
    {kEither, "/v1/agent/service/deregister/", &Server::deregister_service},
    {"PUT", "/v1/agent/service/maintenance/", &Server::maintain_service},
    {"PUT", "/v1/agent/check/register", &Server::register_check},
    {kEither, "/v1/agent/check/deregister/", &Server::deregister_check},
    {kEither, "/v1/agent/check/pass/", &Server::pass_check},
    {kEither, "/v1/agent/check/warn/", &Server::warn_check},
    {kEither, "/v1/agent/check/fail/", &Server::fail_check},
    {"PUT", "/v1/agent/check/update/", &Server::update_check},
    {"GET", "/v1/agent/services", &Server::agent_services},
    {"GET", "/v1/agent/service/", &Server::agent_service},
    {"GET", "/v1/agent/checks", &Server::agent_checks},
    {"GET", "/v1/agent/self", &Server::agent_self},
    {"GET", "/v1/catalog/services", &Server::catalog_services, Route::Waits::kForAny},
    {"GET", "/v1/catalog/service/", &Server::catalog_service, Route::Waits::kForService},
    {"GET", "/v1/catalog/nodes", &Server::catalog_nodes, Route::Waits::kForAny},
    {"GET", "/v1/catalog/datacenters", &Server::catalog_datacenters},
    {"GET", "/v1/health/service/", &Server::health_service, Route::Waits::kForService},
    {"GET", "/v1/health/checks/", &Server::health_checks, Route::Waits::kForService},
    {"GET", "/v1/health/state/", &Server::health_state, Route::Waits::kForAny},
    {"GET", "/v1/status/leader", &Server::status_leader},
    {"GET", "/v1/status/peers", &Server::status_peers},
}};
// clang-format on

Status Server::listen(Reactor& reactor, const std::string& address) {
  auto server = listen_tcp(
      reactor, address,
      [this](const HttpServerRequest& request, Responder responder) {
        handle(request, std::move(responder));
      },
      limits());
  if (!server) return std::move(server).error();
  server_ = std::move(server).value();
  node_.name = host_name();
  node_.listen = server_->address();
  node_.address = node_.listen.substr(0, node_.listen.rfind(':'));
  if (node_.address.starts_with('['))
    node_.address = node_.address.substr(1, node_.address.size() - 2);
  return ok();
}

void Server::handle(const HttpServerRequest& request, Responder responder) {
  std::string_view allowed;
  for (const Route& route : kRoutes) {
    const bool named = route.path.ends_with('/');
    if (named ? !request.path.starts_with(route.path) || request.path.size() == route.path.size()
              : request.path != route.path) {
      continue;
    }
    const bool right_method = route.method == kEither
                                  ? request.method == "PUT" || request.method == "GET"
                                  : route.method == request.method;
    if (right_method) {
      return answer(route, request, request.path.substr(route.path.size()), std::move(responder));
    }
    allowed = route.method;
  }
  if (allowed.empty()) {
    return responder->send(
        plain(404, "404 page not found: not a part of the embedded catalog's API\n"));
  }
  HttpServerResponse refusal = plain(405, "method " + request.method + " not allowed\n");
  refusal.headers.emplace_back("Allow", allowed);
  responder->send(std::move(refusal));
}

void Server::answer(const Route& route, const HttpServerRequest& request, const std::string& rest,
                    Responder responder) {
  if (const auto dc = request.query_value("dc"); dc && !dc->empty() && *dc != kDatacenter) {
    return responder->send(plain(500, "No path to datacenter"));
  }
  if (route.waits == Route::Waits::kNever)
    return responder->send((this->*route.handler)(request, rest));
  const auto terms = wait_terms(request);
  if (!terms) return responder->send(plain(400, terms.error().text()));
  const std::string topic = route.waits == Route::Waits::kForService ? rest : std::string();
  const std::uint64_t index = topic.empty() ? store_.index() : store_.index_of(topic);
  // An index from another life of this catalog is not waited for.
  if (terms.value().index != index) return responder->send(render(route, request, rest));
  const Duration wait = terms.value().wait;
  room_.wait(topic, question_of(request), wait + random_below(wait / 16), std::move(responder),
             [this, &route, request, rest] { return render(route, request, rest); });
}

HttpServerResponse Server::render(const Route& route, const HttpServerRequest& request,
                                  const std::string& rest) {
  HttpServerResponse response = (this->*route.handler)(request, rest);
  const std::uint64_t index =
      route.waits == Route::Waits::kForService ? store_.index_of(rest) : store_.index();
  response.headers.emplace_back("X-Consul-Index", std::to_string(index));
  response.headers.emplace_back("X-Consul-Knownleader", "true");
  response.headers.emplace_back("X-Consul-Lastcontact", "0");
  return response;
}

HttpServerResponse Server::register_service(const HttpServerRequest& request, const std::string&) {
  const auto registration = decode_registration(request.body);
  if (!registration) return done(Error(registration.error()));
  return done(store_.register_service(registration.value()));
}

HttpServerResponse Server::deregister_service(const HttpServerRequest&, const std::string& id) {
  return done(store_.deregister_service(id));
}

HttpServerResponse Server::maintain_service(const HttpServerRequest& request,
                                            const std::string& id) {
  if (text_of(request.query_value("enable")).empty()) return plain(400, "Missing value for enable");
  return done(
      store_.set_maintenance(id, flag(request, "enable"), text_of(request.query_value("reason"))));
}

HttpServerResponse Server::register_check(const HttpServerRequest& request, const std::string&) {
  const auto check = decode_check_registration(request.body);
  if (!check) return done(Error(check.error()));
  return done(store_.register_check(check.value()));
}

HttpServerResponse Server::deregister_check(const HttpServerRequest&, const std::string& id) {
  return done(store_.deregister_check(id));
}

HttpServerResponse Server::pass_check(const HttpServerRequest& request, const std::string& id) {
  return done(store_.update_check(id, Health::kPassing, text_of(request.query_value("note"))));
}

HttpServerResponse Server::warn_check(const HttpServerRequest& request, const std::string& id) {
  return done(store_.update_check(id, Health::kWarning, text_of(request.query_value("note"))));
}

HttpServerResponse Server::fail_check(const HttpServerRequest& request, const std::string& id) {
  return done(store_.update_check(id, Health::kCritical, text_of(request.query_value("note"))));
}

HttpServerResponse Server::update_check(const HttpServerRequest& request, const std::string& id) {
  const auto update = decode_check_update(request.body);
  if (!update) return done(Error(update.error()));
  return done(store_.update_check(id, update.value().status, update.value().output));
}

HttpServerResponse Server::agent_services(const HttpServerRequest&, const std::string&) {
  return json(encode_agent_services(store_.services()));
}

HttpServerResponse Server::agent_service(const HttpServerRequest&, const std::string& id) {
  const auto it = store_.services().find(id);
  if (it == store_.services().end()) return plain(404, "unknown service ID: " + id);
  return json(encode_agent_service(it->second));
}

HttpServerResponse Server::agent_checks(const HttpServerRequest&, const std::string&) {
  return json(encode_agent_checks(node_, store_.services()));
}

HttpServerResponse Server::agent_self(const HttpServerRequest&, const std::string&) {
  return json(encode_agent_self(node_, kVersion));
}

HttpServerResponse Server::catalog_services(const HttpServerRequest&, const std::string&) {
  return json(encode_catalog_services(store_.services()));
}

ServiceFilter filter_of(const HttpServerRequest& request, const std::string& name) {
  ServiceFilter filter{name, {}, flag(request, "passing")};
  for (const auto& [key, value] : request.query) {
    if (key == "tag" && !value.empty()) filter.tags.push_back(value);
  }
  return filter;
}

HttpServerResponse Server::catalog_service(const HttpServerRequest& request,
                                           const std::string& name) {
  ServiceFilter filter = filter_of(request, name);
  filter.passing = false;
  return json(encode_catalog_service(node_, store_.services(), filter));
}

HttpServerResponse Server::catalog_nodes(const HttpServerRequest&, const std::string&) {
  return json(encode_catalog_nodes(node_));
}

HttpServerResponse Server::catalog_datacenters(const HttpServerRequest&, const std::string&) {
  return json("[\"" + std::string(kDatacenter) + "\"]\n");
}

HttpServerResponse Server::health_service(const HttpServerRequest& request,
                                          const std::string& name) {
  return json(encode_health_service(node_, store_.services(), filter_of(request, name)));
}

HttpServerResponse Server::health_checks(const HttpServerRequest&, const std::string& name) {
  return json(encode_health_checks(node_, store_.services(), name));
}

HttpServerResponse Server::health_state(const HttpServerRequest&, const std::string& state) {
  if (state != "any" && !parse_health(state)) {
    return plain(400, "Invalid state '" + state + "': expected any, passing, warning or critical");
  }
  return json(encode_health_state(node_, store_.services(), state));
}

HttpServerResponse Server::status_leader(const HttpServerRequest&, const std::string&) {
  return json("\"" + node_.listen + "\"\n");
}

HttpServerResponse Server::status_peers(const HttpServerRequest&, const std::string&) {
  return json("[\"" + node_.listen + "\"]\n");
}

}  // namespace

Result<std::unique_ptr<EmbeddedCatalog>> EmbeddedCatalog::start(Reactor& reactor,
                                                                const EmbeddedSpec& spec) {
  auto server = std::make_unique<Server>(reactor);
  if (Status status = server->listen(reactor, spec.listen); !status) {
    return std::move(status).error().during("cannot start the embedded catalog");
  }
  log_info("discovery", "embedded catalog listens on " + server->address() +
                            ": it knows only the services of agents that use this address");
  return std::unique_ptr<EmbeddedCatalog>(std::move(server));
}

}  // namespace containerpilot::discovery
