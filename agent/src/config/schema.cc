#include "config/schema.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace containerpilot::agent {

namespace {

bool matches(const Field& field, std::string_view key) {
  return field.name == key ||
         std::find(field.aliases.begin(), field.aliases.end(), key) != field.aliases.end();
}

/// Exact spelling first, then, where the block allows it, any case.
const Field* find_field(const Block& block, std::string_view key) {
  for (const Field& field : block.fields) {
    if (matches(field, key)) return &field;
  }
  if (block.key_case == KeyCase::kExact) return nullptr;
  const std::string wanted = lower_case(key);
  for (const Field& field : block.fields) {
    if (lower_case(field.name) == wanted) return &field;
    for (const std::string_view alias : field.aliases) {
      if (lower_case(alias) == wanted) return &field;
    }
  }
  return nullptr;
}

const NotedKey* find_noted(const std::vector<NotedKey>& keys, std::string_view key) {
  const auto found = std::find_if(
      keys.begin(), keys.end(),
      [wanted = lower_case(key)](const NotedKey& k) { return lower_case(k.name) == wanted; });
  return found == keys.end() ? nullptr : &*found;
}

void report_unknown(Problems& problems, const Block& block, const Node& node) {
  const std::string key = "'" + printable(node.key) + "'";
  if (const NotedKey* noted = find_noted(block.ignored, node.key); noted != nullptr) {
    problems.key_warning(
        node,
        key + " has no effect" + (noted->advice.empty() ? "" : ": " + std::string(noted->advice)));
    return;
  }
  if (const NotedKey* noted = find_noted(block.foreign, node.key); noted != nullptr) {
    problems.key_error(node, "unknown key " + key, std::string(noted->advice));
    return;
  }
  if (const NotedKey* noted = find_noted(block.planned, node.key); noted != nullptr) {
    problems.key_error(node, key + " is not built in yet", std::string(noted->advice));
    return;
  }
  std::vector<std::string_view> names;
  std::string accepted;
  for (const Field& field : block.fields) {
    if (field.hidden) continue;
    names.push_back(field.name);
    accepted.append(accepted.empty() ? "" : ", ").append(field.name);
  }
  const std::string_view near = nearest(node.key, names);
  std::string message = "unknown key " + key;
  if (!near.empty()) message += ", did you mean '" + std::string(near) + "'?";
  problems.unknown_key(node, std::move(message), std::move(accepted));
}

}  // namespace

bool Field::read(Problems& problems, const Node& node, void* target) const {
  const auto [value, place] = slot(target);
  const bool good = parse(problems, node, value);
  if (good) *place = &node;
  return good;
}

Field& add_field(Block& block, std::string_view name, KindInfo kind, std::string_view default_text,
                 std::string_view help) {
  Field& field = block.fields.emplace_back();
  field.name = name;
  field.kind = std::move(kind);
  field.default_text = default_text;
  field.help = help;
  return field;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& names) {
  constexpr std::size_t kLongest = 40;  // of a key worth comparing
  if (word.size() > kLongest) return {};
  const std::string wanted = lower_case(word);
  std::string_view best;
  std::size_t best_distance =
      wanted.size() / 3 + 2;  // exclusive: a third of the letters, at least one
  for (const std::string_view name : names) {
    const std::string candidate = lower_case(name);
    // Optimal string alignment: insertions, deletions, substitutions, swapped neighbours.
    std::vector<std::size_t> before_previous;
    std::vector<std::size_t> previous(candidate.size() + 1);
    std::iota(previous.begin(), previous.end(), std::size_t{0});
    for (std::size_t i = 1; i <= wanted.size(); ++i) {
      std::vector<std::size_t> row(candidate.size() + 1, i);
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const bool same = wanted[i - 1] == candidate[j - 1];
        row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (same ? 0U : 1U)});
        const bool swapped = i > 1 && j > 1 && wanted[i - 1] == candidate[j - 2] &&
                             wanted[i - 2] == candidate[j - 1];
        if (swapped) row[j] = std::min(row[j], before_previous[j - 2] + 1);
      }
      before_previous = std::move(previous);
      previous = std::move(row);
    }
    if (previous.back() < best_distance) {
      best_distance = previous.back();
      best = name;
    }
  }
  return best;
}

void read_block(Problems& problems, const Block& block, const Node& object, void* target) {
  std::vector<const Node*> given(block.fields.size(), nullptr);
  for (const Node& member : object) {
    if (problems.full()) return;
    const Field* field = find_field(block, member.key);
    if (field == nullptr) {
      report_unknown(problems, block, member);
      continue;
    }
    const Node*& first = given[static_cast<std::size_t>(field - block.fields.data())];
    if (first != nullptr) {
      problems.key_error(member, "'" + printable(member.key) + "' and '" + printable(first->key) +
                                     "' are the same key; give only one of them");
      continue;
    }
    first = &member;
    if (member.is(Node::Kind::kNull)) continue;
    const std::size_t errors = problems.error_count();
    const bool set = field->read(problems, member, target);
    if (!set && field->required && problems.error_count() == errors) {
      problems.error(member, "found " + describe(member), field->kind.accepted);
    }
  }
  for (std::size_t i = 0; i < block.fields.size(); ++i) {
    const Field& field = block.fields[i];
    const bool missing =
        given[i] == nullptr || (given[i]->is(Node::Kind::kNull) && !given[i]->unset);
    if (field.required && missing) {
      problems.error(object, "'" + std::string(field.name) + "' is missing", field.kind.accepted);
    }
  }
}

}  // namespace containerpilot::agent
