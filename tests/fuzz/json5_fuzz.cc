// Bytes into the JSON5 parser. Oracle: positions stay inside the text, every error can be shown,
// and what parses once parses the same again.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>
#include <vector>

#include "config/json5.h"
#include "config/tree.h"

namespace {

using namespace containerpilot::agent;

void require(bool holds) {
  if (!holds) std::abort();
}

/// Values below `top`, walked without recursion; each must lie inside the text and know its parent.
std::size_t walk(const Tree& tree, const Node& top) {
  std::size_t count = 0;
  std::vector<const Node*> open = {&top};
  while (!open.empty()) {
    const Node& node = *open.back();
    open.pop_back();
    ++count;
    require(node.offset <= tree.source(node.source).text.size());
    std::size_t children = 0;
    for (const Node& child : node) {
      require(child.parent == &node);
      open.push_back(&child);
      ++children;
    }
    require(children == node.count);
  }
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::size_t counts[2] = {0, 0};
  for (std::size_t& count : counts) {
    Tree tree;
    const auto parsed = parse_json5(tree, tree.add_source("fuzz", text));
    if (const auto* error = std::get_if<SyntaxError>(&parsed)) {
      require(error->offset <= text.size() && !error->message.empty());
      require(!tree.excerpt(0, error->offset).empty());
    } else {
      count = walk(tree, *std::get<Node*>(parsed));
    }
  }
  require(counts[0] == counts[1]);
  return 0;
}
