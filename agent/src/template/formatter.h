#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "template/budget.h"
#include "template/value.h"

namespace containerpilot::agent::tmpl {

/// What stands between "%" and the verb.
struct Directive {
  bool minus = false;
  bool plus = false;
  bool sharp = false;
  bool space = false;
  bool zero = false;
  bool go_syntax = false;  ///< %#v
  std::optional<int> width;
  std::optional<int> precision;
};

/// Writes values under one directive, as Go's package fmt does (Go 1.19).
class Formatter {
 public:
  explicit Formatter(Buffer& out, Directive directive = {}) : out_(out), directive_(directive) {}

  /// A verb that does not suit the value is no error but writes a marker: "%!d(string=x)".
  void write(const Value& value, char32_t verb);

 private:
  void write_element(const Value& value, char32_t verb);
  void write_bool(bool value, char32_t verb);
  void write_integer(std::uint64_t bits, bool is_signed, char32_t verb);
  void write_float(double value, char32_t verb);
  void write_complex(const std::complex<double>& value, char32_t verb);
  void write_text(std::string_view value, char32_t verb);
  template <class List>
  void write_list(const List& list, char32_t verb);
  void write_map(const Variables& map, char32_t verb);
  void write_bad_verb(const Value& value, char32_t verb);

  void write_digits(std::uint64_t bits, bool is_signed, unsigned base, char32_t verb);
  void write_code_point(std::uint64_t bits);
  void write_number(double value, char verb, std::optional<int> default_precision);
  void write_hex_text(std::string_view value, bool upper_case);
  [[nodiscard]] std::string_view truncated(std::string_view text) const;
  void pad(std::string_view text);
  void pad_with_spaces(std::string_view text);
  void write_padding(std::size_t used);

  Buffer& out_;
  Directive directive_;
};

/// As {{value}} prints it: %v, but nil is "<no value>".
void print_value(Buffer& out, const Value& value);
/// Go's Sprint: a space between operands that are both not strings.
void print(Buffer& out, std::span<const Value> values);
void println(Buffer& out, std::span<const Value> values);
/// Go's Sprintf. Never fails: what is wrong with the format shows in the output.
void printf(Buffer& out, std::string_view format, std::span<const Value> values);

}  // namespace containerpilot::agent::tmpl
