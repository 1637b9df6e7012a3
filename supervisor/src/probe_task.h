#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "containerpilot/supervisor/probe.h"

namespace containerpilot {

using ProbeDone = std::function<void(ProbeResult)>;

/// What every kind of probe run has: one result, given once and never from inside the call that
/// started it, and its duration. Lives as long as somebody waits for it.
class ProbeTask : public std::enable_shared_from_this<ProbeTask> {
 public:
  ProbeTask(Reactor& reactor, ProbeDone done)
      : reactor_(reactor), done_(std::move(done)), started_(reactor.now()) {}
  virtual ~ProbeTask() = default;
  ProbeTask(const ProbeTask&) = delete;
  ProbeTask& operator=(const ProbeTask&) = delete;

  /// Nobody waits any more.
  void cancel() { done_ = nullptr; }

 protected:
  void finish(ProbeResult result) {
    const auto self = shared_from_this();  // `done` may drop the last owner
    result.duration = reactor_.now() - started_;
    if (const ProbeDone done = std::exchange(done_, nullptr)) done(std::move(result));
  }
  void finish_later(ProbeResult result) {
    later_ = reactor_.after(Duration(0), [this, result = std::move(result)] { finish(result); });
  }
  [[nodiscard]] bool wanted() const { return static_cast<bool>(done_); }

  Reactor& reactor_;

 private:
  ProbeDone done_;
  const TimePoint started_;
  Watch later_;
};

/// The task lives as long as its watch.
inline Watch watch_of(std::shared_ptr<ProbeTask> task) {
  return Watch([task = std::move(task)]() mutable {
    task->cancel();
    task.reset();
  });
}

Watch run_exec_probe(Reactor& reactor, Launcher& launcher, const ProcessSpec& spec, ProbeRun run,
                     ProbeDone done);
Watch run_http_probe(Reactor& reactor, HttpClient& http, const HttpProbe& probe,
                     const ProbeRun& run, ProbeDone done);
Watch run_tcp_probe(Reactor& reactor, Resolver& resolver, const TcpProbe& probe, Duration timeout,
                    ProbeDone done);
Watch run_unix_probe(Reactor& reactor, const UnixProbe& probe, Duration timeout, ProbeDone done);

}  // namespace containerpilot
