#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/discovery/catalog.h"
#include "token_file.h"

namespace containerpilot::discovery {

/// Consul over its HTTP agent API, and whatever speaks the same (the embedded catalog).
class ConsulCatalog : public Catalog {
 public:
  ConsulCatalog(Reactor& reactor, ConsulSpec spec, std::string name, HttpClient& calls,
                HttpClient& polls);

  /// Over HTTP/1.1 each waiting query holds a connection of its own.
  [[nodiscard]] std::size_t max_waiting_queries() const override {
    return multiplexed_ ? 1000 : 48;
  }
  Watch register_service(const ServiceSpec& service, Health health, Done done) override;
  Watch update(const ServiceSpec& service, Health health, const std::string& output,
               Done done) override;
  Watch deregister(const ServiceSpec& service, Done done) override;
  Watch own_entries(OwnEntriesDone done) override;
  Watch query(const Query& query, std::uint64_t index, Duration wait, QueryDone done) override;
  Watch table_index(Table table, std::uint64_t index, Duration wait, IndexDone done) override;

 private:
  HttpRequest make_request(std::string_view method, const std::string& target,
                           std::string body = {});
  /// `response` as it is when its status is 200, else an error that begins with `what`.
  [[nodiscard]] Result<HttpResponse> check(Result<HttpResponse> response, const std::string& what,
                                           const std::string& target) const;
  /// Warns of instances without a usable port, once for the same ones.
  void tell_left_out(const Query& query, const std::vector<std::string>& left_out);

  ConsulSpec spec_;
  std::string base_url_;
  TokenFile token_file_;
  HttpClient& calls_;
  HttpClient& polls_;
  bool multiplexed_ = false;  ///< as the last answer to a query came
  std::map<std::string, std::vector<std::string>> left_out_;  ///< by question, as it was told
  std::set<std::string> unnamed_checks_;  ///< ids of services, see unnamed_checks()
};

}  // namespace containerpilot::discovery
