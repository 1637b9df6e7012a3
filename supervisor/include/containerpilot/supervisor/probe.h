#pragma once

#include <functional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/probe_spec.h"
#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot {

/// What one run of a probe said.
struct ProbeResult {
  enum class Kind : std::uint8_t {
    kOk,
    kFailed,  ///< exit code, HTTP status, refused connection: see `reason`
    kTimeout,
    kCannotStart,
  };
  Kind kind = Kind::kOk;
  ExitStatus exit;     ///< exec only
  std::string reason;  ///< for people: "exited with code 3", "HTTP 503", "connection refused"
  std::string
      output;  ///< exec: stdout (kOk or not); http: the body. At most `ProbeRun::max_output` bytes
  std::string last_lines;  ///< exec: the last lines of stdout and stderr together, at most 4 kB
  Duration duration{0};
  [[nodiscard]] bool ok() const { return kind == Kind::kOk; }
};

struct ProbeRun {
  const Probe& probe;  ///< needed only during the call
  std::vector<std::string> environment;
  /// 0: an exec has as long as it likes, the others 10 seconds. An exec ends with a kill of its
  /// whole tree.
  Duration timeout{0};
  std::string name;  ///< "check.web", "sensor 'queue'"
  bool raw_output = false;
  std::size_t max_output =
      1024 * 1024;  ///< beyond it output is read and thrown away, and reason says so
  /// Each whole line as it comes (to log it); exec only. `from_stderr` tells which pipe.
  std::function<void(pid_t pid, bool from_stderr, std::string_view line)> on_line;
};

/// Asks one question without blocking. Dropping the watch kills what runs. Runs do not need the
/// runner, but what it was made of.
class ProbeRunner {
 public:
  ProbeRunner(Reactor& reactor, Launcher& launcher, HttpClient& http, Resolver& resolver)
      : reactor_(reactor), launcher_(launcher), http_(http), resolver_(resolver) {}
  /// `done` runs once, later, on the loop. An exec probe is over when its process is gone: who
  /// still holds its pipes is not waited for.
  Watch run(ProbeRun run, std::function<void(ProbeResult)> done);

 private:
  Reactor& reactor_;
  Launcher& launcher_;
  HttpClient& http_;
  Resolver& resolver_;
};

}  // namespace containerpilot
