#pragma once

#include <memory>
#include <optional>
#include <string>

#include "containerpilot/supervisor/process.h"
#include "house.h"
#include "support/free_port.h"
#include "support/temp_dir.h"

namespace containerpilot::discovery {

/// A real etcd with a fresh data directory, on loopback; killed with its owner.
class EtcdServer {
 public:
  explicit EtcdServer(House& house)
      : house_(house),
        client_port_(test::free_port()),
        peer_port_(test::free_port()),
        launcher_(std::move(make_launcher(house.loop.reactor())).value()) {}

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(client_port_);
  }

  /// Starts it, empty or with what it had, and waits until it answers. False: it is not installed.
  bool start(bool empty) {
    if (empty) data_ = std::make_unique<test::TempDir>();
    const std::string peer = "http://127.0.0.1:" + std::to_string(peer_port_);
    spec_.argv = {"etcd",
                  "--data-dir",
                  data_->path() + "/data",
                  "--listen-client-urls",
                  url(),
                  "--advertise-client-urls",
                  url(),
                  "--listen-peer-urls",
                  peer,
                  "--initial-advertise-peer-urls",
                  peer,
                  "--initial-cluster",
                  "default=" + peer,
                  "--unsafe-no-fsync",
                  "--log-level",
                  "error"};
    exit_.reset();
    auto process = launcher_->start({spec_, {"PATH=/usr/bin:/bin"}, Output::kNull, "etcd"},
                                    [this](ExitStatus status) { exit_ = status; });
    if (!process) return false;
    process_ = std::move(process).value();
    return house_.poll_until([&] { return answers(); }, std::chrono::seconds(30));
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
  bool answers() {
    std::optional<bool> good;
    HttpRequest request;
    request.url = url() + "/health";
    request.timeout = std::chrono::seconds(1);
    const Watch call = house_.calls->request(std::move(request), [&](Result<HttpResponse> answer) {
      good = answer.has_value() && answer.value().body.find("true") != std::string::npos;
    });
    house_.loop.run_until([&] { return good.has_value(); });
    return good.value_or(false);
  }

  House& house_;
  std::uint16_t client_port_, peer_port_;
  ProcessSpec spec_;
  std::unique_ptr<test::TempDir> data_;
  std::unique_ptr<Launcher> launcher_;
  std::optional<ExitStatus> exit_;
  std::unique_ptr<Process> process_;
};

}  // namespace containerpilot::discovery
