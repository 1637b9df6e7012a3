#include "template/regex_replace.h"

#include <re2/re2.h>

#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "template/failure.h"
#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

/// A part of the replacement: literal text, or a group.
struct Part {
  std::string literal;
  std::optional<int> group;
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

/// The group a name or number means; -1 for none.
int group_index(const RE2& regex, std::string_view name) {
  int number = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = read.ec == std::errc{} && read.ptr == name.data() + name.size() &&
                         (name[0] != '0' || name.size() == 1);
  if (is_number) return number <= regex.NumberOfCapturingGroups() ? number : -1;
  const auto& groups = regex.NamedCapturingGroups();
  const auto found = groups.find(std::string(name));
  return found == groups.end() ? -1 : found->second;
}

std::vector<Part> parse_replacement(const RE2& regex, std::string_view text) {
  std::vector<Part> parts(1);
  const auto add_literal = [&](std::string_view literal) {
    if (parts.back().group) parts.emplace_back();
    parts.back().literal += literal;
  };
  while (true) {
    const std::size_t dollar = text.find('$');
    add_literal(text.substr(0, dollar));
    if (dollar == std::string_view::npos) return parts;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      add_literal("$");
      text.remove_prefix(1);
    } else if (const auto reference = read_reference(text)) {
      const int group = group_index(regex, reference->name);
      if (group >= 0) parts.push_back({"", group});
      text.remove_prefix(reference->size);
    } else {
      add_literal("$");
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

void fail(std::string_view expression, std::string_view reason) {
  throw Failure("cannot use the regular expression \"" + std::string(expression) +
                "\": " + std::string(reason));
}

}  // namespace

void regex_replace_all(Buffer& out, std::string_view expression, std::string_view replacement,
                       std::string_view text) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(std::int64_t{64} << 20);
  const RE2 regex(piece(expression), options);
  if (!regex.ok()) fail(expression, regex.error());
  if (uses_any_byte(expression)) fail(expression, "\\C is not possible");
  const std::vector<Part> parts = parse_replacement(regex, replacement);

  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) +
                                       1);
  const re2::StringPiece input = piece(text);
  std::size_t copied = 0;  // input up to here is in the output
  std::size_t search = 0;
  while (search <= text.size() && regex.Match(input, search, text.size(), RE2::UNANCHORED,
                                              groups.data(), static_cast<int>(groups.size()))) {
    const auto start = static_cast<std::size_t>(groups[0].data() - text.data());
    const std::size_t end = start + groups[0].size();
    out.append(text.substr(copied, start - copied));
    // An empty match directly after the previous match does not count.
    if (end > copied || start == 0) {
      for (const Part& part : parts) {
        if (!part.group) {
          out.append(part.literal);
        } else {
          const re2::StringPiece& group = groups[static_cast<std::size_t>(*part.group)];
          out.append({group.data(), group.size()});
        }
      }
    }
    copied = end;
    const std::size_t rune = search < text.size() ? decode_rune(text.substr(search)).size : 1;
    search = std::max(search + rune, end);
  }
  out.append(text.substr(copied));
}

}  // namespace containerpilot::agent::tmpl
