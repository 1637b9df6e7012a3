#pragma once

#include <cstdint>
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

/// Exactly one of these words.
template <class E>
Kind<E> choice(std::vector<std::pair<std::string, E>> words) {
  Kind<E> kind;
  kind.name = "word";
  kind.schema = R"({"enum": [)";
  for (const auto& [word, value] : words) {
    const char* comma = kind.accepted.empty() ? "" : ", ";
    kind.accepted += comma + ("\"" + word + "\"");
    kind.schema += comma + ("\"" + word + "\"");
  }
  kind.schema += "]}";
  kind.parse = [words = std::move(words), accepted = kind.accepted](Problems& problems,
                                                                    const Node& node, E& out) {
    std::vector<std::string_view> names;
    for (const auto& [word, value] : words) {
      names.push_back(word);
      if (!node.is(Node::Kind::kString) || node.text != word) continue;
      out = value;
      return true;
    }
    std::string message = "found " + describe(node);
    const std::string_view near = node.is(Node::Kind::kString) ? nearest(node.text, names) : "";
    if (!near.empty()) message += ", did you mean \"" + std::string(near) + "\"?";
    problems.error(node, std::move(message), accepted);
    return false;
  };
  return kind;
}

/// An object with the fields of `block`.
template <class T>
Kind<T> object(const Block& block) {
  Kind<T> kind;
  kind.name = "object";
  kind.accepted = "an object";
  kind.parse = [&block](Problems& problems, const Node& node, T& out) {
    if (!node.is(Node::Kind::kObject)) {
      problems.error(node, "found " + describe(node), "an object");
      return false;
    }
    out.node = &node;
    read_block(problems, block, node, &out);
    return true;
  };
  return kind;
}

/// A list of such objects. null elements are left out, as 3.x did.
template <class T>
Kind<std::vector<T>> objects(const Block& block) {
  Kind<std::vector<T>> kind;
  kind.name = "list of objects";
  kind.accepted = "a list of objects";
  kind.parse = [one = object<T>(block)](Problems& problems, const Node& node, std::vector<T>& out) {
    if (!node.is(Node::Kind::kArray)) {
      problems.error(node, "found " + describe(node), "a list of objects: [ { … }, … ]");
      return false;
    }
    for (const Node& child : node) {
      if (problems.full()) return false;
      if (child.is(Node::Kind::kNull)) continue;
      T element;
      if (one.parse(problems, child, element)) out.push_back(std::move(element));
    }
    return true;
  };
  return kind;
}

}  // namespace containerpilot::agent
