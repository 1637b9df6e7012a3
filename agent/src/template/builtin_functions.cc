#include <algorithm>
#include <array>
#include <string>

#include "template/escape.h"
#include "template/formatter.h"
#include "template/functions.h"

// The functions of Go's text/template. Source: Go 1.19, text/template.

namespace containerpilot::agent::tmpl {
namespace {

using Arguments = std::span<const Value>;

std::string type_of(const Value& value) { return std::string(type_name(value)); }

// --- index, slice, len ---------------------------------------------------------------------------

std::size_t position(const Value& value, std::size_t limit) {
  std::int64_t number = -1;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    number = *integer;
  } else if (const auto* byte = std::get_if<std::uint8_t>(&value)) {
    number = *byte;
  } else {
    throw Failure("cannot use a value of type " + type_of(value) +
                  " as a position; an integer is needed");
  }
  if (number < 0 || static_cast<std::uint64_t>(number) > limit) {
    throw Failure("cannot use position " + std::to_string(number) + ": the length is " +
                  std::to_string(limit));
  }
  return static_cast<std::size_t>(number);
}

Value element(const Value& item, const Value& key) {
  if (const auto* map = std::get_if<const Variables*>(&item)) {
    const auto* name = std::get_if<Text>(&key);
    if (name == nullptr) {
      throw Failure("cannot look up a value of type " + type_of(key) +
                    " in the environment; a string is needed");
    }
    const auto found = (*map)->find(name->view());
    return found == (*map)->end() ? Text() : Text::borrowed(found->second);
  }
  const auto size = size_of(item);
  if (!size) throw Failure("cannot index a value of type " + type_of(item));
  const std::size_t i = position(key, *size);
  if (i == *size) {
    throw Failure("cannot use position " + std::to_string(i) + ": the length is the same");
  }
  if (const auto* text = std::get_if<Text>(&item))
    return static_cast<std::uint8_t>(text->view()[i]);
  if (const auto* texts = std::get_if<TextList>(&item)) return texts->at(i);
  return std::get<IntList>(item).at(i);
}

Value index(FunctionContext&, Arguments values) {
  if (std::holds_alternative<Nil>(values[0])) throw Failure("cannot index nil");
  Value item = values[0];
  for (const Value& key : values.subspan(1)) item = element(item, key);
  return item;
}

Value slice(FunctionContext&, Arguments values) {
  const Value& item = values[0];
  const Arguments bounds = values.subspan(1);
  const auto size = size_of(item);
  if (!size || std::holds_alternative<const Variables*>(item)) {
    throw Failure("cannot slice a value of type " + type_of(item));
  }
  const bool is_text = std::holds_alternative<Text>(item);
  if (bounds.size() > (is_text ? 2 : 3)) {
    throw Failure("cannot slice with " + std::to_string(bounds.size()) + " positions");
  }
  // Go lets a list be sliced up to its hidden capacity; here that is its length.
  std::array<std::size_t, 3> at = {0, *size, *size};
  for (std::size_t i = 0; i < bounds.size(); ++i) at[i] = position(bounds[i], *size);
  if (at[0] > at[1] || at[1] > at[2]) throw Failure("cannot slice backwards");
  if (const auto* text = std::get_if<Text>(&item)) return text->substr(at[0], at[1] - at[0]);
  if (const auto* texts = std::get_if<TextList>(&item)) return texts->slice(at[0], at[1]);
  return std::get<IntList>(item).slice(at[0], at[1]);
}

Value len(FunctionContext&, Arguments values) {
  const auto size = size_of(values[0]);
  if (!size) throw Failure("cannot take the length of a value of type " + type_of(values[0]));
  return static_cast<std::int64_t>(*size);
}

Value call(FunctionContext&, Arguments values) {
  throw Failure("cannot call a value of type " + type_of(values[0]) + "; it is not a function");
}

// --- comparison ----------------------------------------------------------------------------------

bool is_integer(const Value& value) {
  return std::holds_alternative<std::int64_t>(value) || std::holds_alternative<std::uint8_t>(value);
}

std::int64_t integer(const Value& value) {
  if (const auto* byte = std::get_if<std::uint8_t>(&value)) return *byte;
  return std::get<std::int64_t>(value);
}

[[noreturn]] void cannot_compare(const Value& a, const Value& b) {
  throw Failure("cannot compare a value of type " + type_of(a) + " with one of type " + type_of(b));
}

bool equal(const Value& a, const Value& b) {
  if (is_integer(a) && is_integer(b)) return integer(a) == integer(b);
  const bool a_is_nil = std::holds_alternative<Nil>(a);
  const bool b_is_nil = std::holds_alternative<Nil>(b);
  if (a_is_nil || b_is_nil) return a_is_nil && b_is_nil;
  if (a.index() != b.index()) cannot_compare(a, b);
  return std::visit(Overload{[&](bool v) { return v == std::get<bool>(b); },
                             [&](double v) { return v == std::get<double>(b); },
                             [&](const std::complex<double>& v) {
                               return v == std::get<std::complex<double>>(b);
                             },
                             [&](const Text& v) { return v.view() == std::get<Text>(b).view(); },
                             [&](const auto&) -> bool { cannot_compare(a, b); }},
                    a);
}

bool less(const Value& a, const Value& b) {
  if (is_integer(a) && is_integer(b)) return integer(a) < integer(b);
  if (a.index() != b.index()) cannot_compare(a, b);
  if (const auto* number = std::get_if<double>(&a)) return *number < std::get<double>(b);
  if (const auto* text = std::get_if<Text>(&a)) return text->view() < std::get<Text>(b).view();
  cannot_compare(a, b);
}

/// Comparing reads its texts.
void charge(FunctionContext& context, Arguments values) {
  for (const Value& value : values) {
    if (const auto* text = std::get_if<Text>(&value)) context.budget.spend(text->view().size());
  }
}

Value eq(FunctionContext& context, Arguments values) {
  charge(context, values);
  if (values.size() < 2) throw Failure("cannot compare one value; eq takes at least 2");
  const Arguments others = values.subspan(1);
  return std::any_of(others.begin(), others.end(),
                     [&](const Value& other) { return equal(values[0], other); });
}

template <bool compare(const Value&, const Value&)>
Value comparison(FunctionContext& context, Arguments values) {
  charge(context, values);
  return compare(values[0], values[1]);
}

bool not_equal(const Value& a, const Value& b) { return !equal(a, b); }
bool less_or_equal(const Value& a, const Value& b) { return less(a, b) || equal(a, b); }
bool greater(const Value& a, const Value& b) { return !less_or_equal(a, b); }
bool greater_or_equal(const Value& a, const Value& b) { return !less(a, b); }

// NOLINTNEXTLINE(readability-identifier-naming): the name itself is a keyword
Value not_(FunctionContext&, Arguments values) { return !is_true(values[0]); }

// --- text ----------------------------------------------------------------------------------------

Value print_values(FunctionContext& context, Arguments values) {
  Buffer out(context.budget);
  print(out, values);
  return Text::owned(out.take());
}

Value println_values(FunctionContext& context, Arguments values) {
  Buffer out(context.budget);
  println(out, values);
  return Text::owned(out.take());
}

Value printf_values(FunctionContext& context, Arguments values) {
  Buffer out(context.budget);
  printf(out, std::get<Text>(values[0]).view(), values.subspan(1));
  return Text::owned(out.take());
}

template <void escape(Buffer&, std::string_view)>
Value escaped(FunctionContext& context, Arguments values) {
  std::vector<Value> printable(values.begin(), values.end());
  for (Value& value : printable) {
    if (std::holds_alternative<Nil>(value)) value = Text::borrowed("<no value>");
  }
  Buffer plain(context.budget);
  print(plain, printable);
  Buffer out(context.budget);
  escape(out, plain.take());
  return Text::owned(out.take());
}

}  // namespace

std::span<const Function> builtin_functions() {
  using enum Function::Parameter;
  using Special = Function::Special;
  static const std::array kFunctions = {
      Function{"and", {kAny}, true, nullptr, Special::kAnd},
      Function{"call", {kAny}, true, call},
      Function{"eq", {kAny}, true, eq},
      Function{"ge", {kAny, kAny}, false, comparison<greater_or_equal>},
      Function{"gt", {kAny, kAny}, false, comparison<greater>},
      Function{"html", {}, true, escaped<escape_html>},
      Function{"index", {kAny}, true, index},
      Function{"js", {}, true, escaped<escape_js>},
      Function{"le", {kAny, kAny}, false, comparison<less_or_equal>},
      Function{"len", {kAny}, false, len},
      Function{"lt", {kAny, kAny}, false, comparison<less>},
      Function{"ne", {kAny, kAny}, false, comparison<not_equal>},
      Function{"not", {kAny}, false, not_},
      Function{"or", {kAny}, true, nullptr, Special::kOr},
      Function{"print", {}, true, print_values},
      Function{"printf", {kString}, true, printf_values},
      Function{"println", {}, true, println_values},
      Function{"slice", {kAny}, true, slice},
      Function{"urlquery", {}, true, escaped<escape_url_query>},
  };
  return kFunctions;
}

}  // namespace containerpilot::agent::tmpl
