#include "config/kinds.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "config/coerce.h"
#include "containerpilot/agent/duration.h"

namespace containerpilot::agent {

namespace {

using NodeKind = Node::Kind;

bool wrong(Problems& problems, const Node& node, std::string_view accepted,
           const std::string& why = {}) {
  problems.error(node, "found " + describe(node) + (why.empty() ? "" : ", " + why),
                 std::string(accepted));
  return false;
}

template <class T>
Kind<T> make_kind(std::string_view name, std::string_view accepted, std::string_view schema,
                  std::function<bool(Problems&, const Node&, T&)> parse) {
  Kind<T> kind;
  kind.name = name;
  kind.accepted = accepted;
  kind.schema = schema;
  kind.parse = std::move(parse);
  return kind;
}

/// The kind made of one weak conversion.
template <class T>
Kind<T> weak(std::string_view name, std::string_view accepted, std::string_view schema,
             std::optional<T> (*convert)(const Node&)) {
  return make_kind<T>(name, accepted, schema,
                      [accepted, convert](Problems& problems, const Node& node, T& out) {
                        std::optional<T> value = convert(node);
                        if (!value) return wrong(problems, node, accepted);
                        out = std::move(*value);
                        return true;
                      });
}

/// Seconds as a double to nanoseconds, if they fit.
std::optional<Duration> from_seconds(double seconds) {
  const double nanoseconds = std::round(seconds * 1e9);
  if (!(std::fabs(nanoseconds) < 9.2e18)) return std::nullopt;
  return Duration{static_cast<std::int64_t>(nanoseconds)};
}

std::string at_least(Duration least) {
  return least == Duration::min() ? "" : ", at least " + format_duration(least);
}

constexpr const char* kTextSchema = R"({"type": ["string", "number", "boolean"]})";
constexpr const char* kTextsSchema =
    R"({"type": "array", "items": {"type": ["string", "number", "boolean"]}})";
constexpr const char* kOneOrMoreSchema =
    R"({"type": ["string", "array"], "items": {"type": ["string", "number", "boolean"]}})";
constexpr const char* kDurationSchema = R"({"type": ["string", "number"]})";

}  // namespace

std::string quoted_words(const std::vector<std::string_view>& words) {
  std::string out;
  for (const std::string_view word : words)
    out.append(out.empty() ? "\"" : ", \"").append(word).append("\"");
  return out;
}

std::optional<std::size_t> find_word(Problems& problems, const Node& node,
                                     const std::vector<std::string_view>& words) {
  if (node.is(NodeKind::kString)) {
    const auto found = std::find(words.begin(), words.end(), node.text);
    if (found != words.end()) return found - words.begin();
  }
  const std::string_view near = node.is(NodeKind::kString) ? nearest(node.text, words) : "";
  wrong(problems, node, quoted_words(words),
        near.empty() ? "" : "did you mean \"" + std::string(near) + "\"?");
  return std::nullopt;
}

bool is_object(Problems& problems, const Node& node) {
  return node.is(NodeKind::kObject) || wrong(problems, node, "an object");
}

bool is_list_of_objects(Problems& problems, const Node& node) {
  return node.is(NodeKind::kArray) || wrong(problems, node, "a list of objects: [ { … }, … ]");
}

Kind<std::string> text() { return weak<std::string>("text", "a string", kTextSchema, to_text); }
Kind<std::string> secret() { return text(); }

Kind<std::string> some_text() {
  static constexpr std::string_view kAccepted = "a string that is not empty";
  return make_kind<std::string>("text", kAccepted, kTextSchema,
                                [](Problems& problems, const Node& node, std::string& out) {
                                  std::optional<std::string> value = to_text(node);
                                  if (!value) return wrong(problems, node, "a string");
                                  out = std::move(*value);
                                  return !out.empty() || wrong(problems, node, kAccepted);
                                });
}

Kind<bool> boolean() {
  return weak<bool>("true or false", "true or false",
                    R"({"type": ["boolean", "string", "number"]})", to_boolean);
}

Kind<std::int64_t> integer(std::int64_t least, std::int64_t most) {
  std::string accepted = "a whole number";
  if (least != INT64_MIN && most != INT64_MAX) {
    accepted += " from " + std::to_string(least) + " to " + std::to_string(most);
  } else if (least != INT64_MIN) {
    accepted += ", at least " + std::to_string(least);
  }
  return make_kind<std::int64_t>(
      "whole number", accepted, R"({"type": ["integer", "string"]})",
      [=](Problems& problems, const Node& node, std::int64_t& out) {
        const std::optional<std::int64_t> value = to_integer(node);
        if (!value || *value < least || *value > most) return wrong(problems, node, accepted);
        if (node.is(NodeKind::kNumber) && node.number != std::trunc(node.number)) {
          problems.warning(node, "found " + describe(node) + ", read as " + std::to_string(*value));
        }
        if (is_octal_looking(node)) {
          problems.warning(node,
                           "found " + describe(node) +
                               ", whose leading zero makes it octal: " + std::to_string(*value));
        }
        out = *value;
        return true;
      });
}

Kind<double> number() {
  return make_kind<double>("number", "a number", R"({"type": ["number", "string"]})",
                           [](Problems& problems, const Node& node, double& out) {
                             double value = NAN;
                             if (node.is(NodeKind::kNumber)) value = node.number;
                             if (node.is(NodeKind::kString)) {
                               const char* end = node.text.data() + node.text.size();
                               if (std::from_chars(node.text.data(), end, value).ptr != end)
                                 value = NAN;
                             }
                             if (!std::isfinite(value)) return wrong(problems, node, "a number");
                             out = value;
                             return true;
                           });
}

Kind<Duration> duration(Duration least) {
  const std::string accepted =
      "a duration like \"250ms\", \"5s\" or \"1h30m\", or a number of seconds" + at_least(least);
  return make_kind<Duration>("duration", accepted, kDurationSchema,
                             [=](Problems& problems, const Node& node, Duration& out) {
                               std::optional<Duration> value;
                               std::string why;
                               const std::optional<std::string> written = to_text(node);
                               if (node.is(NodeKind::kNumber)) {
                                 value = from_seconds(node.number);
                               } else if (written) {
                                 if (written->empty()) return false;  // as if left out
                                 Result<Duration> parsed = parse_duration(*written);
                                 if (parsed) {
                                   value = parsed.value();
                                 } else {
                                   const std::string& reason = parsed.error().text();
                                   const std::size_t from = reason.find(": ") + 2;
                                   why = reason.substr(from, reason.find(';') - from);
                                 }
                               }
                               if (!value || *value < least)
                                 return wrong(problems, node, accepted, why);
                               out = *value;
                               return true;
                             });
}

namespace {

/// A number cut to whole seconds, or a string that is one; odd spellings are warned of.
bool read_whole_seconds(Problems& problems, const Node& node, std::int64_t whole, Duration least,
                        std::string_view accepted, Duration& out) {
  const std::optional<Duration> value = from_seconds(static_cast<double>(whole));
  if (!value || *value < least) return wrong(problems, node, accepted);
  if (node.is(NodeKind::kNumber) && node.number != std::trunc(node.number)) {
    problems.warning(node,
                     "found " + describe(node) + ", read as " + std::to_string(whole) + " seconds");
  }
  if (is_octal_looking(node)) {
    problems.warning(node, "found " + describe(node) + ", whose leading zero makes it octal: " +
                               std::to_string(whole) + " seconds");
  }
  out = *value;
  return true;
}

}  // namespace

Kind<Duration> seconds(Duration least) {
  Kind<Duration> kind = duration(least);
  kind.parse = [inner = kind.parse, accepted = kind.accepted, least](
                   Problems& problems, const Node& node, Duration& out) {
    const bool fraction = node.is(NodeKind::kNumber) && std::fabs(node.number) < 1;
    const std::optional<std::int64_t> whole = fraction ? std::nullopt : to_integer(node);
    if (whole) return read_whole_seconds(problems, node, *whole, least, accepted, out);
    if (node.is(NodeKind::kString) && node.text.empty()) return wrong(problems, node, accepted);
    return inner(problems, node, out);
  };
  return kind;
}

Kind<Duration> whole_seconds(Duration least) {
  const std::string accepted = "a whole number of seconds" + at_least(least);
  return make_kind<Duration>("seconds", accepted, R"({"type": ["integer", "string"]})",
                             [=](Problems& problems, const Node& node, Duration& out) {
                               const std::optional<std::int64_t> whole = to_integer(node);
                               if (!whole) return wrong(problems, node, accepted);
                               return read_whole_seconds(problems, node, *whole, least, accepted,
                                                         out);
                             });
}

Kind<std::vector<std::string>> texts() {
  return weak<std::vector<std::string>>("list of texts", "a list of strings", kTextsSchema,
                                        to_texts);
}

Kind<std::vector<std::string>> texts_or_one() {
  return weak<std::vector<std::string>>("text or list of texts", "a string or a list of strings",
                                        kOneOrMoreSchema, [](const Node& node) {
                                          if (!node.is(NodeKind::kString)) return to_texts(node);
                                          return std::optional(std::vector{std::string(node.text)});
                                        });
}

Kind<std::vector<std::string>> printed_texts() {
  return weak<std::vector<std::string>>("text or list of texts", "a string or a list of strings",
                                        kOneOrMoreSchema, [](const Node& node) {
                                          const bool empty =
                                              node.is(NodeKind::kObject) && node.count == 0;
                                          return empty ? to_texts(node) : to_printed_texts(node);
                                        });
}

Kind<std::vector<std::string>> argv() {
  return weak<std::vector<std::string>>(
      "command", R"(a command: ["program", "argument", …], or a string that is split at spaces)",
      kOneOrMoreSchema, to_argv);
}

Kind<TextMap> text_map() {
  return make_kind<TextMap>(
      "object of texts", "an object of strings",
      R"({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}})",
      [](Problems& problems, const Node& node, TextMap& out) {
        if (!node.is(NodeKind::kObject)) {
          return wrong(problems, node, "an object of strings");
        }
        bool good = true;
        for (const Node& member : node) {
          if (member.is(NodeKind::kNull)) continue;
          std::optional<std::string> value = to_text(member);
          if (!value) {
            good = wrong(problems, member, "a string");
            continue;
          }
          out.emplace_back(std::string(member.key), std::move(*value));
        }
        return good;
      });
}

Kind<std::vector<double>> numbers() {
  return make_kind<std::vector<double>>(
      "list of numbers", "a list of numbers", R"({"type": "array", "items": {"type": "number"}})",
      [one = number()](Problems& problems, const Node& node, std::vector<double>& out) {
        if (!node.is(NodeKind::kArray)) return wrong(problems, node, "a list of numbers");
        bool good = true;
        for (const Node& child : node) {
          double value = 0;
          good = one.parse(problems, child, value) && good;
          out.push_back(value);
        }
        return good;
      });
}

}  // namespace containerpilot::agent
