#include "config/tree.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/masking.h"

namespace containerpilot::agent {

namespace {

constexpr std::size_t kExcerptWidth = 100;  // characters of the line shown

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  if (kind != Kind::kObject) return nullptr;
  for (const Node& child : *this) {
    if (child.key == name) return &child;
  }
  return nullptr;
}

std::uint16_t Tree::add_source(std::string name, std::string text) {
  Source& source = sources_.emplace_back();
  source.name = std::move(name);
  source.text = std::move(text);
  source.line_starts.push_back(0);
  const std::string& t = source.text;
  for (std::size_t i = 0; i < t.size(); ++i) {
    if (t[i] == '\n' || (t[i] == '\r' && (i + 1 == t.size() || t[i + 1] != '\n'))) {
      source.line_starts.push_back(static_cast<std::uint32_t>(i + 1));
    }
  }
  return static_cast<std::uint16_t>(sources_.size() - 1);
}

Position Tree::position(std::uint16_t source, std::uint32_t offset) const {
  const Source& s = sources_[source];
  const auto after = std::upper_bound(s.line_starts.begin(), s.line_starts.end(), offset);
  const std::uint32_t start = *(after - 1);
  const std::size_t end = std::min<std::size_t>(offset, s.text.size());
  const std::string_view before = std::string_view(s.text).substr(start, end - start);
  return {static_cast<unsigned>(after - s.line_starts.begin()),
          static_cast<unsigned>(count_characters(before) + 1)};
}

std::uint32_t Tree::offset(std::uint16_t source, Position position) const {
  const Source& s = sources_[source];
  const std::size_t line = std::clamp<std::size_t>(position.line, 1, s.line_starts.size());
  std::size_t at = s.line_starts[line - 1];
  for (unsigned column = 1; column < position.column && at < s.text.size(); ++column) {
    do ++at;
    while (at < s.text.size() && is_continuation(s.text[at]));
  }
  return static_cast<std::uint32_t>(at);
}

std::string Tree::excerpt(std::uint16_t source, std::uint32_t offset) const {
  const Source& s = sources_[source];
  const auto after = std::upper_bound(s.line_starts.begin(), s.line_starts.end(), offset);
  const std::uint32_t start = *(after - 1);
  const std::string_view text = s.text;
  std::size_t end = after == s.line_starts.end() ? text.size() : *after;
  while (end > start && (text[end - 1] == '\n' || text[end - 1] == '\r')) --end;
  std::size_t from = start;
  const std::size_t at = std::min<std::size_t>(offset, end);
  if (at - start > kExcerptWidth * 3 / 4) from = at - kExcerptWidth / 2;
  while (from > start && is_continuation(text[from])) --from;
  std::size_t to = std::min(end, from + kExcerptWidth);
  while (to < end && is_continuation(text[to])) ++to;

  // Masked before it is cut, so that a secret cannot hide behind the cut. Very long lines (a
  // minified file) are only masked near the place, which is all that is printed.
  const std::size_t mask_from = from - start > 4096 ? from - 4096 : start;
  std::string line = star_credentials(text.substr(mask_from, to - mask_from));
  const std::size_t skip = count_characters(text.substr(mask_from, from - mask_from));
  std::size_t cut = 0;
  for (std::size_t seen = 0; cut < line.size(); ++cut) {
    if (!is_continuation(line[cut]) && seen++ == skip) break;
  }
  line.erase(0, cut);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }

  std::string number = std::to_string(after - s.line_starts.begin());
  if (number.size() < 5) number.insert(0, 5 - number.size(), ' ');
  std::string out =
      number + " | " + (from > start ? "…" : "") + line + (to < end ? "…" : "") + "\n";
  out += std::string(number.size(), ' ') + " | " + (from > start ? " " : "");
  out.append(count_characters(text.substr(from, at - from)), ' ');
  return out + "^";
}

std::string path_of(const Node& node) {
  std::vector<std::string> parts;
  for (const Node* at = &node; at->parent != nullptr; at = at->parent) {
    if (at->parent->is(Node::Kind::kObject)) {
      parts.push_back(std::string(at->key));
      continue;
    }
    std::size_t index = 0;
    for (const Node* sibling = at->parent->first; sibling != at; sibling = sibling->next) ++index;
    parts.push_back("[" + std::to_string(index) + "]");
  }
  std::string out;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!out.empty() && part->front() != '[') out += '.';
    out += *part;
  }
  return out;
}

}  // namespace containerpilot::agent
