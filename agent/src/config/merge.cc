#include "config/merge.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/schema.h"

namespace containerpilot::agent {

namespace {

using NodeKind = Node::Kind;

constexpr int kDeepest = 100;  // below, values are replaced whole; no configuration is that deep
constexpr std::array<std::string_view, 3> kCatalogs = {"consul", "etcd", "catalog"};

std::string comparable(const Node& member) {
  const bool at_top = member.parent->parent == nullptr;
  return at_top ? std::string(member.key) : lower_case(member.key);
}

/// What tells the elements of a list apart; empty when they have no names.
std::string_view name_of(const Node& element) {
  if (!element.is(NodeKind::kObject)) return {};
  for (const Node& member : element) {
    const std::string key = lower_case(member.key);
    if ((key == "name" || key == "service") && member.is(NodeKind::kString)) return member.text;
  }
  return {};
}

bool has_names(const Node& list) {
  if (!list.is(NodeKind::kArray) || list.first == nullptr) return false;
  for (const Node& element : list) {
    if (name_of(element).empty() && !element.is(NodeKind::kNull)) return false;
  }
  return true;
}

Node* last_child(Node& parent) {
  Node* last = parent.first;
  while (last != nullptr && last->next != nullptr) last = last->next;
  return last;
}

void append(Node& parent, Node*& last, Node& child) {
  (last == nullptr ? parent.first : last->next) = &child;
  child.next = nullptr;
  child.parent = &parent;
  last = &child;
  ++parent.count;
}

void adopt_children(Node& node) {
  for (Node* child = node.first; child != nullptr; child = child->next) child->parent = &node;
}

/// The value of `over` in the place of `base`; the key stays.
void replace_value(Node& base, const Node& over) {
  const std::string_view key = base.key;
  Node* const next = base.next;
  const Node* const parent = base.parent;
  base = over;
  base.key = key;
  base.next = next;
  base.parent = parent;
  adopt_children(base);
}

/// As if the key had been given as null: read as left out.
void clear(Node& node) {
  node.kind = NodeKind::kNull;
  node.first = nullptr;
  node.count = 0;
}

void merge_values(Node& base, Node& over, int depth);

void merge_lists(Node& base, Node& over, int depth) {
  std::unordered_map<std::string_view, Node*> known;
  for (Node* element = base.first; element != nullptr; element = element->next) {
    known.emplace(name_of(*element), element);
  }
  Node* last = last_child(base);
  for (Node* element = over.first; element != nullptr;) {
    Node* const following = element->next;
    const auto found = known.find(name_of(*element));
    if (found == known.end()) {
      append(base, last, *element);
    } else {
      merge_values(*found->second, *element, depth);
    }
    element = following;
  }
}

void merge_objects(Node& base, Node& over, int depth) {
  std::unordered_map<std::string, Node*> known;
  for (Node* member = base.first; member != nullptr; member = member->next) {
    known.emplace(comparable(*member), member);
  }
  Node* last = last_child(base);
  for (Node* member = over.first; member != nullptr;) {
    Node* const following = member->next;
    const auto found = known.find(comparable(*member));
    if (found == known.end()) {
      append(base, last, *member);
    } else {
      merge_values(*found->second, *member, depth);
    }
    member = following;
  }
}

void merge_values(Node& base, Node& over, int depth) {
  if (depth < kDeepest && base.is(NodeKind::kObject) && over.is(NodeKind::kObject)) {
    merge_objects(base, over, depth + 1);
  } else if (depth < kDeepest && has_names(base) && has_names(over)) {
    merge_lists(base, over, depth + 1);
  } else {
    replace_value(base, over);
  }
}

}  // namespace

void merge(Node& base, Node& over) {
  const auto is_catalog = [](const Node& member) {
    return std::find(kCatalogs.begin(), kCatalogs.end(), member.key) != kCatalogs.end() &&
           !member.is(NodeKind::kNull);
  };
  if (std::any_of(over.begin(), over.end(), is_catalog)) {
    for (Node* member = base.first; member != nullptr; member = member->next) {
      if (is_catalog(*member) && over.find(member->key) == nullptr) clear(*member);
    }
  }
  merge_objects(base, over, 0);
}

}  // namespace containerpilot::agent
