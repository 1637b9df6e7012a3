#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "catalog_store.h"
#include "containerpilot/supervisor/result.h"

// What the embedded catalog reads and writes, in the shapes of Consul's HTTP API. Pure functions.
namespace containerpilot::discovery {

/// Who the catalog says it is.
struct NodeIdentity {
  std::string name;     ///< this host
  std::string address;  ///< where the catalog listens, without the port
  std::string listen;   ///< with the port
};
inline constexpr std::string_view kDatacenter = "dc1";

/// Bodies of PUT …/service/register, …/check/register and …/check/update. Only TTL checks exist
/// here. Errors: kInvalid, with the path of the bad field.
Result<Registration> decode_registration(std::string_view body);
Result<CheckDefinition> decode_check_registration(std::string_view body);
struct CheckUpdate {
  Health status = Health::kCritical;
  std::string output;
};
Result<CheckUpdate> decode_check_update(std::string_view body);

using Services = std::map<std::string, StoredService>;
struct ServiceFilter {
  std::string name;
  std::vector<std::string> tags;  ///< all of them
  bool passing = false;
};
/// GET /v1/agent/services, /v1/agent/service/<id> and /v1/agent/checks.
std::string encode_agent_services(const Services& services);
std::string encode_agent_service(const StoredService& service);
std::string encode_agent_checks(const NodeIdentity& node, const Services& services);
std::string encode_agent_self(const NodeIdentity& node, std::string_view version);
/// GET /v1/catalog/services and /v1/catalog/service/<name>.
std::string encode_catalog_services(const Services& services);
std::string encode_catalog_service(const NodeIdentity& node, const Services& services,
                                   const ServiceFilter& filter);
std::string encode_catalog_nodes(const NodeIdentity& node);
/// GET /v1/health/service/<name> and /v1/health/checks/<name>; /v1/health/state/<state>.
std::string encode_health_service(const NodeIdentity& node, const Services& services,
                                  const ServiceFilter& filter);
std::string encode_health_checks(const NodeIdentity& node, const Services& services,
                                 std::string_view name);
std::string encode_health_state(const NodeIdentity& node, const Services& services,
                                std::string_view state);

}  // namespace containerpilot::discovery
