#pragma once

#include <complex>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace containerpilot::agent::tmpl {

using Variables = std::map<std::string, std::string, std::less<>>;

/// An immutable string: a view of the template or the environment, which outlive evaluation, or of
/// a string that it shares. Copies and slices cost nothing.
class Text {
 public:
  Text() = default;
  /// `view` must outlive every copy of this text.
  static Text borrowed(std::string_view view) { return Text(nullptr, view); }
  static Text owned(std::string text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    const std::string_view view = *owner;
    return Text(std::move(owner), view);
  }

  [[nodiscard]] std::string_view view() const { return view_; }
  [[nodiscard]] Text substr(std::size_t from, std::size_t count = std::string_view::npos) const {
    return Text(owner_, view_.substr(from, count));
  }

 private:
  Text(std::shared_ptr<const std::string> owner, std::string_view view)
      : owner_(std::move(owner)), view_(view) {}

  std::shared_ptr<const std::string> owner_;
  std::string_view view_;
};

/// A list of strings, as split() makes it: parts of one text, shared between slices.
class TextList {
 public:
  TextList() = default;
  TextList(Text whole, std::vector<std::string_view> parts);

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::string_view view(std::size_t i) const { return shared_->parts[first_ + i]; }
  [[nodiscard]] Text at(std::size_t i) const;
  [[nodiscard]] TextList slice(std::size_t from, std::size_t to) const;

 private:
  struct Shared {
    Text whole;
    std::vector<std::string_view> parts;
  };
  std::shared_ptr<const Shared> shared_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

/// A list of integers, as loop() makes it; a million of them cost no memory.
class IntList {
 public:
  /// From `begin` towards `end`, up or down, without `end`.
  static IntList between(std::int64_t begin, std::int64_t end);

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::int64_t at(std::size_t i) const;
  [[nodiscard]] IntList slice(std::size_t from, std::size_t to) const;

 private:
  std::int64_t first_ = 0;
  bool descending_ = false;
  std::size_t count_ = 0;
};

struct Nil {};

/// Everything a template can hold. Go's static types show in printf and in comparisons: an integer
/// is an int, an element of a string a byte (uint8), and the dot a map.
using Value = std::variant<Nil, bool, std::int64_t, std::uint8_t, double, std::complex<double>,
                           Text, TextList, IntList, const Variables*>;

/// As Go spells it: "int", "[]string", "template.Environment", "<nil>".
std::string_view type_name(const Value& value);
/// Empty, zero and nil are false, everything else is true.
bool is_true(const Value& value);
/// Length in bytes or elements; none for what has no length.
std::optional<std::size_t> size_of(const Value& value);

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

}  // namespace containerpilot::agent::tmpl
