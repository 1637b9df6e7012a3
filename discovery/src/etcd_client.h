#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// Calls of etcd's JSON gateway: finds the endpoint that answers, the API version it has and, with
/// a user, a token. Loop thread only.
class EtcdClient {
 public:
  using Done = std::function<void(Result<std::string>)>;

  EtcdClient(EtcdSpec spec, HttpClient& http);
  /// POST of `body` to "/kv/range" and the like; `done` gets the body of a good answer. Each
  /// endpoint is tried once. Errors: kNotFound (etcd says so), kDenied, kInvalid, and those of
  /// HttpClient.
  [[nodiscard]] Watch call(const std::string& path, std::string body, Done done);
  /// A request to the endpoint that answered last, for streams.
  [[nodiscard]] HttpRequest make_request(const std::string& path, std::string body) const;
  /// Which endpoint answered last.
  [[nodiscard]] std::size_t endpoint() const { return endpoint_; }
  /// What an answer of that endpoint that is not 200 means.
  [[nodiscard]] Error refusal(std::size_t endpoint, int status, const std::string& body,
                              const std::string& path) const;

 private:
  struct Call;
  static void finish(Call& call, Result<std::string> result);
  void start(const std::shared_ptr<Call>& call);
  void authenticate(const std::shared_ptr<Call>& call);
  void hear(const std::shared_ptr<Call>& call, Result<HttpResponse> response);
  void try_next_endpoint(const std::shared_ptr<Call>& call, Error error);

  EtcdSpec spec_;
  std::vector<std::string> urls_;
  HttpClient& http_;
  std::size_t endpoint_ = 0;
  std::size_t version_ = 0;
  std::string token_;
  bool needs_token_ = true;  ///< false: authentication is off there
};

}  // namespace containerpilot::discovery
