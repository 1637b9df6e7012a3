#include <algorithm>
#include <string>

#include "template/formatter.h"
#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

constexpr int kMaxNumber = 1'000'000;  // Go's limit for widths and precisions

/// Reads one format string. The positions of arguments follow Go's rules: each directive takes the
/// next one, "*" takes one as a number, "[n]" moves to the n-th.
class FormatReader {
 public:
  FormatReader(Buffer& out, std::string_view format, std::span<const Value> values)
      : out_(out), format_(format), values_(values) {}

  void run();

 private:
  bool read_directive();
  void read_flags();
  void read_width();
  void read_precision();
  void read_index();
  std::optional<int> read_number();
  std::optional<int> take_argument_as_number();
  void write_argument(char32_t verb);
  void write_marker(char32_t verb, std::string_view what);
  void write_extra_arguments();
  [[nodiscard]] bool at(char c) const { return pos_ < format_.size() && format_[pos_] == c; }

  Buffer& out_;
  std::string_view format_;
  std::span<const Value> values_;
  std::size_t pos_ = 0;
  std::size_t argument_ = 0;
  Directive directive_;
  bool reordered_ = false;    ///< some "[n]" was used: unused arguments are no error then
  bool good_index_ = true;    ///< every "[n]" of this directive made sense
  bool after_index_ = false;  ///< the last thing read was an "[n]"
};

void FormatReader::run() {
  while (true) {
    const std::size_t percent = std::min(format_.find('%', pos_), format_.size());
    out_.append(format_.substr(pos_, percent - pos_));
    pos_ = percent + 1;
    if (percent == format_.size()) break;
    if (!read_directive()) {
      out_.append("%!(NOVERB)");
      break;
    }
  }
  if (!reordered_ && argument_ < values_.size()) write_extra_arguments();
}

/// False at the end of the format.
bool FormatReader::read_directive() {
  directive_ = {};
  good_index_ = true;
  after_index_ = false;
  read_flags();
  read_index();
  read_width();
  read_precision();
  if (!after_index_) read_index();
  if (pos_ >= format_.size()) return false;
  const Rune verb = decode_rune(format_.substr(pos_));
  pos_ += verb.size;
  if (verb.value == '%') {
    out_.append("%");
  } else if (!good_index_) {
    write_marker(verb.value, "(BADINDEX)");
  } else if (argument_ >= values_.size()) {
    write_marker(verb.value, "(MISSING)");
  } else {
    write_argument(verb.value);
  }
  return true;
}

void FormatReader::read_flags() {
  for (; pos_ < format_.size(); ++pos_) {
    switch (format_[pos_]) {
      case '#':
        directive_.sharp = true;
        break;
      case '0':
        directive_.zero = !directive_.minus;
        break;
      case '+':
        directive_.plus = true;
        break;
      case '-':
        directive_.minus = true;
        directive_.zero = false;
        break;
      case ' ':
        directive_.space = true;
        break;
      default:
        return;
    }
  }
}

void FormatReader::read_width() {
  if (!at('*')) {
    directive_.width = read_number();
    if (after_index_ && directive_.width) good_index_ = false;  // "%[3]2d"
    return;
  }
  ++pos_;
  after_index_ = false;
  directive_.width = take_argument_as_number();
  if (!directive_.width) return out_.append("%!(BADWIDTH)");
  if (*directive_.width < 0) {
    directive_.width = -*directive_.width;
    directive_.minus = true;
    directive_.zero = false;
  }
}

void FormatReader::read_precision() {
  if (pos_ + 1 >= format_.size() || !at('.')) return;
  ++pos_;
  if (after_index_) good_index_ = false;  // "%[3].2d"
  read_index();
  if (!at('*')) {
    directive_.precision = read_number().value_or(0);
    return;
  }
  ++pos_;
  after_index_ = false;
  directive_.precision = take_argument_as_number();
  if (directive_.precision && *directive_.precision < 0) directive_.precision.reset();
  if (!directive_.precision) out_.append("%!(BADPREC)");
}

/// "[n]", if there is one here.
void FormatReader::read_index() {
  after_index_ = false;
  if (!at('[')) return;
  reordered_ = true;
  const std::size_t close = format_.find(']', pos_);
  // As Go, whose verb of a final "%[]" is the bracket.
  const bool too_short = format_.size() - pos_ < 3;
  if (too_short || close == std::string_view::npos) {
    ++pos_;
    good_index_ = false;
    return;
  }
  ++pos_;
  const auto index = read_number();
  const bool is_number = index && pos_ == close;
  pos_ = close + 1;
  after_index_ = is_number;
  if (is_number && *index >= 1 && static_cast<std::size_t>(*index) <= values_.size()) {
    argument_ = static_cast<std::size_t>(*index) - 1;
  } else {
    good_index_ = false;
  }
}

/// Digits, if there are any. A number out of all proportion swallows the rest of the format.
std::optional<int> FormatReader::read_number() {
  std::optional<int> number;
  for (; pos_ < format_.size() && format_[pos_] >= '0' && format_[pos_] <= '9'; ++pos_) {
    if (number.value_or(0) > kMaxNumber) {
      pos_ = format_.size();
      return std::nullopt;
    }
    number = number.value_or(0) * 10 + (format_[pos_] - '0');
  }
  return number;
}

std::optional<int> FormatReader::take_argument_as_number() {
  if (argument_ >= values_.size()) return std::nullopt;
  const Value& value = values_[argument_++];
  if (const auto* byte = std::get_if<std::uint8_t>(&value)) return *byte;
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (integer == nullptr || *integer > kMaxNumber || *integer < -kMaxNumber) return std::nullopt;
  return static_cast<int>(*integer);
}

void FormatReader::write_argument(char32_t verb) {
  if (verb == 'v') {  // these two select another form of %v instead
    directive_.go_syntax = std::exchange(directive_.sharp, false);
    directive_.plus = false;
  }
  Formatter(out_, directive_).write(values_[argument_++], verb);
}

void FormatReader::write_marker(char32_t verb, std::string_view what) {
  std::string marker = "%!";
  append_rune(marker, verb);
  out_.append(marker);
  out_.append(what);
}

void FormatReader::write_extra_arguments() {
  out_.append("%!(EXTRA ");
  for (std::size_t i = argument_; i < values_.size(); ++i) {
    if (i > argument_) out_.append(", ");
    out_.append(type_name(values_[i]));
    if (std::holds_alternative<Nil>(values_[i])) continue;
    out_.append("=");
    Formatter(out_).write(values_[i], 'v');
  }
  out_.append(")");
}

}  // namespace

void printf(Buffer& out, std::string_view format, std::span<const Value> values) {
  FormatReader(out, format, values).run();
}

}  // namespace containerpilot::agent::tmpl
