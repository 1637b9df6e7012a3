#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/problems.h"
#include "config/tree.h"

namespace containerpilot::agent {

// A configuration language is a set of blocks (objects), each a table of fields. A field is
// declared once: name, kind of value, default, help. Decoding, error messages, the reference pages
// and the JSON Schema for editors all come from these tables.

/// A value as it was written, or its default; `node` is null when it was left out (or null).
template <class T>
struct Value {
  T value{};
  const Node* node = nullptr;
  explicit operator bool() const { return node != nullptr; }
  const T& operator*() const { return value; }
  const T* operator->() const { return &value; }
};

/// What a kind of value accepts, for people and for editors.
struct KindInfo {
  std::string_view name;    ///< "duration", in the reference tables
  std::string accepted;     ///< `a duration like "250ms", or a number of seconds`, in messages
  std::string_view schema;  ///< JSON Schema: `{"type": ["string", "number"]}`
};

/// A kind of value and how it is read: `parse` stores into the target or says why it cannot
/// (returning false). Problems found inside a nested block are its own.
template <class T>
struct Kind : KindInfo {
  std::function<bool(Problems&, const Node&, T&)> parse;
};

struct Block;

/// A block is made when a configuration first uses it: most use few of them.
using BlockMaker = const Block& (*)();

/// Where a field's value goes: `value` is the T of a Value<T>.
struct Slot {
  void* value;
  const Node** node;
};

/// The tables are made at every start: texts are literals, and what is the same for all types of
/// values is compiled once.
struct Field {
  std::string_view name;
  std::vector<std::string_view> aliases;  ///< also accepted, not advertised
  KindInfo kind;
  std::string_view default_text;  ///< for the reference; empty: none
  std::string_view help;
  BlockMaker block = nullptr;  ///< of an object, or of the elements of a list
  bool required = false;
  bool since_4 = false;  ///< unknown to the old program
  bool hidden = false;   ///< only there to explain itself
  std::function<Slot(void* target)> slot;
  std::function<bool(Problems&, const Node&, void* value)> parse;

  /// False when the value counts as left out, or was reported.
  bool read(Problems& problems, const Node& node, void* target) const;
};

/// A key that is not one here, with something better to say than "unknown".
struct NotedKey {
  std::string_view name;
  std::string_view advice;
};

enum class KeyCase : std::uint8_t { kExact, kAny };

struct Block {
  std::string_view name;  ///< "health"
  std::string_view help;
  std::vector<Field> fields;
  std::vector<NotedKey> ignored;     ///< the old program swallowed them: a warning
  std::vector<NotedKey> foreign;     ///< from another dialect: always an error
  std::vector<NotedKey> planned;     ///< of the vocabulary, but nothing acts on them yet: an error
  KeyCase key_case = KeyCase::kAny;  ///< 3.x: exact at the top, any below
};

/// Decodes an object into the struct `block` describes. Unknown keys, keys given twice in different
/// spellings and missing required ones are reported; so is every bad value.
void read_block(Problems& problems, const Block& block, const Node& object, void* target);

/// Nearest of `names` to `word`, if it is near enough to be a slip of the finger; else empty.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& names);

std::string lower_case(std::string_view text);

Field& add_field(Block& block, std::string_view name, KindInfo kind, std::string_view default_text,
                 std::string_view help);

template <class V>
std::function<bool(Problems&, const Node&, void*)> untyped(
    std::function<bool(Problems&, const Node&, V&)> parse) {
  return [parse = std::move(parse)](Problems& problems, const Node& node, void* value) {
    return parse(problems, node, *static_cast<V*>(value));
  };
}

/// Declares the block of struct T:
///   BlockOf<Watch>("watch", "…").field("tag", &Watch::tag, text(), "", "…").build()
template <class T>
class BlockOf {
 public:
  BlockOf(std::string_view name, std::string_view help) { block_.name = name, block_.help = help; }

  template <class V>
  BlockOf& field(std::string_view name, Value<V> T::*member, Kind<V> kind,
                 std::string_view default_text, std::string_view help) {
    auto parse = std::move(kind.parse);  // the rest is what every kind has
    Field& field = add_field(block_, name, std::move(kind), default_text, help);
    field.slot = [member](void* target) {
      Value<V>& value = static_cast<T*>(target)->*member;
      return Slot{&value.value, &value.node};
    };
    field.parse = untyped(std::move(parse));
    return *this;
  }
  /// All fields of a struct that T holds: the same keys in several blocks.
  template <class Part>
  BlockOf& include(Part T::*member, const Block& part) {
    for (Field field : part.fields) {
      field.slot = [member, slot = std::move(field.slot)](void* target) {
        return slot(&(static_cast<T*>(target)->*member));
      };
      block_.fields.push_back(std::move(field));
    }
    return *this;
  }
  /// All fields of another block of the same struct.
  BlockOf& include_same(const Block& part) {
    block_.fields.insert(block_.fields.end(), part.fields.begin(), part.fields.end());
    return *this;
  }
  // These say more about the field declared last.
  BlockOf& alias(std::string_view name) {
    return block_.fields.back().aliases.push_back(name), *this;
  }
  BlockOf& of(BlockMaker block) { return block_.fields.back().block = block, *this; }
  BlockOf& required() { return block_.fields.back().required = true, *this; }
  BlockOf& hidden() { return block_.fields.back().hidden = true, *this; }
  BlockOf& since_4() { return block_.fields.back().since_4 = true, *this; }

  BlockOf& ignore(std::vector<NotedKey> keys) { return block_.ignored = std::move(keys), *this; }
  BlockOf& foreign(std::vector<NotedKey> keys) { return block_.foreign = std::move(keys), *this; }
  BlockOf& planned(std::vector<NotedKey> keys) { return block_.planned = std::move(keys), *this; }
  BlockOf& exact_case() { return block_.key_case = KeyCase::kExact, *this; }
  Block build() { return std::move(block_); }

 private:
  Block block_;
};

}  // namespace containerpilot::agent
