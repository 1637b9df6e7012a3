#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace containerpilot::agent {

/// What -check reads in place of a variable that is not set: it may be anything, so what is said of
/// such a value is no error.
inline constexpr std::string_view kUnset = "∅";

/// One value of a parsed configuration, with the place it was written at. Children are a linked
/// list in file order, so that any depth and size is walked, merged and destroyed without
/// recursion.
struct Node {
  enum class Kind : std::uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  bool unset = false;            ///< kNull: nothing but kUnset stands there
  std::uint16_t source = 0;      ///< index of the text it came from
  std::uint32_t offset = 0;      ///< byte offset of the value in that text
  std::uint32_t key_offset = 0;  ///< of the member's key, when the parent is an object
  std::uint32_t count = 0;       ///< children
  double number = 0;
  std::string_view text;  ///< kString: the value; kNumber: as written
  std::string_view key;   ///< when the parent is an object
  Node* first = nullptr;
  Node* next = nullptr;
  const Node* parent = nullptr;

  [[nodiscard]] bool is(Kind k) const { return kind == k; }
  /// Exact key; null when this is not an object or has no such member.
  [[nodiscard]] const Node* find(std::string_view name) const;

  /// Forward iterator over the children.
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = const Node;
    using difference_type = std::ptrdiff_t;
    using pointer = const Node*;
    using reference = const Node&;

    Iterator() = default;
    explicit Iterator(const Node* node) : node_(node) {}
    reference operator*() const { return *node_; }
    pointer operator->() const { return node_; }
    Iterator& operator++() {
      node_ = node_->next;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const Node* node_ = nullptr;
  };
  [[nodiscard]] Iterator begin() const { return Iterator(first); }
  [[nodiscard]] Iterator end() const { return Iterator(nullptr); }
};

/// Line and column, both from 1; columns count characters, not bytes.
struct Position {
  unsigned line = 1;
  unsigned column = 1;
};

/// The texts a configuration came from and every value parsed from them. Nodes and views live as
/// long as the tree.
class Tree {
 public:
  struct Source {
    std::string name;  ///< file name for messages
    std::string text;
    std::vector<std::uint32_t> line_starts;
    bool beyond_json =
        false;  ///< comment, bare key, trailing comma, …: JSON proper would refuse it
    bool has_unset = false;  ///< kUnset has its meaning
  };

  Tree() = default;
  ~Tree() = default;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  std::uint16_t add_source(std::string name, std::string text);
  Node& add_node() { return nodes_.emplace_back(); }
  /// Keeps a decoded string that is not a piece of a source.
  std::string_view keep(std::string text) { return strings_.emplace_back(std::move(text)); }

  [[nodiscard]] const Source& source(std::uint16_t index) const { return sources_[index]; }
  [[nodiscard]] Source& source(std::uint16_t index) { return sources_[index]; }
  [[nodiscard]] const std::deque<Source>& sources() const { return sources_; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

  /// Inverse of position(); a place outside the text is moved to its nearest end.
  [[nodiscard]] std::uint32_t offset(std::uint16_t source, Position position) const;
  [[nodiscard]] Position position(std::uint16_t source, std::uint32_t offset) const;
  /// The line around `offset` and a caret under it, cut to a readable width:
  /// "  12 |   interval: 5 s,\n     |             ^". Values of secret-looking keys print as ***.
  [[nodiscard]] std::string excerpt(std::uint16_t source, std::uint32_t offset) const;

 private:
  std::deque<Source> sources_;
  std::deque<Node> nodes_;
  std::deque<std::string> strings_;
};

/// "jobs[0].health.interval"; empty for the top.
std::string path_of(const Node& node);

}  // namespace containerpilot::agent
