#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
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
/// The id Consul gives the check of a registration that names none.
std::string plain_check_id(std::string_view service_id);
struct Beat {
  std::string target, body;
};
/// PUT that tells a state. A check with an id of its own passes as 2.x had it, without a body.
Beat encode_beat(const ServiceSpec& service, Health health, std::string_view output);
/// Body of PUT /v1/agent/check/update/<check>.
std::string encode_check_update(Health health, std::string_view output);
/// Path and query of GET /v1/health/service/<name>; index 0 gives a plain query, others a waiting
/// one.
std::string health_query_target(const Query& query, std::uint64_t index, Duration wait);
/// The same for the index of a table; where Consul can filter (1.5) the answer is empty.
std::string table_target(Table table, std::uint64_t index, Duration wait);
/// Percent-encodes what is not unreserved (RFC 3986).
std::string percent_encode(std::string_view text);

struct HealthAnswer {
  std::vector<Instance> instances;    ///< sorted by id
  std::vector<std::string> left_out;  ///< "web-h (99999)": Consul takes any number for a port
};
/// Answer of a health query.
Result<HealthAnswer> decode_health_service(std::string_view body);
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
/// Ids of services whose only check has the id Consul gave it: before 0.9 it did so whatever the
/// registration said.
std::set<std::string> unnamed_checks(const std::vector<AgentCheck>& checks);
/// Puts the two answers together.
std::vector<OwnEntry> merge_own_entries(std::vector<OwnEntry> entries,
                                        const std::vector<AgentCheck>& checks);

}  // namespace containerpilot::discovery
