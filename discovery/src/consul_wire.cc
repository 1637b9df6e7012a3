#include "consul_wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "go_duration.h"
#include "json_node.h"

namespace containerpilot::discovery {

namespace {

constexpr std::string_view kNotesEnd = " set by containerpilot";

/// Any server may answer a waiting query, it need not ask the leader: the index orders the answers.
std::string waiting_part(std::uint64_t index, Duration wait) {
  if (index == 0) return {};
  return "&stale=&index=" + std::to_string(index) + "&wait=" + to_go_duration(wait);
}

template <class T>
Result<T> answer(const JsonDocument& document, T value) {
  if (document.problem()) return Error(*document.problem());
  return value;
}

}  // namespace

std::string encode_registration(const ServiceSpec& service, Health health) {
  // Members and their order are the old program's: empty ones are left out, except Check and
  // Checks.
  nlohmann::ordered_json body;
  body["ID"] = service.id;
  body["Name"] = service.name;
  if (!service.tags.empty()) body["Tags"] = service.tags;
  if (service.port != 0) body["Port"] = service.port;
  if (!service.address.empty()) body["Address"] = service.address;
  if (service.enable_tag_override) body["EnableTagOverride"] = true;
  if (!service.meta.empty()) body["Meta"] = service.meta;
  auto& check = body["Check"];
  if (!service.check_id.empty()) check["CheckID"] = check["Name"] = service.check_id;
  check["TTL"] = to_go_duration(service.ttl);
  check["Status"] = health_name(health);
  check["Notes"] =
      service.notes.empty() ? "TTL for " + service.name + std::string(kNotesEnd) : service.notes;
  check["DeregisterCriticalServiceAfter"] = service.deregister_critical_after.empty()
                                                ? std::string(kDefaultDeregisterAfter)
                                                : service.deregister_critical_after;
  body["Checks"] = nullptr;
  return to_json_line(body);
}

std::string plain_check_id(std::string_view service_id) {
  return "service:" + std::string(service_id);
}

Beat encode_beat(const ServiceSpec& service, Health health, std::string_view output) {
  if (!service.check_id.empty() && health == Health::kPassing) {
    return {"/v1/agent/check/pass/" + percent_encode(service.check_id) +
                "?note=" + percent_encode(output),
            ""};
  }
  const std::string id = service.check_id.empty() ? "service:" + percent_encode(service.id)
                                                  : percent_encode(service.check_id);
  return {"/v1/agent/check/update/" + id, encode_check_update(health, output)};
}

std::string encode_check_update(Health health, std::string_view output) {
  nlohmann::ordered_json body;
  body["Status"] = health_name(health);
  body["Output"] = output;
  return to_json_line(body);
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      result += c;
    } else {
      result += '%';
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    }
  }
  return result;
}

std::string health_query_target(const Query& query, std::uint64_t index, Duration wait) {
  // In the order of their names, as 3.8.0 sent them.
  std::string target = "/v1/health/service/" + percent_encode(query.service) + "?";
  if (!query.dc.empty()) target += "dc=" + percent_encode(query.dc) + "&";
  target += "passing=1";
  if (!query.tag.empty()) target += "&tag=" + percent_encode(query.tag);
  return target + waiting_part(index, wait);
}

std::string table_target(Table table, std::uint64_t index, Duration wait) {
  std::string_view path = "/v1/health/state/any?filter=Status";
  if (table == Table::kNodes) path = "/v1/catalog/nodes?filter=Node";
  if (table == Table::kServices) path = "/v1/catalog/services?filter=ServiceName";
  return std::string(path) + percent_encode("==\"\"") + waiting_part(index, wait);
}

Result<HealthAnswer> decode_health_service(std::string_view body) {
  JsonDocument document(body);
  HealthAnswer found;
  const JsonNode root(document);
  root.each_element([&](const JsonNode& entry) {
    const JsonNode service = entry.member("Service");
    if (!entry.expect_object() || !service.expect_object()) return;
    Instance instance;
    instance.id = service.text("ID");
    if (instance.id.empty()) service.member("ID").fail("a text that is not empty");
    instance.name = service.text("Service");
    instance.address = service.text("Address");
    // A service registered without an address is reached at its node's.
    if (instance.address.empty()) {
      const JsonNode node = entry.member("Node");
      instance.address = node.text("Address");
    }
    const std::int64_t port = service.integer("Port");
    instance.port = static_cast<std::uint16_t>(port);
    instance.tags = service.texts("Tags");
    instance.meta = service.text_map("Meta");
    if (port < 0 || port > UINT16_MAX) {
      found.left_out.push_back(instance.id + " (" + std::to_string(port) + ")");
    } else {
      found.instances.push_back(std::move(instance));
    }
  });
  std::sort(found.instances.begin(), found.instances.end(),
            [](const Instance& a, const Instance& b) { return a.id < b.id; });
  std::sort(found.left_out.begin(), found.left_out.end());
  return answer(document, std::move(found));
}

Result<std::vector<OwnEntry>> decode_agent_services(std::string_view body) {
  JsonDocument document(body);
  std::vector<OwnEntry> entries;
  const JsonNode root(document);
  root.each_member([&](const std::string& id, const JsonNode& entry) {
    if (!entry.expect_object()) return;
    OwnEntry own;
    ServiceSpec& service = own.service;
    service.id = id;
    service.name = entry.text("Service");
    service.address = entry.text("Address");
    service.port = entry.integer("Port");
    service.tags = entry.texts("Tags");
    service.meta = entry.text_map("Meta");
    service.enable_tag_override = entry.flag("EnableTagOverride");
    own.keeps_meta = entry.has("Meta");
    entries.push_back(std::move(own));
  });
  return answer(document, std::move(entries));
}

Result<std::vector<AgentCheck>> decode_agent_checks(std::string_view body) {
  JsonDocument document(body);
  std::vector<AgentCheck> checks;
  const JsonNode root(document);
  root.each_member([&](const std::string& id, const JsonNode& entry) {
    if (!entry.expect_object()) return;
    checks.push_back({id, entry.text("ServiceID"), entry.text("Notes"), entry.text("Status"),
                      entry.text("Output")});
  });
  return answer(document, std::move(checks));
}

std::set<std::string> unnamed_checks(const std::vector<AgentCheck>& checks) {
  std::set<std::string> unnamed;
  for (const AgentCheck& check : checks) {
    if (check.id == plain_check_id(check.service_id)) unnamed.insert(check.service_id);
  }
  for (const AgentCheck& check : checks) {
    if (check.id == check.service_id) unnamed.erase(check.service_id);
  }
  return unnamed;
}

std::vector<OwnEntry> merge_own_entries(std::vector<OwnEntry> entries,
                                        const std::vector<AgentCheck>& checks) {
  std::map<std::string_view, const AgentCheck*> by_id;
  for (const AgentCheck& check : checks) by_id.emplace(check.id, &check);
  for (OwnEntry& entry : entries) {
    auto it = by_id.find(plain_check_id(entry.service.id));
    // 2.x named the check as the entry.
    if (it == by_id.end()) it = by_id.find(entry.service.id);
    entry.has_check = it != by_id.end();
    if (!entry.has_check) continue;
    // Consul's own words once nobody beats; a check reported critical has that report's output.
    entry.expired = it->second->status == "critical" &&
                    it->second->output.starts_with("TTL expired") &&
                    it->second->notes.ends_with(kNotesEnd);
    entry.health = parse_health(it->second->status);
  }
  return entries;
}

}  // namespace containerpilot::discovery
