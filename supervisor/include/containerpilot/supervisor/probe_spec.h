#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot {

/// GET `url`; passes on one of the accepted statuses and, if `match` is set, a body that holds it.
struct HttpProbe {
  std::string url;
  std::vector<std::pair<int, int>> status = {{200, 399}};  ///< inclusive ranges
  std::vector<std::pair<std::string, std::string>> headers;
  std::string match;  ///< plain substring; empty: any body
  friend bool operator==(const HttpProbe&, const HttpProbe&) = default;
};
/// Connects and closes. The host may be a name.
struct TcpProbe {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const TcpProbe&, const TcpProbe&) = default;
};
/// Connects to a unix stream socket and closes.
struct UnixProbe {
  std::string path;
  friend bool operator==(const UnixProbe&, const UnixProbe&) = default;
};

/// One way to ask "is it well?". monostate: nobody asks, which counts as well.
using Probe = std::variant<std::monostate, ProcessSpec, HttpProbe, TcpProbe, UnixProbe>;

}  // namespace containerpilot
