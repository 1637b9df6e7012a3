#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/kinds.h"
#include "config/v3_config.h"

namespace containerpilot::agent {

/// What `interfaces` means when it is left out, for people.
inline constexpr const char* kDefaultAddress =
    "eth0, else any; IPv4 first; virtual and link-local ones last";

// Kinds of values that only one or two keys have.

/// "unlimited", "never", a number of restarts, or {limit, delay, maxDelay, resetAfter}.
Kind<RestartsConfig> restarts_kind();
const Block& restarts_block();
/// "SIGQUIT", "QUIT" or a number.
Kind<int> signal_kind();
/// Octal digits, "022".
Kind<std::string> umask_kind();
/// {nofile: 1024, core: "unlimited", nproc: [100, 200]}
Kind<std::map<std::string, ResourceLimit>> rlimits_kind();
/// "http://…", or {url, status, headers, match}.
Kind<HttpProbe> http_probe_kind();
const Block& http_block();
/// "host:port"
Kind<TcpProbe> tcp_probe_kind();
/// A path.
Kind<UnixProbe> unix_probe_kind();
/// [0.5, 0.99] or [{quantile, error}].
Kind<std::vector<telemetry::Quantile>> quantiles_kind();
/// [low, high], null or left out for an open end.
Kind<std::pair<std::optional<double>, std::optional<double>>> range_kind();
/// "drop", "hold" or a number.
Kind<telemetry::StalePolicy> stale_kind();
/// The node itself, read later; described as `info` describes.
Kind<const Node*> read_later(const KindInfo& info);
/// A Go duration, kept as written.
Kind<std::string> go_duration_text();

}  // namespace containerpilot::agent
