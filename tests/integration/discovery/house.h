#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "containerpilot/discovery/catalog.h"
#include "containerpilot/discovery/embedded_catalog.h"
#include "containerpilot/discovery/registrar.h"
#include "containerpilot/discovery/watcher.h"
#include "support/real_loop.h"

namespace containerpilot::discovery {

/// A real loop with real connections: what an agent has, without the agent.
struct House {
  House() {
    // A thousand watchers and their server in one process.
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    resolver = std::move(make_resolver(loop.reactor())).value();
    calls = std::move(make_http_client(loop.reactor(), *resolver, kCallConnections)).value();
    polls = std::move(make_http_client(loop.reactor(), *resolver, kPollConnections)).value();
  }

  void start_embedded(const std::string& listen = "127.0.0.1:0") {
    embedded = std::move(EmbeddedCatalog::start(loop.reactor(), {listen})).value();
  }
  std::unique_ptr<Catalog> connect_consul(const std::string& address) {
    CatalogSpec spec;
    spec.kind = CatalogSpec::Kind::kConsul;
    spec.consul.address = address;
    return std::move(make_catalog(loop.reactor(), spec, *calls, *polls)).value();
  }
  /// One call of Consul's API, like a person with curl.
  HttpResponse curl(const std::string& method, const std::string& target,
                    const std::string& body = "") {
    std::optional<Result<HttpResponse>> answer;
    HttpRequest request;
    request.method = method;
    request.url = "http://" + embedded->address() + target;
    request.body = body;
    const Watch call = calls->request(
        std::move(request), [&](Result<HttpResponse> r) { answer.emplace(std::move(r)); });
    loop.run_until([&] { return answer.has_value(); });
    if (!answer || !answer->has_value())
      return {0, {}, answer ? answer->error().text() : "no answer"};
    return std::move(*answer).value();
  }

  /// True once `happened`, which may make calls of its own, says so.
  bool poll_until(const std::function<bool()>& happened,
                  Duration limit = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!happened()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop.run_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  test::RealLoop loop;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<HttpClient> calls, polls;
  std::unique_ptr<EmbeddedCatalog> embedded;
};

inline ServiceSpec make_service(const std::string& name, Duration ttl = std::chrono::seconds(10)) {
  ServiceSpec spec;
  spec.id = name + "-h";
  spec.name = name;
  spec.address = "192.0.2.1";
  spec.port = 80;
  spec.ttl = ttl;
  return spec;
}

inline WatchSpec make_watch(const std::string& name) {
  WatchSpec spec;
  spec.name = name;
  spec.source = "watch." + name;
  spec.interval = std::chrono::seconds(1);
  return spec;
}

struct Latencies {
  std::vector<double> milliseconds;
  void add(Duration d) {
    milliseconds.push_back(std::chrono::duration<double, std::milli>(d).count());
  }
  [[nodiscard]] double percentile(double p) {
    std::sort(milliseconds.begin(), milliseconds.end());
    return milliseconds.at(
        static_cast<std::size_t>(p / 100 * static_cast<double>(milliseconds.size() - 1)));
  }
};

}  // namespace containerpilot::discovery
