#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace containerpilot::discovery {

/// Puts every kind of value in the place of every value of a document, and removes each, in turn.
template <class Visit>
void mutate(const nlohmann::json& document, const Visit& visit) {
  using nlohmann::json;
  const std::vector<json> values = {nullptr,
                                    true,
                                    -1,
                                    65536,
                                    1e300,
                                    "text",
                                    json::array(),
                                    json::object(),
                                    json::array({1}),
                                    std::string(5000, 'x'),
                                    {{"k", 1}}};
  const json flat = document.flatten();
  std::set<std::string> places = {""};
  for (const auto& [place, value] : flat.items()) {
    for (std::string p = place; !p.empty(); p.erase(p.rfind('/'))) places.insert(p);
  }
  for (const std::string& place : places) {
    for (const json& value : values) {
      json changed = document;
      changed[json::json_pointer(place)] = value;
      visit(changed.dump());
    }
    if (place.empty()) continue;
    json changed = document;
    const json::json_pointer pointer(place);
    json& parent = changed[pointer.parent_pointer()];
    if (parent.is_object()) {
      parent.erase(pointer.back());
    } else {
      parent.erase(std::stoul(pointer.back()));
    }
    visit(changed.dump());
  }
}

}  // namespace containerpilot::discovery
