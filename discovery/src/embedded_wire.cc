#include "embedded_wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "go_duration.h"
#include "json_node.h"

namespace containerpilot::discovery {

namespace {

using Json = nlohmann::ordered_json;

Error refused(std::string text) {
  return {Errc::kInvalid, "Request decode failed: " + std::move(text)};
}

template <class T>
Result<T> answer(const JsonDocument& document, T value) {
  if (document.problem()) return refused(document.problem()->text());
  return value;
}

Duration duration_member(const JsonNode& node, std::string_view key) {
  const std::string text = node.text(key);
  if (text.empty()) return Duration{0};
  const auto duration = parse_go_duration(text);
  if (duration) return *duration;
  node.member(key).fail("a duration like '10s'");
  return Duration{0};
}

CheckDefinition decode_check(const JsonNode& node) {
  for (const char* other :
       {"HTTP", "TCP", "UDP", "GRPC", "Script", "Args", "DockerContainerID", "AliasService"}) {
    if (node.has(other))
      node.member(other).fail("a TTL: the embedded catalog runs no checks itself");
  }
  CheckDefinition check;
  check.id = node.text("CheckID");
  if (check.id.empty()) check.id = node.text("ID");
  check.name = node.text("Name");
  check.service_id = node.text("ServiceID");
  check.notes = node.text("Notes");
  check.ttl = duration_member(node, "TTL");
  check.deregister_after = duration_member(node, "DeregisterCriticalServiceAfter");
  if (const std::string status = node.text("Status"); !status.empty()) {
    check.status = parse_health(status);
    if (!check.status) node.member("Status").fail("'passing', 'warning' or 'critical'");
  }
  return check;
}

Json encode_check(const NodeIdentity& node, const StoredService& service,
                  const StoredCheck& check) {
  return {{"Node", node.name},
          {"CheckID", check.id},
          {"Name", check.name},
          {"Status", health_name(check.status)},
          {"Notes", check.notes},
          {"Output", check.output},
          {"ServiceID", service.spec.id},
          {"ServiceName", service.spec.name},
          {"ServiceTags", service.spec.tags},
          {"Type", check.ttl > Duration{0} ? "ttl" : ""},
          {"Definition", Json::object()},
          {"CreateIndex", service.create_index},
          {"ModifyIndex", service.modify_index}};
}

Json encode_service(const StoredService& service) {
  const ServiceSpec& spec = service.spec;
  return {{"ID", spec.id},
          {"Service", spec.name},
          {"Tags", spec.tags},
          {"Meta", spec.meta},
          {"Port", spec.port},
          {"Address", spec.address},
          {"Weights", {{"Passing", 1}, {"Warning", 1}}},
          {"EnableTagOverride", spec.enable_tag_override},
          {"Datacenter", kDatacenter},
          {"CreateIndex", service.create_index},
          {"ModifyIndex", service.modify_index}};
}

Json encode_node(const NodeIdentity& node) {
  return {{"ID", ""},
          {"Node", node.name},
          {"Address", node.address},
          {"Datacenter", kDatacenter},
          {"TaggedAddresses", {{"lan", node.address}, {"wan", node.address}}},
          {"Meta", Json::object()},
          {"CreateIndex", 1},
          {"ModifyIndex", 1}};
}

bool matches(const StoredService& service, const ServiceFilter& filter) {
  const ServiceSpec& spec = service.spec;
  return spec.name == filter.name && (!filter.passing || service.health() == Health::kPassing) &&
         std::all_of(filter.tags.begin(), filter.tags.end(), [&](const std::string& tag) {
           return std::find(spec.tags.begin(), spec.tags.end(), tag) != spec.tags.end();
         });
}

}  // namespace

Result<Registration> decode_registration(std::string_view body) {
  JsonDocument document(body, JsonDocument::KeyCase::kIgnored);
  const JsonNode root(document);
  Registration registration;
  ServiceSpec& service = registration.service;
  if (root.expect_object()) {
    service.name = root.text("Name");
    if (service.name.empty()) root.member("Name").fail("the service's name");
    service.id = root.text("ID");
    if (service.id.empty()) service.id = service.name;
    service.address = root.text("Address");
    service.port = root.integer("Port");
    service.tags = root.texts("Tags");
    service.meta = root.text_map("Meta");
    service.enable_tag_override = root.flag("EnableTagOverride");
  }
  const std::string check_id = "service:" + service.id;
  if (root.has("Check")) {
    const JsonNode check = root.member("Check");
    if (check.expect_object()) registration.checks.push_back(decode_check(check));
  }
  const JsonNode list = root.member("Checks");
  list.each_element([&](const JsonNode& check) {
    if (check.expect_object()) registration.checks.push_back(decode_check(check));
  });
  // Consul's names for checks without one: a single check is the service's, several are numbered.
  for (std::size_t i = 0; i < registration.checks.size(); ++i) {
    std::string& id = registration.checks[i].id;
    if (id.empty())
      id = registration.checks.size() == 1 ? check_id : check_id + ":" + std::to_string(i + 1);
  }
  return answer(document, std::move(registration));
}

Result<CheckDefinition> decode_check_registration(std::string_view body) {
  JsonDocument document(body, JsonDocument::KeyCase::kIgnored);
  const JsonNode root(document);
  CheckDefinition check;
  if (root.expect_object()) {
    check = decode_check(root);
    if (check.id.empty()) check.id = check.name;
    if (check.id.empty()) root.member("Name").fail("the check's name");
  }
  return answer(document, std::move(check));
}

Result<CheckUpdate> decode_check_update(std::string_view body) {
  JsonDocument document(body, JsonDocument::KeyCase::kIgnored);
  const JsonNode root(document);
  CheckUpdate update;
  if (root.expect_object()) {
    const auto status = parse_health(root.text("Status"));
    if (!status) root.member("Status").fail("'passing', 'warning' or 'critical'");
    update = {status.value_or(Health::kCritical), root.text("Output")};
  }
  return answer(document, std::move(update));
}

std::string encode_agent_services(const Services& services) {
  Json result = Json::object();
  for (const auto& [id, service] : services) result[id] = encode_service(service);
  return to_json_line(result);
}

std::string encode_agent_service(const StoredService& service) {
  return to_json_line(encode_service(service));
}

std::string encode_agent_checks(const NodeIdentity& node, const Services& services) {
  Json result = Json::object();
  for (const auto& [service_id, service] : services) {
    for (const auto& [id, check] : service.checks) result[id] = encode_check(node, service, check);
  }
  return to_json_line(result);
}

std::string encode_agent_self(const NodeIdentity& node, std::string_view version) {
  const Json result = {
      {"Config",
       {{"Datacenter", kDatacenter},
        {"NodeName", node.name},
        {"Server", true},
        {"Version", version}}},
      {"Member",
       {{"Name", node.name}, {"Addr", node.address}, {"Status", 1}, {"Tags", Json::object()}}},
      {"Meta", Json::object()}};
  return to_json_line(result);
}

std::string encode_catalog_services(const Services& services) {
  std::map<std::string, std::vector<std::string>> tags;
  for (const auto& [id, service] : services) {
    auto& list = tags[service.spec.name];
    list.insert(list.end(), service.spec.tags.begin(), service.spec.tags.end());
  }
  Json result = Json::object();
  for (auto& [name, list] : tags) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    result[name] = list;
  }
  return to_json_line(result);
}

std::string encode_catalog_service(const NodeIdentity& node, const Services& services,
                                   const ServiceFilter& filter) {
  Json result = Json::array();
  for (const auto& [id, service] : services) {
    if (!matches(service, filter)) continue;
    const ServiceSpec& spec = service.spec;
    result.push_back({{"Node", node.name},
                      {"Address", node.address},
                      {"Datacenter", kDatacenter},
                      {"ServiceID", spec.id},
                      {"ServiceName", spec.name},
                      {"ServiceTags", spec.tags},
                      {"ServiceAddress", spec.address},
                      {"ServicePort", spec.port},
                      {"ServiceMeta", spec.meta},
                      {"ServiceEnableTagOverride", spec.enable_tag_override},
                      {"CreateIndex", service.create_index},
                      {"ModifyIndex", service.modify_index}});
  }
  return to_json_line(result);
}

std::string encode_catalog_nodes(const NodeIdentity& node) {
  return to_json_line(Json::array({encode_node(node)}));
}

std::string encode_health_service(const NodeIdentity& node, const Services& services,
                                  const ServiceFilter& filter) {
  Json result = Json::array();
  for (const auto& [id, service] : services) {
    if (!matches(service, filter)) continue;
    Json checks = Json::array();
    for (const auto& [check_id, check] : service.checks) {
      checks.push_back(encode_check(node, service, check));
    }
    result.push_back({{"Node", encode_node(node)},
                      {"Service", encode_service(service)},
                      {"Checks", std::move(checks)}});
  }
  return to_json_line(result);
}

std::string encode_health_checks(const NodeIdentity& node, const Services& services,
                                 std::string_view name) {
  Json result = Json::array();
  for (const auto& [id, service] : services) {
    if (service.spec.name != name) continue;
    for (const auto& [check_id, check] : service.checks) {
      result.push_back(encode_check(node, service, check));
    }
  }
  return to_json_line(result);
}

std::string encode_health_state(const NodeIdentity& node, const Services& services,
                                std::string_view state) {
  Json result = Json::array();
  for (const auto& [id, service] : services) {
    for (const auto& [check_id, check] : service.checks) {
      if (state != "any" && state != health_name(check.status)) continue;
      result.push_back(encode_check(node, service, check));
    }
  }
  return to_json_line(result);
}

}  // namespace containerpilot::discovery
