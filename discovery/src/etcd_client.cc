#include "etcd_client.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "etcd_wire.h"
#include "shown_url.h"

namespace containerpilot::discovery {

namespace {

using namespace std::chrono_literals;

/// Newest first; 3.4 has all three, 3.3 lacks the first, 3.2 has the last alone.
constexpr std::array<std::string_view, 3> kVersions = {"/v3", "/v3beta", "/v3alpha"};
constexpr Duration kTimeout = 5s;
constexpr Duration kTimeoutOfOne = 2s;  // with others to try

// gRPC status codes.
constexpr std::uint64_t kGrpcCancelled = 1;  // by a member that shuts down
constexpr std::uint64_t kGrpcDeadlineExceeded = 4;
constexpr std::uint64_t kGrpcNotFound = 5;
constexpr std::uint64_t kGrpcPermissionDenied = 7;
constexpr std::uint64_t kGrpcResourceExhausted = 8;
constexpr std::uint64_t kGrpcFailedPrecondition = 9;
constexpr std::uint64_t kGrpcInternal = 13;
constexpr std::uint64_t kGrpcUnavailable = 14;
constexpr std::uint64_t kGrpcUnauthenticated = 16;

/// Another endpoint may do it, or this one later.
Errc code_of(int status) {
  return status == 408 || status == 429 || status >= 500 ? Errc::kUnavailable : Errc::kInvalid;
}

bool says(const EtcdRefusal& refusal, std::string_view text) {
  return refusal.message.find(text) != std::string::npos;
}

Errc code_of(const EtcdRefusal& refusal, int status) {
  if (says(refusal, "authentication failed")) return Errc::kDenied;
  switch (refusal.code) {
    case kGrpcNotFound:
      return Errc::kNotFound;
    case kGrpcPermissionDenied:
    case kGrpcUnauthenticated:
      return Errc::kDenied;
    case kGrpcCancelled:
    case kGrpcDeadlineExceeded:
    case kGrpcResourceExhausted:
    case kGrpcInternal:
    case kGrpcUnavailable:
      return Errc::kUnavailable;
    default:
      return code_of(status);
  }
}

/// The token is too old, or there is none and etcd wants one. As etcd's own clientv3 sees it.
bool wants_login(const EtcdRefusal& refusal) {
  return refusal.code == kGrpcUnauthenticated || says(refusal, "user name is empty") ||
         says(refusal, "revision of auth store is old");
}

bool authentication_is_off(const EtcdRefusal& refusal) {
  return refusal.code == kGrpcFailedPrecondition && says(refusal, "authentication is not enabled");
}

}  // namespace

struct EtcdClient::Call {
  std::string path, body;
  Done done;
  Watch step;
  std::size_t endpoint = 0, version = 0;  ///< asked last
  std::size_t tried = 0;
  bool authenticated = false;  ///< for this very call
};

/// Whoever is told may hold the call: letting go of `done` first leaves no ring of owners.
void EtcdClient::finish(Call& call, Result<std::string> result) {
  const Done done = std::exchange(call.done, nullptr);
  done(std::move(result));
}

EtcdClient::EtcdClient(EtcdSpec spec, HttpClient& http) : spec_(std::move(spec)), http_(http) {
  for (std::string url : spec_.endpoints) {
    if (url.find("://") == std::string::npos) url.insert(0, "http://");
    while (url.ends_with('/')) url.pop_back();
    urls_.push_back(std::move(url));
  }
}

HttpRequest EtcdClient::make_request(const std::string& path, std::string body) const {
  HttpRequest request;
  request.method = "POST";
  request.url = urls_[endpoint_] + std::string(kVersions[version_]) + path;
  request.headers.emplace_back("Content-Type", "application/json");
  if (!token_.empty()) request.headers.emplace_back("Authorization", token_);
  request.body = std::move(body);
  request.timeout = urls_.size() > 1 ? kTimeoutOfOne : kTimeout;
  request.connect_timeout = request.timeout / 2;
  request.tls = {spec_.tls.ca_file,    spec_.tls.ca_path,     spec_.tls.client_cert,
                 spec_.tls.client_key, spec_.tls.server_name, spec_.tls.verify};
  return request;
}

Watch EtcdClient::call(const std::string& path, std::string body, Done done) {
  const auto call = std::make_shared<Call>();
  call->path = path;
  call->body = std::move(body);
  call->done = std::move(done);
  start(call);
  return Watch([call] { call->step = Watch(); });
}

void EtcdClient::start(const std::shared_ptr<Call>& call) {
  if (!spec_.user.empty() && token_.empty() && needs_token_) return authenticate(call);
  call->endpoint = endpoint_;
  call->version = version_;
  // The connection keeps the call alive, and the call its connection only by a handle: no cycle.
  call->step = http_.request(
      make_request(call->path, call->body),
      [this, call](Result<HttpResponse> response) { hear(call, std::move(response)); });
}

void EtcdClient::authenticate(const std::shared_ptr<Call>& call) {
  call->authenticated = true;
  call->endpoint = endpoint_;
  call->version = version_;
  constexpr const char* kPath = "/auth/authenticate";
  call->step = http_.request(
      make_request(kPath, encode_authenticate(spec_.user, spec_.password)),
      [this, call](Result<HttpResponse> response) {
        const auto refused =
            response ? decode_refusal(response.value().body) : std::optional<EtcdRefusal>();
        if (refused && authentication_is_off(*refused)) {
          needs_token_ = false;
          return start(call);
        }
        if (!response || response.value().status != 200) return hear(call, std::move(response));
        auto token = decode_token(response.value().body);
        if (!token)
          return finish(*call, std::move(token).error().during("cannot log in at " +
                                                               shown_url(urls_[call->endpoint])));
        token_ = std::move(token).value();
        start(call);
      });
}

Error EtcdClient::refusal(std::size_t endpoint, int status, const std::string& body,
                          const std::string& path) const {
  const std::string where = shown_url(urls_[endpoint]) + std::string(kVersions[version_]) + path;
  const auto refusal = decode_refusal(body);
  if (!refusal) {
    return {code_of(status), where + " answered " + std::to_string(status)};
  }
  return {code_of(*refusal, status),
          where + " answered " + std::to_string(status) + ": " + refusal->message.substr(0, 200)};
}

void EtcdClient::try_next_endpoint(const std::shared_ptr<Call>& call, Error error) {
  // Another call that failed there may have left it already.
  if (endpoint_ == call->endpoint) {
    endpoint_ = (endpoint_ + 1) % urls_.size();
    token_.clear();
  }
  if (++call->tried < urls_.size()) return start(call);
  finish(*call, std::move(error));
}

void EtcdClient::hear(const std::shared_ptr<Call>& call, Result<HttpResponse> response) {
  if (!response) return try_next_endpoint(call, std::move(response).error());
  HttpResponse& answer = response.value();
  if (answer.status == 200) return finish(*call, std::move(answer.body));

  const auto refused = decode_refusal(answer.body);
  if (answer.status == 404 && !refused) {
    // Not etcd's own "not found": this path does not exist there.
    if (call->version + 1 < kVersions.size()) {
      version_ = std::max(version_, call->version + 1);  // others may be further
      return start(call);
    }
    version_ = 0;
    return finish(
        *call, Error(Errc::kInvalid, "cannot use etcd at " + shown_url(urls_[call->endpoint]) +
                                         ": it has no v3 API over HTTP (a v2-only server, or its "
                                         "gateway is off); etcd 3.2 or newer is needed"));
  }
  Error error = refusal(call->endpoint, answer.status, answer.body, call->path);
  if (refused && !spec_.user.empty() && wants_login(*refused)) {
    needs_token_ = true;
    token_.clear();  // tokens live five minutes
    if (!call->authenticated) return start(call);
  }
  if (error.code() == Errc::kUnavailable) return try_next_endpoint(call, std::move(error));
  finish(*call, std::move(error));
}

}  // namespace containerpilot::discovery
