#include "template/regex_replace.h"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "template/failure.h"
#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

constexpr std::size_t kSearchedBytesPerUnit = 64;

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

/// A part of the replacement: literal text, then the first of some groups that took part in the
/// match.
struct Part {
  std::string literal;
  std::vector<std::size_t> groups;
};

/// What "$" is followed by: a name, in braces or not. None if it is just a dollar.
struct Reference {
  std::string_view name;
  std::size_t size = 0;
};

std::optional<Reference> read_reference(std::string_view text) {
  const bool braces = text.starts_with('{');
  std::string_view rest = text.substr(braces ? 1 : 0);
  std::size_t length = 0;
  while (length < rest.size()) {
    const Rune rune = decode_rune(rest.substr(length));
    if (!is_letter(rune.value) && !is_digit(rune.value) && rune.value != '_') break;
    length += rune.size;
  }
  if (length == 0) return std::nullopt;
  if (braces && !rest.substr(length).starts_with('}')) return std::nullopt;
  return Reference{rest.substr(0, length), length + (braces ? 2 : 0)};
}

/// The groups a name or number means. Several can have the same name.
std::vector<std::size_t> groups_called(const RE2& regex, std::string_view name) {
  std::vector<std::size_t> groups;
  int number = 0;
  const char* const end = name.data() + name.size();
  const auto read = std::from_chars(name.data(), end, number);
  if (read.ec == std::errc{} && read.ptr == end && (name[0] != '0' || name.size() == 1)) {
    if (number <= regex.NumberOfCapturingGroups())
      groups.push_back(static_cast<std::size_t>(number));
    return groups;
  }
  for (const auto& [group, group_name] : regex.CapturingGroupNames()) {
    if (group_name == name) groups.push_back(static_cast<std::size_t>(group));
  }
  return groups;
}

std::vector<Part> parse_replacement(const RE2& regex, std::string_view text) {
  std::vector<Part> parts(1);
  while (true) {
    const std::size_t dollar = text.find('$');
    parts.back().literal += text.substr(0, dollar);
    if (dollar == std::string_view::npos) return parts;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      parts.back().literal += '$';
      text.remove_prefix(1);
    } else if (const auto reference = read_reference(text)) {
      parts.back().groups = groups_called(regex, reference->name);
      parts.emplace_back();
      text.remove_prefix(reference->size);
    } else {
      parts.back().literal += '$';
    }
  }
}

/// RE2 has \\C for "one byte", which Go refuses.
bool uses_any_byte(std::string_view expression) {
  while (true) {
    const std::size_t escape = expression.find('\\');
    if (escape == std::string_view::npos || escape + 1 == expression.size()) return false;
    if (expression[escape + 1] == 'C') return true;
    expression.remove_prefix(escape + 2);
    if (expression.data()[-1] == 'Q') {  // literal up to \E
      const std::size_t end = expression.find("\\E");
      if (end == std::string_view::npos) return false;
      expression.remove_prefix(end + 2);
    }
  }
}

[[noreturn]] void fail(std::string_view reason) {
  throw Failure("cannot use this regular expression: " + std::string(reason));
}

void check(std::string_view expression, const RE2& regex) {
  constexpr std::string_view kNameCharacters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  if (!regex.ok()) {
    // Without the part of the expression that RE2 quotes: it may come from a secret.
    const std::string& reason = regex.error();
    fail(std::string_view(reason).substr(0, reason.rfind(": " + regex.error_arg())));
  }
  if (uses_any_byte(expression)) fail("\\C is not possible");
  for (const auto& [number, name] : regex.CapturingGroupNames()) {
    if (name.find_first_not_of(kNameCharacters) != std::string::npos) {
      fail("the name of a group must be ASCII letters and digits");
    }
  }
}

/// A text as RE2 must see it: RE2 matches nothing with an invalid byte, Go matches U+FFFD.
class Subject {
 public:
  explicit Subject(std::string_view text) : text_(text), matchable_(text) {
    if (is_valid_utf8(text)) return;
    for (std::size_t at = 0; at < text.size();) {
      const Rune rune = decode_rune(text.substr(at));
      append_rune(replaced_, rune.value);
      origins_.resize(replaced_.size(), at);
      at += rune.size;
    }
    origins_.push_back(text.size());
    matchable_ = replaced_;
  }
  ~Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  [[nodiscard]] std::string_view matchable() const { return matchable_; }
  /// The bytes that stand at these positions of matchable().
  [[nodiscard]] std::string_view original(std::size_t begin, std::size_t end) const {
    if (origins_.empty()) return text_.substr(begin, end - begin);
    return text_.substr(origins_[begin], origins_[end] - origins_[begin]);
  }

 private:
  std::string_view text_;
  std::string replaced_;
  std::vector<std::size_t>
      origins_;  ///< of each byte of replaced_, in text_; empty if that is valid
  std::string_view matchable_;
};

}  // namespace

std::string regex_replace_all(Budget& budget, std::string_view expression,
                              std::string_view replacement, std::string_view text) {
  budget.spend(expression.size() + replacement.size() + text.size());
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(std::int64_t{64} << 20);
  const RE2 regex(piece(expression), options);
  check(expression, regex);
  const std::vector<Part> parts = parse_replacement(regex, replacement);
  const Subject subject(text);
  Buffer out(budget);
  const re2::StringPiece input = piece(subject.matchable());
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) +
                                       1);
  const auto append_first = [&](const std::vector<std::size_t>& candidates) {
    for (const std::size_t i : candidates) {
      if (groups[i].data() == nullptr) continue;
      const auto begin = static_cast<std::size_t>(groups[i].data() - input.data());
      return out.append(subject.original(begin, begin + groups[i].size()));
    }
  };

  std::size_t copied = 0;  // input up to here is in the output
  std::size_t search = 0;
  while (search <= input.size() && regex.Match(input, search, input.size(), RE2::UNANCHORED,
                                               groups.data(), static_cast<int>(groups.size()))) {
    // Each search may have looked at the whole rest, which makes many matches in a long text
    // quadratic. This lets 128 KiB, the most a variable can hold, match everywhere.
    budget.spend((input.size() - search) / kSearchedBytesPerUnit);
    const auto start = static_cast<std::size_t>(groups[0].data() - input.data());
    if (start < input.size() && is_continuation(input[start])) {
      search = start + 1;  // RE2 finds \B also between the bytes of a character
      continue;
    }
    const std::size_t end = start + groups[0].size();
    out.append(subject.original(copied, start));
    // An empty match directly after the previous match does not count.
    if (end > copied || start == 0) {
      for (const Part& part : parts) {
        out.append(part.literal);
        append_first(part.groups);
      }
    }
    copied = end;
    const std::size_t rune =
        search < input.size() ? decode_rune(subject.matchable().substr(search)).size : 1;
    search = std::max(search + rune, end);
  }
  out.append(subject.original(copied, input.size()));
  return out.take();
}

}  // namespace containerpilot::agent::tmpl
