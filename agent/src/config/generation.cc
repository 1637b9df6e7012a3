#include "config/generation.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.h"

namespace containerpilot::agent {

namespace {

constexpr std::array<std::string_view, 8> kV3Keys = {"jobs",    "watches",   "control", "sensors",
                                                     "scaling", "templates", "locks",   "catalog"};
constexpr std::array<std::string_view, 8> kV2Keys = {
    "services", "backends", "tasks", "coprocesses", "prestart", "onstart", "prestop", "poststop"};

bool is_null(const Node& node) { return node.is(Node::Kind::kNull); }

/// Any case, null counting as absent.
const Node* find_any_case(const Node& object, std::string_view key) {
  if (!object.is(Node::Kind::kObject)) return nullptr;
  for (const Node& member : object) {
    if (!is_null(member) && lower_case(member.key) == key) return &member;
  }
  return nullptr;
}

template <std::size_t N>
std::vector<const Node*> members_of(const Node& top, const std::array<std::string_view, N>& keys) {
  std::vector<const Node*> out;
  for (const Node& member : top) {
    const bool listed = std::find(keys.begin(), keys.end(), lower_case(member.key)) != keys.end();
    if (listed && !is_null(member)) out.push_back(&member);
  }
  return out;
}

std::string names_of(const std::vector<const Node*>& nodes) {
  std::string out;
  for (const Node* node : nodes) out += (out.empty() ? "'" : ", '") + path_of(*node) + "'";
  return out;
}

/// What only 2.1.0 and later knew.
bool has_v2_evidence(const Node& top) {
  if (find_any_case(top, "tasks") != nullptr || find_any_case(top, "coprocesses") != nullptr)
    return true;
  const Node* consul = find_any_case(top, "consul");
  if (consul != nullptr && consul->is(Node::Kind::kObject)) return true;
  const Node* telemetry = find_any_case(top, "telemetry");
  const Node* sensors = telemetry == nullptr ? nullptr : find_any_case(*telemetry, "sensors");
  const auto has_new_key = [](const Node* list) {
    if (list == nullptr || !list->is(Node::Kind::kArray)) return false;
    return std::any_of(list->begin(), list->end(), [](const Node& element) {
      return find_any_case(element, "timeout") != nullptr ||
             find_any_case(element, "consul") != nullptr;
    });
  };
  return has_new_key(find_any_case(top, "services")) ||
         has_new_key(find_any_case(top, "backends")) || has_new_key(sensors);
}

Generation from_call(const Tree& tree, const Node& top, const ConfigSource& source,
                     const LoadOptions& options) {
  if (!options.command.empty()) return Generation::kV2;
  if (tree.source(top.source).beyond_json) return Generation::kV3;
  return source.old_form ? Generation::kV2 : Generation::kV3;
}

}  // namespace

Detected detect_generation(Problems& problems, const Tree& tree, const Node& top,
                           const ConfigSource& source, const LoadOptions& options) {
  std::vector<const Node*> v3 = members_of(top, kV3Keys);
  std::vector<const Node*> v2 = members_of(top, kV2Keys);
  if (const Node* telemetry = find_any_case(top, "telemetry"); telemetry != nullptr) {
    if (const Node* metrics = find_any_case(*telemetry, "metrics")) v3.push_back(metrics);
    if (const Node* sensors = find_any_case(*telemetry, "sensors")) v2.push_back(sensors);
  }
  Detected out;
  if (options.generation) {
    out.generation = *options.generation;
  } else if (!v3.empty() || v2.empty()) {
    out.generation = v3.empty() ? from_call(tree, top, source, options) : Generation::kV3;
    // Sensors below telemetry have an answer of their own in generation 3's table.
    const bool only_sensors = v2.size() == 1 && path_of(*v2[0]).find('.') != std::string::npos;
    if (!v3.empty() && !v2.empty() && !only_sensors) {
      problems.key_error(*v2[0],
                         "keys of two generations: " + names_of(v2) + " belong to 1.x and 2.x, " +
                             names_of(v3) + " to 3.x",
                         "the keys of one generation");
    }
  } else {
    out.generation = Generation::kV2;
  }
  if (out.generation == Generation::kV3) return out;
  out.strict = has_v2_evidence(top);
  if (!options.generation && options.containerbuddy) out.generation = Generation::kV1;
  if (tree.source(top.source).beyond_json) {
    problems.warning(top, "1.x and 2.x would have refused this text: it is JSON5, not JSON");
  }
  return out;
}

}  // namespace containerpilot::agent
