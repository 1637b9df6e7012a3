#include "template/value.h"

namespace containerpilot::agent::tmpl {

TextList::TextList(Text whole, std::vector<std::string_view> parts)
    : shared_(std::make_shared<const Shared>(Shared{std::move(whole), std::move(parts)})),
      count_(shared_->parts.size()) {}

Text TextList::at(std::size_t i) const {
  const std::string_view part = view(i);
  const auto offset = static_cast<std::size_t>(part.data() - shared_->whole.view().data());
  return shared_->whole.substr(offset, part.size());
}

TextList TextList::slice(std::size_t from, std::size_t to) const {
  TextList part = *this;
  part.first_ += from;
  part.count_ = to - from;
  return part;
}

IntList IntList::between(std::int64_t begin, std::int64_t end) {
  IntList list;
  list.first_ = begin;
  list.descending_ = end < begin;
  // Unsigned, because the distance can be as large as 2^64 - 1.
  const auto from = static_cast<std::uint64_t>(begin);
  const auto to = static_cast<std::uint64_t>(end);
  list.count_ = list.descending_ ? from - to : to - from;
  return list;
}

std::int64_t IntList::at(std::size_t i) const {
  const auto first = static_cast<std::uint64_t>(first_);
  return static_cast<std::int64_t>(descending_ ? first - i : first + i);
}

IntList IntList::slice(std::size_t from, std::size_t to) const {
  IntList part = *this;
  part.first_ = at(from);
  part.count_ = to - from;
  return part;
}

std::string_view type_name(const Value& value) {
  static constexpr std::string_view kNames[] = {
      "<nil>",      "bool",   "int",      "uint8", "float64",
      "complex128", "string", "[]string", "[]int", "template.Environment"};
  static_assert(std::size(kNames) == std::variant_size_v<Value>);
  return kNames[value.index()];
}

bool is_true(const Value& value) {
  return std::visit(Overload{[](Nil) { return false; }, [](bool v) { return v; },
                             [](std::int64_t v) { return v != 0; },
                             [](std::uint8_t v) { return v != 0; }, [](double v) { return v != 0; },
                             [](const std::complex<double>& v) { return v != 0.0; },
                             [](const Text& v) { return !v.view().empty(); },
                             [](const TextList& v) { return v.size() > 0; },
                             [](const IntList& v) { return v.size() > 0; },
                             [](const Variables* v) { return !v->empty(); }},
                    value);
}

std::optional<std::size_t> size_of(const Value& value) {
  using Size = std::optional<std::size_t>;
  return std::visit(Overload{[](const Text& v) -> Size { return v.view().size(); },
                             [](const TextList& v) -> Size { return v.size(); },
                             [](const IntList& v) -> Size { return v.size(); },
                             [](const Variables* v) -> Size { return v->size(); },
                             [](const auto&) -> Size { return std::nullopt; }},
                    value);
}

}  // namespace containerpilot::agent::tmpl
