#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/json5.h"
#include "config/tree.h"

namespace containerpilot::agent {

/// Reads the pieces of a JSON5 text from left to right: space and comments, keys, strings, numbers,
/// words. Remembers the first error, and whether JSON proper would have refused something.
class Json5Scanner {
 public:
  /// What U+2028 and U+2029 are in a `//` comment: part of it, as in ContainerPilot 3.8.0, or its
  /// end, as JSON5 says.
  enum class LineSeparator : std::uint8_t { kText, kLineEnd };

  Json5Scanner(Tree& tree, std::uint16_t source, LineSeparator separator);

  /// White space and comments; false on an unterminated comment.
  bool skip_space();
  /// The next character, '\0' at the end of the text.
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_character() { ++at_; }
  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  [[nodiscard]] std::uint32_t here() const { return static_cast<std::uint32_t>(at_); }

  /// Each reads one piece; without a value or false there is an error, or, from literal() and
  /// number(), something else stands here.
  std::optional<std::string_view> key();
  std::optional<std::string_view> string();
  bool literal(Node& node);
  bool number(Node& node);

  /// For messages: "'word'", "the end of the text".
  [[nodiscard]] std::string found_here() const;
  /// Remembers an error at this place unless there is one; false.
  bool refuse(std::string message);
  [[nodiscard]] const std::optional<SyntaxError>& error() const { return error_; }
  /// Whether a comment had a line separator in it, so that the other reading may differ.
  [[nodiscard]] bool separator_in_comment() const { return separator_in_comment_; }
  void beyond_json() { source_.beyond_json = true; }

 private:
  bool comment();
  bool escape(std::string& out);
  bool unicode_escape(std::string& out);
  std::optional<char32_t> hex4();
  std::optional<double> special_number();
  std::optional<double> hex_number();
  std::optional<double> decimal_number();
  std::size_t digits();
  [[nodiscard]] bool is_at(std::string_view word) const {
    return std::string_view(text_).substr(at_, word.size()) == word;
  }
  [[nodiscard]] std::string word_at(std::size_t start) const;

  Tree& tree_;
  Tree::Source& source_;
  const std::string& text_;
  std::size_t at_ = 0;
  LineSeparator separator_;
  bool separator_in_comment_ = false;
  std::optional<SyntaxError> error_;
};

}  // namespace containerpilot::agent
