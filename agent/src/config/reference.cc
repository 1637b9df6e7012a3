#include "containerpilot/agent/reference.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/v3_config.h"

namespace containerpilot::agent {

namespace {

using Json = nlohmann::ordered_json;

void collect(const Block& block, std::vector<const Block*>& out) {
  if (std::find(out.begin(), out.end(), &block) != out.end()) return;
  out.push_back(&block);
  for (const Field& field : block.fields) {
    if (field.block != nullptr) collect(field.block(), out);
  }
}

const std::vector<const Block*>& blocks() {
  static const std::vector<const Block*> all = [] {
    std::vector<const Block*> out;
    collect(v3_block(), out);
    return out;
  }();
  return all;
}

std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.insert(at, "\\");
  return text;
}

bool is_list(const Field& field) { return field.kind.name == "list of objects"; }

std::string value_text(const Field& field) {
  std::string text(field.kind.name);
  if (field.block != nullptr) text.append(" (`").append(field.block().name).append("`)");
  return text;
}

Json block_schema(const Block& block);

Json field_schema(const Field& field) {
  if (field.kind.name == "word") return Json::parse("{\"enum\": [" + field.kind.accepted + "]}");
  if (field.block == nullptr) return Json::parse(field.kind.schema);
  Json object = {{"$ref", "#/$defs/" + std::string(field.block().name)}};
  if (is_list(field)) return {{"type", "array"}, {"items", std::move(object)}};
  if (field.kind.schema.empty()) return object;
  Json other = Json::parse(field.kind.schema);
  Json& types = other["type"];
  types.erase(std::remove(types.begin(), types.end(), Json("object")), types.end());
  return {{"anyOf", {std::move(other), std::move(object)}}};
}

Json block_schema(const Block& block) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Field& field : block.fields) {
    if (field.hidden) continue;
    Json schema = field_schema(field);
    std::string description(field.help);
    if (!field.default_text.empty())
      description.append(" Default: ").append(field.default_text).append(".");
    schema["description"] = std::move(description);
    properties[std::string(field.name)] = schema;
    for (const std::string_view alias : field.aliases) properties[std::string(alias)] = schema;
    if (field.required) required.push_back(field.name);
  }
  Json out = {{"type", "object"}, {"description", block.help}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = std::move(required);
  out["properties"] = std::move(properties);
  return out;
}

}  // namespace

std::vector<std::string> reference_blocks() {
  std::vector<std::string> out;
  for (const Block* block : blocks()) out.emplace_back(block->name);
  return out;
}

std::string reference_table(const std::string& name) {
  const auto found = std::find_if(blocks().begin(), blocks().end(),
                                  [&](const Block* block) { return block->name == name; });
  if (found == blocks().end()) return "";
  const Block& block = **found;
  std::string out(block.help);
  out += "\n\n| key | value | default | meaning |\n|---|---|---|---|\n";
  for (const Field& field : block.fields) {
    if (field.hidden) continue;
    const std::string_view fallback = field.required ? "required" : field.default_text;
    out.append("| `").append(field.name).append(field.since_4 ? "` +" : "`");
    out += " | " + cell(value_text(field));
    out += " | " + cell(std::string(fallback));
    out += " | " + cell(std::string(field.help)) + " |\n";
  }
  return out;
}

std::string json_schema() {
  Json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "ContainerPilot configuration, generation 3"}};
  out.update(block_schema(v3_block()));
  Json definitions = Json::object();
  for (const Block* block : blocks()) {
    if (block != &v3_block()) definitions[std::string(block->name)] = block_schema(*block);
  }
  out["$defs"] = std::move(definitions);
  return out.dump(2) + "\n";
}

}  // namespace containerpilot::agent
