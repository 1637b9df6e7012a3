#include "containerpilot/supervisor/probe.h"

#include "probe_task.h"

namespace containerpilot {

namespace {

/// Network probes have a bound even if none is configured: unlike a process they would not be seen.
constexpr Duration kDefaultTimeout = std::chrono::seconds(10);

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

Watch ProbeRunner::run(ProbeRun run, std::function<void(ProbeResult)> done) {
  const Probe& probe = run.probe;
  if (!std::holds_alternative<ProcessSpec>(probe) && run.timeout <= Duration(0)) {
    run.timeout = kDefaultTimeout;
  }
  return std::visit(
      Overloaded{
          [&](std::monostate) {
            return reactor_.after(Duration(0), [done = std::move(done)] { done({}); });
          },
          [&](const ProcessSpec& spec) {
            return run_exec_probe(reactor_, launcher_, spec, std::move(run), std::move(done));
          },
          [&](const HttpProbe& http) {
            return run_http_probe(reactor_, http_, http, run, std::move(done));
          },
          [&](const TcpProbe& tcp) {
            return run_tcp_probe(reactor_, resolver_, tcp, run.timeout, std::move(done));
          },
          [&](const UnixProbe& local) {
            return run_unix_probe(reactor_, local, run.timeout, std::move(done));
          },
      },
      probe);
}

}  // namespace containerpilot
