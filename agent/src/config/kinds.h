#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::agent {

// The kinds of values the configuration languages have.

Kind<std::string> text();
/// Text that may not be empty.
Kind<std::string> some_text();
/// Text of which only its kind may ever be printed.
Kind<std::string> secret();
Kind<bool> boolean();
Kind<std::int64_t> integer(std::int64_t least = INT64_MIN, std::int64_t most = INT64_MAX);
/// A finite number; strings with a number in them too.
Kind<double> number();

/// A duration string or a number of seconds. `least` is inclusive; "" leaves the value out.
Kind<Duration> duration(Duration least = Duration::min());
/// What 3.x read as whole seconds: a number above 1 is cut to whole seconds, as it did; ours adds
/// duration strings and fractions of a second.
Kind<Duration> seconds(Duration least = Duration::min());

/// Whole seconds only, as generations 1 and 2 had them.
Kind<Duration> whole_seconds(Duration least = Duration::min());

Kind<std::vector<std::string>> texts();
/// The same, or one string.
Kind<std::vector<std::string>> texts_or_one();
/// `interfaces`: as texts_or_one, with the original's way to print numbers.
Kind<std::vector<std::string>> printed_texts();
/// argv of an exec.
Kind<std::vector<std::string>> argv();
/// An object of texts, in file order.
using TextMap = std::vector<std::pair<std::string, std::string>>;
Kind<TextMap> text_map();
Kind<std::vector<double>> numbers();

/// `"a", "b"`
std::string quoted_words(const std::vector<std::string_view>& words);
/// Which of the words it is; anything else is reported.
std::optional<std::size_t> find_word(Problems& problems, const Node& node,
                                     const std::vector<std::string_view>& words);
/// Anything else is reported.
bool is_object(Problems& problems, const Node& node);
bool is_list_of_objects(Problems& problems, const Node& node);

/// Exactly one of these words.
template <class E>
Kind<E> choice(std::initializer_list<std::pair<std::string_view, E>> words) {
  std::vector<std::string_view> names;
  std::vector<E> values;
  for (const auto& [name, value] : words) names.push_back(name), values.push_back(value);
  Kind<E> kind;
  kind.name = "word";  // the accepted words are its schema
  kind.accepted = quoted_words(names);
  kind.parse = [names = std::move(names), values = std::move(values)](Problems& problems,
                                                                      const Node& node, E& out) {
    const std::optional<std::size_t> found = find_word(problems, node, names);
    if (found) out = values[*found];
    return found.has_value();
  };
  return kind;
}

template <class T>
bool read_object(Problems& problems, const Block& block, const Node& node, T& out) {
  if (!is_object(problems, node)) return false;
  out.node = &node;
  read_block(problems, block, node, &out);
  return true;
}

/// An object with the fields of `block`.
template <class T>
Kind<T> object(BlockMaker block) {
  Kind<T> kind;
  kind.name = "object";
  kind.accepted = "an object";
  kind.parse = [block](Problems& problems, const Node& node, T& out) {
    return read_object(problems, block(), node, out);
  };
  return kind;
}

/// A list of such objects. null elements are left out, as 3.x did.
template <class T>
Kind<std::vector<T>> objects(BlockMaker block) {
  Kind<std::vector<T>> kind;
  kind.name = "list of objects";
  kind.accepted = "a list of objects";
  kind.parse = [block](Problems& problems, const Node& node, std::vector<T>& out) {
    if (!is_list_of_objects(problems, node)) return false;
    for (const Node& child : node) {
      if (problems.full()) return false;
      if (child.is(Node::Kind::kNull)) continue;
      T element;
      if (read_object(problems, block(), child, element)) out.push_back(std::move(element));
    }
    return true;
  };
  return kind;
}

}  // namespace containerpilot::agent
