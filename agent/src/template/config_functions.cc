#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "template/formatter.h"
#include "template/functions.h"
#include "template/regex_replace.h"
#include "template/utf8.h"

// What configurations can call besides Go's own functions. Source: ContainerPilot 3.8.0; `file` is
// new.

namespace containerpilot::agent::tmpl {
namespace {

using Arguments = std::span<const Value>;

std::string_view text(const Value& value) { return std::get<Text>(value).view(); }

// default FALLBACK VALUE: the value if it is a string with something in it.
// NOLINTNEXTLINE(readability-identifier-naming): the name itself is a keyword
Value default_(FunctionContext& context, Arguments values) {
  const auto* value = std::get_if<Text>(&values[1]);
  if (value != nullptr && !value->view().empty()) return *value;
  Buffer out(context.budget);
  Formatter(out).write(values[0], 'v');
  return Text::owned(out.take());
}

Value env(FunctionContext& context, Arguments values) {
  const auto found = context.environment.find(text(values[0]));
  return found == context.environment.end() ? Text() : Text::borrowed(found->second);
}

TextList split_characters(FunctionContext& context, const Text& text) {
  Text whole = text;
  if (!is_valid_utf8(text.view())) {
    // As Go: U+FFFD for an invalid byte, except for the last character, which stays as it is.
    std::string_view last = text.view();
    while (decode_rune(last).size < last.size()) last.remove_prefix(decode_rune(last).size);
    const std::string_view others = text.view().substr(0, text.view().size() - last.size());
    whole = Text::owned(to_valid_utf8(others) + std::string(last));
  }
  std::vector<std::string_view> parts;
  for (std::string_view rest = whole.view(); !rest.empty();) {
    context.budget.spend(sizeof(std::string_view));
    parts.push_back(rest.substr(0, decode_rune(rest).size));
    rest.remove_prefix(parts.back().size());
  }
  return TextList(std::move(whole), std::move(parts));
}

// split SEPARATOR TEXT: without white space around the text; an empty separator splits characters.
Value split(FunctionContext& context, Arguments values) {
  context.budget.spend(text(values[1]).size());
  const std::string_view separator = text(values[0]);
  const std::string_view trimmed = trim_space(text(values[1]));
  const auto start = static_cast<std::size_t>(trimmed.data() - text(values[1]).data());
  const Text whole = std::get<Text>(values[1]).substr(start, trimmed.size());
  if (trimmed.empty()) return TextList();
  if (separator.empty()) return split_characters(context, whole);
  std::vector<std::string_view> parts;
  for (std::string_view rest = trimmed;;) {
    const std::size_t end = rest.find(separator);
    context.budget.spend(sizeof(std::string_view));
    parts.push_back(rest.substr(0, end));
    if (end == std::string_view::npos) return TextList(whole, std::move(parts));
    rest.remove_prefix(end + separator.size());
  }
}

Value join(FunctionContext& context, Arguments values) {
  const auto* list = std::get_if<TextList>(&values[1]);
  Buffer out(context.budget);
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    if (i > 0) out.append(text(values[0]));
    out.append(list->view(i));
  }
  return Text::owned(out.take());
}

// replaceAll FROM TO TEXT. An empty FROM matches before every character and at the end.
Value replace_all(FunctionContext& context, Arguments values) {
  const std::string_view from = text(values[0]);
  const std::string_view to = text(values[1]);
  std::string_view rest = text(values[2]);
  context.budget.spend(rest.size());
  Buffer out(context.budget);
  if (from.empty()) {
    out.append(to);
    while (!rest.empty()) {
      const std::size_t size = decode_rune(rest).size;
      out.append(rest.substr(0, size));
      out.append(to);
      rest.remove_prefix(size);
    }
    return Text::owned(out.take());
  }
  for (std::size_t at = rest.find(from); at != std::string_view::npos; at = rest.find(from)) {
    out.append(rest.substr(0, at));
    out.append(to);
    rest.remove_prefix(at + from.size());
  }
  out.append(rest);
  return Text::owned(out.take());
}

Value regex_replace(FunctionContext& context, Arguments values) {
  return Text::owned(
      regex_replace_all(context.budget, text(values[0]), text(values[1]), text(values[2])));
}

// An integer, or a string of decimal digits with or without a sign.
std::int64_t loop_bound(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* digits = std::get_if<Text>(&value)) {
    std::string_view view = digits->view();
    if (view.starts_with('+') && !view.substr(1).starts_with('-')) view.remove_prefix(1);
    std::int64_t number = 0;
    const auto read = std::from_chars(view.data(), view.data() + view.size(), number);
    if (read.ec == std::errc{} && read.ptr == view.data() + view.size()) return number;
    // The string itself may be a secret: messages show the template's text, never a value.
    throw Failure("cannot loop to this string; decimal digits are needed");
  }
  throw Failure("cannot loop to a value of type " + std::string(type_name(value)) +
                "; an integer is needed");
}

// loop END or loop BEGIN END: up or down, without END.
Value loop(FunctionContext&, Arguments values) {
  if (values.empty() || values.size() > 2) {
    throw Failure("cannot loop with " + std::to_string(values.size()) +
                  " arguments; \"loop END\" and \"loop BEGIN END\" are possible");
  }
  const std::int64_t begin = values.size() == 2 ? loop_bound(values[0]) : 0;
  return IntList::between(begin, loop_bound(values.back()));
}

// file PATH: its content without the line end at the end.
Value file(FunctionContext& context, Arguments values) {
  if (!context.read_file) throw Failure("cannot read files in this template");
  auto content = context.read_file(std::string(text(values[0])));
  if (!content) throw Failure(content.error().text());
  context.budget.spend(content.value().size());
  return Text::owned(std::move(content).value());
}

}  // namespace

std::span<const Function> config_functions() {
  using enum Function::Parameter;
  static const std::array kFunctions = {
      Function{"default", {kAny, kAny}, false, default_},
      Function{"env", {kString}, false, env},
      Function{"file", {kString}, false, file},
      Function{"join", {kString, kTextList}, false, join},
      Function{"loop", {}, true, loop},
      Function{"regexReplaceAll", {kString, kString, kString}, false, regex_replace},
      Function{"replaceAll", {kString, kString, kString}, false, replace_all},
      Function{"split", {kString, kString}, false, split},
  };
  return kFunctions;
}

const Function* find_function(std::string_view name) {
  for (const auto& functions : {config_functions(), builtin_functions()}) {
    for (const Function& function : functions) {
      if (function.name == name) return &function;
    }
  }
  return nullptr;
}

}  // namespace containerpilot::agent::tmpl
