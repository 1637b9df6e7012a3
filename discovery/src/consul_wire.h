#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/discovery/catalog.h"
#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/result.h"

// Consul's HTTP API as bytes: pure functions, any thread. Bodies are those ContainerPilot 3.8.0
// sends (spec v3, section 5.2). Errors of decoders: kInvalid, with the path of the bad field.
namespace containerpilot::discovery {

/// For entries that do not say: leftovers of a crash go away after this long.
inline constexpr std::string_view kDefaultDeregisterAfter = "1h";

/// Body of PUT /v1/agent/service/register.
std::string encode_registration(const ServiceSpec& service, Health health);
/// Body of PUT /v1/agent/check/update/service:<id>.
std::string encode_check_update(Health health, std::string_view output);
/// Path and query of GET /v1/health/service/<name>; index 0 gives a plain query, others a waiting
/// one.
std::string health_query_target(const Query& query, std::uint64_t index, Duration wait);
/// Percent-encodes what is not unreserved (RFC 3986).
std::string percent_encode(std::string_view text);

/// Answer of a health query, sorted by id.
Result<std::vector<Instance>> decode_health_service(std::string_view body);
/// Answer of GET /v1/agent/services: all but what the checks tell.
Result<std::vector<OwnEntry>> decode_agent_services(std::string_view body);

struct AgentCheck {
  std::string id;
  std::string service_id;
  std::string notes;
  std::string status;
  std::string output;
};
/// Answer of GET /v1/agent/checks.
Result<std::vector<AgentCheck>> decode_agent_checks(std::string_view body);
/// Puts the two answers together.
std::vector<OwnEntry> merge_own_entries(std::vector<OwnEntry> entries,
                                        const std::vector<AgentCheck>& checks);

}  // namespace containerpilot::discovery
