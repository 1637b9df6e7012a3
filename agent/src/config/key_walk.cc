#include "config/key_walk.h"

#include "config/schema.h"

namespace containerpilot::agent {

namespace {

constexpr int kDeepest = 6;  // no key of a configuration lies deeper

using Visit = std::function<void(const std::string& pattern, const Node& node)>;

void walk(const Node& parent, const std::string& path, int depth, const Visit& visit) {
  if (depth > kDeepest) return;
  for (const Node& node : parent) {
    const std::string pattern = parent.is(Node::Kind::kArray)
                                    ? path + "[]"
                                    : (path.empty() ? "" : path + ".") + lower_case(node.key);
    if (!node.is(Node::Kind::kNull)) visit(pattern, node);
    walk(node, pattern, depth + 1, visit);
  }
}

}  // namespace

void for_each_key(const Node& top, const Visit& visit) { walk(top, "", 0, visit); }

}  // namespace containerpilot::agent
