#include "config/problems.h"

#include <utility>

#include "config/masking.h"
#include "template/utf8.h"

namespace containerpilot::agent {

namespace {
constexpr std::size_t kMostProblems = 200;
constexpr std::size_t kMostShown = 60;  // bytes of a value repeated in a message

bool has_unset(const Tree& tree, const Node& node) {
  if (!tree.source(node.source).has_unset) return false;
  const bool text =
      node.is(Node::Kind::kString) && node.text.find(kUnset) != std::string_view::npos;
  return node.unset || text || node.key.find(kUnset) != std::string_view::npos;
}
}  // namespace

void Problems::error(const Node& at, std::string message, std::string accepted) {
  add(Problem::Severity::kError, at, at.offset, std::move(message), std::move(accepted));
}
void Problems::warning(const Node& at, std::string message, std::string accepted) {
  add(Problem::Severity::kWarning, at, at.offset, std::move(message), std::move(accepted));
}
void Problems::key_error(const Node& at, std::string message, std::string accepted) {
  add(Problem::Severity::kError, at, at.key_offset, std::move(message), std::move(accepted));
}
void Problems::key_warning(const Node& at, std::string message, std::string accepted) {
  add(Problem::Severity::kWarning, at, at.key_offset, std::move(message), std::move(accepted));
}

void Problems::unknown_key(const Node& at, std::string message, std::string accepted) {
  if (unknown_keys_ == Problem::Severity::kWarning) message += " (ignored)";
  add(unknown_keys_, at, at.key_offset, std::move(message), std::move(accepted));
}

void Problems::error_at(std::uint16_t source, std::uint32_t offset, std::string message) {
  errors_.push_back(at(Problem::Severity::kError, source, offset, std::move(message)));
}
void Problems::warning_at(std::uint16_t source, std::uint32_t offset, std::string message) {
  warnings_.push_back(at(Problem::Severity::kWarning, source, offset, std::move(message)));
}
void Problems::error(std::string message) {
  errors_.push_back({Problem::Severity::kError, "", 0, 0, "", std::move(message), "", ""});
}
void Problems::warning(std::string message) {
  warnings_.push_back({Problem::Severity::kWarning, "", 0, 0, "", std::move(message), "", ""});
}

Problem Problems::at(Problem::Severity severity, std::uint16_t source, std::uint32_t offset,
                     std::string message) const {
  const Position position = tree_.position(source, offset);
  return {severity,
          tree_.source(source).name,
          position.line,
          position.column,
          "",
          std::move(message),
          "",
          tree_.excerpt(source, offset)};
}

bool Problems::full() const { return errors_.size() >= kMostProblems; }

void Problems::add(Problem::Severity severity, const Node& node, std::uint32_t offset,
                   std::string message, std::string accepted) {
  if (severity == Problem::Severity::kError && has_unset(tree_, node)) {
    severity = Problem::Severity::kWarning;
    message += "; a variable in it is not set";
  }
  std::vector<Problem>& list = severity == Problem::Severity::kError ? errors_ : warnings_;
  if (list.size() >= kMostProblems) return;
  const Position position = tree_.position(node.source, offset);
  list.push_back({severity, tree_.source(node.source).name, position.line, position.column,
                  path_of(node), std::move(message), std::move(accepted),
                  tree_.excerpt(node.source, offset)});
  if (list.size() == kMostProblems)
    list.back().message += " (and more: only the first 200 are told)";
}

std::string printable(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const tmpl::Rune next = tmpl::decode_rune(text.substr(at));
    if (next.value < 0x20 || next.value == 0x7F) {
      switch (next.value) {
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        default:
          out += "\\x";
          out += kHex[next.value >> 4U];
          out += kHex[next.value & 0xFU];
      }
    } else {
      tmpl::append_rune(out, next.value);
    }
    at += next.size;
  }
  return out;
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kBool:
      return node.boolean ? "true" : "false";
    case Node::Kind::kArray:
      return node.count == 0 ? "an empty list" : "a list";
    case Node::Kind::kObject:
      return node.count == 0 ? "an empty object" : "an object";
    case Node::Kind::kNumber:
    case Node::Kind::kString:
      break;
  }
  if (is_secret_key(node.key)) return "***";
  std::string text = printable(node.text.substr(0, kMostShown));
  if (node.text.size() > kMostShown) text += "…";
  return node.is(Node::Kind::kString) ? "\"" + text + "\"" : text;
}

std::string one_line(const Problem& problem) {
  std::string out = problem.file;
  if (problem.line != 0) {
    out += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
  }
  if (!out.empty()) out += ": ";
  out += problem.severity == Problem::Severity::kError ? "error: " : "warning: ";
  if (!problem.path.empty()) out += problem.path + ": ";
  out += problem.message;
  if (!problem.accepted.empty()) out += "; accepted: " + problem.accepted;
  return out;
}

std::string with_excerpt(const Problem& problem) {
  return problem.excerpt.empty() ? one_line(problem) : one_line(problem) + "\n" + problem.excerpt;
}

}  // namespace containerpilot::agent
