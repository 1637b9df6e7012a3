#include "config/json5.h"

#include <unordered_map>
#include <utility>
#include <vector>

#include "config/json5_scanner.h"

namespace containerpilot::agent {

namespace {

constexpr std::size_t kFewMembers = 16;  // up to here comparing all keys beats a hash map

/// Of members with the same key only the last stays.
void drop_duplicates(Node& object) {
  if (object.count < 2) return;
  std::unordered_map<std::string_view, const Node*> last;
  if (object.count <= kFewMembers) {
    bool duplicate = false;
    for (const Node* a = object.first; a != nullptr && !duplicate; a = a->next) {
      for (const Node* b = a->next; b != nullptr; b = b->next) duplicate |= a->key == b->key;
    }
    if (!duplicate) return;
  }
  for (const Node& child : object) last[child.key] = &child;
  if (last.size() == object.count) return;
  Node** link = &object.first;
  for (Node* child = object.first; child != nullptr; child = child->next) {
    if (last[child->key] != child) continue;
    *link = child;
    link = &child->next;
  }
  *link = nullptr;
  object.count = static_cast<std::uint32_t>(last.size());
}

class Parser {
 public:
  using LineSeparator = Json5Scanner::LineSeparator;

  Parser(Tree& tree, std::uint16_t source, const Json5Limits& limits, LineSeparator separator)
      : tree_(tree), index_(source), limits_(limits), scan_(tree, source, separator) {}

  std::variant<Node*, SyntaxError> run() {
    Node* top = parse();
    if (scan_.error()) return *scan_.error();
    return top;
  }

  [[nodiscard]] bool separator_in_comment() const { return scan_.separator_in_comment(); }

 private:
  struct Open {
    Node* node;
    Node* last = nullptr;
  };

  Node* parse() {
    if (!scan_.skip_space()) return nullptr;
    Node* top = value(nullptr);
    while (top != nullptr && !stack_.empty()) {
      if (!step()) return nullptr;
    }
    if (top == nullptr || !scan_.skip_space()) return nullptr;
    if (!scan_.at_end()) return fail("nothing may follow the value, found " + scan_.found_here());
    return top;
  }

  /// One member, element or closing bracket of the innermost open container.
  bool step() {
    Open& open = stack_.back();
    const bool object = open.node->is(Node::Kind::kObject);
    const char close = object ? '}' : ']';
    if (!scan_.skip_space()) return false;
    if (open.node->count > 0 && scan_.peek() != close) {
      if (scan_.peek() != ',') {
        return scan_.refuse(std::string("expected ',' or '") + close + "' after the value, found " +
                            scan_.found_here() + unclosed_hint(*open.node));
      }
      scan_.skip_character();
      if (!scan_.skip_space()) return false;
      if (scan_.peek() == close) scan_.beyond_json();  // trailing comma
    }
    if (scan_.peek() == close) {
      scan_.skip_character();
      if (object) drop_duplicates(*open.node);
      stack_.pop_back();
      return true;
    }
    return object ? member() : value(open.node) != nullptr;
  }

  bool member() {
    const std::uint32_t key_offset = scan_.here();
    if (scan_.at_end()) {
      return scan_.refuse("expected a key or '}', found the end of the text" +
                          unclosed_hint(*stack_.back().node));
    }
    const std::optional<std::string_view> key = scan_.key();
    if (!key || !scan_.skip_space()) return false;
    if (scan_.peek() != ':') {
      return scan_.refuse("expected ':' after the key '" + std::string(*key) + "', found " +
                          scan_.found_here() +
                          (scan_.peek() == '-' ? " (a key with a '-' needs quotes)" : ""));
    }
    scan_.skip_character();
    if (!scan_.skip_space()) return false;
    Node* node = value(stack_.back().node);
    if (node == nullptr) return false;
    node->key = *key;
    node->key_offset = key_offset;
    return true;
  }

  /// Reads a scalar whole and only opens a container; null on error.
  Node* value(Node* parent) {
    if (tree_.size() >= limits_.max_values) {
      return fail("more than " + std::to_string(limits_.max_values) + " values");
    }
    const char c = scan_.peek();
    Node& node = tree_.add_node();
    node.source = index_;
    node.offset = scan_.here();
    node.parent = parent;
    if (c == '{' || c == '[') {
      if (stack_.size() >= limits_.max_depth) {
        return fail("nested more than " + std::to_string(limits_.max_depth) + " deep");
      }
      node.kind = c == '{' ? Node::Kind::kObject : Node::Kind::kArray;
      scan_.skip_character();
    } else if (c == '"' || c == '\'') {
      const std::optional<std::string_view> text = scan_.string();
      if (!text) return nullptr;
      node.kind = Node::Kind::kString;
      node.text = *text;
    } else if (!(scan_.literal(node) || scan_.number(node))) {
      return scan_.error() ? nullptr : fail("expected a value, found " + scan_.found_here());
    }
    append(parent, node);
    if (node.is(Node::Kind::kObject) || node.is(Node::Kind::kArray)) stack_.push_back({&node});
    return &node;
  }

  void append(Node* parent, Node& node) {
    if (parent == nullptr) return;
    Open& open = stack_.back();
    (open.last == nullptr ? parent->first : open.last->next) = &node;
    open.last = &node;
    ++parent->count;
  }

  [[nodiscard]] std::string unclosed_hint(const Node& open) const {
    if (!scan_.at_end()) return "";
    const Position p = tree_.position(index_, open.offset);
    return std::string(" ('") + (open.is(Node::Kind::kObject) ? "{" : "[") + "' of line " +
           std::to_string(p.line) + " is still open)";
  }

  Node* fail(std::string message) {
    scan_.refuse(std::move(message));
    return nullptr;
  }

  Tree& tree_;
  const std::uint16_t index_;
  const Json5Limits limits_;
  Json5Scanner scan_;
  std::vector<Open> stack_;
};

}  // namespace

std::variant<Node*, SyntaxError> parse_json5(Tree& tree, std::uint16_t source,
                                             const Json5Limits& limits) {
  // A file that worked must go on to work, also with such a character pasted into a comment; what
  // only JSON5 takes comes second.
  Parser as_before(tree, source, limits, Parser::LineSeparator::kText);
  auto result = as_before.run();
  if (std::holds_alternative<Node*>(result) || !as_before.separator_in_comment()) return result;
  auto specified = Parser(tree, source, limits, Parser::LineSeparator::kLineEnd).run();
  return std::holds_alternative<Node*>(specified) ? specified : result;
}

}  // namespace containerpilot::agent
