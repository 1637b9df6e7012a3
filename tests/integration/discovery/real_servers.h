#pragma once

#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/process.h"
#include "house.h"
#include "support/free_port.h"
#include "support/temp_dir.h"

namespace containerpilot::discovery {

/// Somebody else's server on loopback; killed with its owner.
class ServerProcess {
 public:
  explicit ServerProcess(House& house)
      : house_(house), launcher_(std::move(make_launcher(house.loop.reactor())).value()) {}

  /// Starts it and waits until a GET of `url` answers with `sign` in its body. False: it is not
  /// installed, or does not come up.
  bool start(std::vector<std::string> argv, const std::string& url, const std::string& sign) {
    spec_.argv = std::move(argv);
    exit_.reset();
    const char* path = std::getenv("PATH");
    auto process =
        launcher_->start({spec_,
                          {std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin")},
                          Output::kNull,
                          spec_.argv.front()},
                         [this](ExitStatus status) { exit_ = status; });
    if (!process) return false;
    process_ = std::move(process).value();
    return house_.poll_until([&] { return exit_ || answers(url, sign); },
                             std::chrono::seconds(30)) &&
           !exit_;
  }
  void kill() {
    process_->kill_tree();
    house_.loop.run_until([&] { return exit_.has_value(); });
  }
  /// Hung: accepts, and never answers.
  void freeze() { signal(SIGSTOP); }
  void thaw() { signal(SIGCONT); }

 private:
  void signal(int signo) {
    const Status sent = process_->signal(signo);
    static_cast<void>(sent);
  }
  bool answers(const std::string& url, const std::string& sign) {
    std::optional<bool> good;
    HttpRequest request;
    request.url = url;
    request.timeout = std::chrono::seconds(1);
    const Watch call = house_.calls->request(std::move(request), [&](Result<HttpResponse> answer) {
      good = answer.has_value() && answer.value().body.find(sign) != std::string::npos;
    });
    house_.loop.run_until([&] { return good.has_value(); });
    return good.value_or(false);
  }

  House& house_;
  ProcessSpec spec_;
  std::unique_ptr<Launcher> launcher_;
  std::optional<ExitStatus> exit_;
  std::unique_ptr<Process> process_;
};

/// A real etcd.
class EtcdServer {
 public:
  explicit EtcdServer(House& house)
      : client_port_(test::free_port()), peer_port_(test::free_port()), process_(house) {}

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(client_port_);
  }
  [[nodiscard]] std::uint16_t port() const { return client_port_; }
  /// Empty, or with what it had. False: it is not installed.
  bool start(bool empty) {
    if (empty) data_ = std::make_unique<test::TempDir>();
    const std::string peer = "http://127.0.0.1:" + std::to_string(peer_port_);
    return process_.start({"etcd", "--data-dir", data_->path() + "/data", "--listen-client-urls",
                           url(), "--advertise-client-urls", url(), "--listen-peer-urls", peer,
                           "--initial-advertise-peer-urls", peer, "--initial-cluster",
                           "default=" + peer, "--unsafe-no-fsync", "--log-level", "error"},
                          url() + "/health", "true");
  }
  void kill() { process_.kill(); }
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

 private:
  std::uint16_t client_port_, peer_port_;
  std::unique_ptr<test::TempDir> data_;
  ServerProcess process_;
};

/// A real Consul, as a development server: in memory, so always empty at its start.
class ConsulServer {
 public:
  explicit ConsulServer(House& house) : process_(house) {
    for (std::uint16_t& port : ports_) port = test::free_port();
  }

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(ports_[0]); }
  /// False: it is not installed.
  bool start() {
    const auto port = [this](std::size_t i) { return std::to_string(ports_[i]); };
    return process_.start({"consul", "agent", "-dev", "-bind", "127.0.0.1", "-hcl",
                           "ports { http = " + port(0) + " dns = -1 serf_lan = " + port(1) +
                               " serf_wan = " + port(2) + " server = " + port(3) + " }"},
                          "http://" + address() + "/v1/status/leader", "127.0.0.1");
  }
  void kill() { process_.kill(); }
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

 private:
  std::array<std::uint16_t, 4> ports_{};
  ServerProcess process_;
};

}  // namespace containerpilot::discovery
