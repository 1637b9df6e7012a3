#include "consul_catalog.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <memory>
#include <utility>

#include "consul_wire.h"
#include "containerpilot/supervisor/log.h"
#include "etcd_wire.h"
#include "shown_url.h"

namespace containerpilot::discovery {

namespace {

using namespace std::chrono_literals;

constexpr Duration kCallTimeout = 5s;
constexpr Duration kConnectTimeout = 3s;
constexpr Duration kMinBeatTimeout = 1s;

/// Of a table only the index is of use; a long one costs more than it saves.
constexpr std::size_t kMaxTable = 64 * 1024;

/// Consul adds up to a sixteenth to a wait, so that its clients do not come back together.
Duration answer_time(Duration wait) { return wait + wait / 16 + kCallTimeout; }

/// The beginning of a body, fit for one line of a log.
std::string excerpt(std::string_view body) {
  constexpr std::size_t kShown = 200;
  std::string text(body.substr(0, kShown));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

Errc code_of(int status) {
  if (status == 404) return Errc::kNotFound;
  if (status == 401 || status == 403) return Errc::kDenied;
  return status >= 400 && status < 500 ? Errc::kInvalid : Errc::kUnavailable;
}

/// Says that Consul does not answer, in its place.
bool from_a_proxy(const HttpResponse& response) {
  return response.status >= 502 && response.status <= 504;
}

std::uint64_t index_of(const HttpResponse& response) {
  const std::string* text = find_header(response.headers, "X-Consul-Index");
  std::uint64_t index = 0;
  if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), index);
  return index;
}

}  // namespace

ConsulCatalog::ConsulCatalog(Reactor& reactor, ConsulSpec spec, std::string name, HttpClient& calls,
                             HttpClient& polls)
    : Catalog(reactor, std::move(name)),
      spec_(std::move(spec)),
      base_url_(spec_.unix_socket ? "http://localhost" : spec_.scheme + "://" + spec_.address),
      token_file_(reactor, spec_.token_file),
      calls_(calls),
      polls_(polls) {}

HttpRequest ConsulCatalog::make_request(std::string_view method, const std::string& target,
                                        std::string body) {
  HttpRequest request;
  request.method = method;
  request.url = base_url_ + target;
  if (spec_.unix_socket) request.unix_socket = spec_.address;
  const std::string& from_file = token_file_.text();
  const std::string& token = from_file.empty() ? spec_.token : from_file;
  if (!token.empty()) request.headers.emplace_back("X-Consul-Token", token);
  if (!spec_.http_auth.empty())
    request.headers.emplace_back("Authorization", "Basic " + base64_encode(spec_.http_auth));
  if (!spec_.name_space.empty())
    request.headers.emplace_back("X-Consul-Namespace", spec_.name_space);
  if (!spec_.partition.empty()) request.headers.emplace_back("X-Consul-Partition", spec_.partition);
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  request.timeout = kCallTimeout;
  request.connect_timeout = kConnectTimeout;
  request.tls = {spec_.tls.ca_file,    spec_.tls.ca_path,     spec_.tls.client_cert,
                 spec_.tls.client_key, spec_.tls.server_name, spec_.tls.verify};
  return request;
}

Result<HttpResponse> ConsulCatalog::check(Result<HttpResponse> response, const std::string& what,
                                          const std::string& target) const {
  if (!response) return std::move(response).error().during(what);
  const int status = response.value().status;
  if (status == 200) return response;
  const std::string body = excerpt(response.value().body);
  return Error(code_of(status), what + ": " + shown_url(base_url_) + target + " answered " +
                                    std::to_string(status) + (body.empty() ? "" : ": " + body));
}

Watch ConsulCatalog::register_service(const ServiceSpec& service, Health health, Done done) {
  const std::string target = "/v1/agent/service/register";
  return calls_.request(make_request("PUT", target, encode_registration(service, health)),
                        [this, target, what = "cannot register '" + service.id + "'",
                         done = std::move(done)](Result<HttpResponse> response) {
                          auto checked = check(std::move(response), what, target);
                          done(checked ? ok() : Status(std::move(checked).error()));
                        });
}

Watch ConsulCatalog::update(const ServiceSpec& service, Health health, const std::string& output,
                            Done done) {
  ServiceSpec known = service;
  if (unnamed_checks_.contains(service.id)) known.check_id.clear();
  Beat beat = encode_beat(known, health, output);
  const std::string target = beat.target;
  HttpRequest request = make_request("PUT", target, std::move(beat.body));
  // A beat that hangs must be given up while the next ones can still save the entry.
  if (service.ttl > 0s)
    request.timeout = std::clamp(service.ttl / 2, kMinBeatTimeout, kCallTimeout);
  return calls_.request(std::move(request),
                        [this, target, what = "cannot update '" + service.id + "'",
                         done = std::move(done)](Result<HttpResponse> response) {
                          const bool answered = response && !from_a_proxy(response.value());
                          auto checked = check(std::move(response), what, target);
                          if (checked) {
                            done(ok());
                          } else if (answered) {
                            // Consul says 500 or 404, by version, when it does not know the check.
                            // Whatever is wrong with this entry, registering it anew puts it right
                            // or tells what the matter is.
                            done(Error(Errc::kNotFound, checked.error().text()));
                          } else {
                            done(std::move(checked).error());
                          }
                        });
}

Watch ConsulCatalog::deregister(const ServiceSpec& service, Done done) {
  const std::string target = "/v1/agent/service/deregister/" + percent_encode(service.id);
  return calls_.request(make_request("PUT", target),
                        [this, target, what = "cannot deregister '" + service.id + "'",
                         done = std::move(done)](Result<HttpResponse> response) {
                          auto checked = check(std::move(response), what, target);
                          const bool gone = checked || checked.error().code() == Errc::kNotFound;
                          done(gone ? ok() : Status(std::move(checked).error()));
                        });
}

Watch ConsulCatalog::own_entries(OwnEntriesDone done) {
  // Two calls behind one another: the returned watch cancels whichever is under way.
  const auto step = std::make_shared<Watch>();
  const auto get = [this](const std::string& target,
                          std::function<void(Result<std::string>)> next) {
    return calls_.request(make_request("GET", target),
                          [this, target, next = std::move(next)](Result<HttpResponse> response) {
                            const bool answered = response && !from_a_proxy(response.value());
                            auto checked =
                                check(std::move(response), "cannot read own entries", target);
                            if (checked) {
                              next(std::move(checked).value().body);
                            } else {
                              next(answered ? Error(Errc::kNotFound, checked.error().text())
                                            : std::move(checked).error());
                            }
                          });
  };
  // It answers, only not with what we understand: that is no outage, and beats go on.
  const auto cannot_tell = [this](const Error& error, const std::string& target) {
    return Error(Errc::kNotFound, "cannot read the answer of " + shown_url(base_url_) + target +
                                      ": " + error.text());
  };
  *step = get("/v1/agent/services", [this, get, cannot_tell, step = std::weak_ptr(step),
                                     done = std::move(done)](Result<std::string> services_body) {
    if (!services_body) return done(std::move(services_body).error());
    auto services = decode_agent_services(services_body.value());
    if (!services) return done(cannot_tell(services.error(), "/v1/agent/services"));
    const auto alive = step.lock();
    if (!alive) return;
    *alive = get("/v1/agent/checks", [this, cannot_tell, services = std::move(services).value(),
                                      done](Result<std::string> checks_body) {
      if (!checks_body) return done(std::move(checks_body).error());
      const auto checks = decode_agent_checks(checks_body.value());
      if (!checks) return done(cannot_tell(checks.error(), "/v1/agent/checks"));
      unnamed_checks_ = unnamed_checks(checks.value());
      done(merge_own_entries(services, checks.value()));
    });
  });
  return Watch([step] { *step = Watch(); });
}

Watch ConsulCatalog::query(const Query& query, std::uint64_t index, Duration wait, QueryDone done) {
  const std::string target = health_query_target(query, index, wait);
  HttpRequest request = make_request("GET", target);
  if (index != 0) request.timeout = answer_time(wait);
  const auto finish = [this, target, query, what = "cannot watch '" + query.service + "'",
                       done = std::move(done)](Result<HttpResponse> response) {
    const int status = response ? response.value().status : 0;
    if (response) multiplexed_ = response.value().multiplexed;
    auto checked = check(std::move(response), what, target);
    // 500 is also what Consul says of a datacenter it cannot reach, or while it has no leader: that
    // question has no answer, but Consul is there, and nothing else must wait for it. The same goes
    // for one answer that broke off or is too long.
    if (!checked && (status >= 500 || checked.error().code() == Errc::kIo))
      return done(Error(Errc::kInternal, checked.error().text()));
    if (!checked) return done(std::move(checked).error());
    // Most answers are the last one once more, and reading it costs more than all the rest.
    const std::string& body = checked.value().body;
    const std::size_t content = std::hash<std::string_view>()(body);
    const std::uint64_t new_index = index_of(checked.value());
    if (content == query.known) return done(Snapshot{new_index, {}, content, /*same=*/true});
    auto answer = decode_health_service(body);
    if (!answer) {
      return done(Error(Errc::kInvalid, what + ": cannot read the answer of " +
                                            shown_url(base_url_) + target + ": " +
                                            answer.error().text()));
    }
    tell_left_out(query, answer.value().left_out);
    done(Snapshot{new_index, std::move(answer.value().instances), content});
  };
  return polls_.request(std::move(request), finish);
}

void ConsulCatalog::tell_left_out(const Query& query, const std::vector<std::string>& left_out) {
  const std::string question = health_query_target(query, 0, Duration{0});
  if (left_out.empty()) {
    left_out_.erase(question);
    return;
  }
  if (std::exchange(left_out_[question], left_out) == left_out) return;
  constexpr std::size_t kShown = 5;
  std::string list;
  for (std::size_t i = 0; i < std::min(left_out.size(), kShown); ++i) {
    list += (i == 0 ? "" : ", ") + left_out[i];
  }
  if (left_out.size() > kShown)
    list += " and " + std::to_string(left_out.size() - kShown) + " more";
  log_warn("discovery",
           "instances of '" + query.service + "' have a port that is no TCP port: " + list +
               ", ignoring",
           {{"service", std::string_view(query.service)}});
}

Watch ConsulCatalog::table_index(Table table, std::uint64_t index, Duration wait, IndexDone done) {
  const std::string target = table_target(table, index, wait);
  HttpRequest request = make_request("GET", target);
  if (index != 0) request.timeout = answer_time(wait);
  request.max_body = kMaxTable;
  return polls_.request(
      std::move(request), [this, target, done = std::move(done)](Result<HttpResponse> response) {
        auto checked = check(std::move(response), "cannot watch the whole catalog", target);
        if (!checked) return done(std::move(checked).error());
        done(index_of(checked.value()));
      });
}

}  // namespace containerpilot::discovery
