#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace containerpilot::agent::tmpl {

struct Token {
  enum class Kind : std::uint8_t {
    kEnd,   ///< of the input
    kText,  ///< outside actions, already trimmed
    kOpen,  ///< "{{"
    kClose,
    kSpace,
    kAssign,   ///< "="
    kDeclare,  ///< ":="
    kPipe,
    kLeftParen,
    kRightParen,
    kOther,  ///< a printable ASCII character without a meaning of its own; "," is one
    kBool,
    kRune,     ///< 'x'
    kNumber,   ///< shape checked, value not
    kComplex,  ///< 1+2i
    kString,   ///< quotes included, escapes not checked
    kRawString,
    kDot,
    kField,     ///< ".Name"
    kVariable,  ///< "$" or "$name"
    kIdentifier,
    kKeyword,
  };
  Kind kind = Kind::kEnd;
  std::string_view text;
  std::size_t offset = 0;

  [[nodiscard]] bool is_keyword(std::string_view word) const {
    return kind == Kind::kKeyword && text == word;
  }
};

/// Cuts a template into tokens, one at a time. Throws Failure at the first error.
/// Source: Go's text/template language, as of Go 1.19.
class Lexer {
 public:
  /// `input` must outlive the tokens.
  explicit Lexer(std::string_view input) : input_(input) {}
  /// After the last token: kEnd, again and again.
  Token next();

 private:
  Token text();
  Token inside_action();
  Token space();
  Token field_or_variable(Token::Kind kind, Token::Kind alone);
  Token identifier();
  Token number();
  Token quoted_literal(Token::Kind kind, char quote);
  Token raw_string();
  Token close();

  [[nodiscard]] std::string_view rest() const { return input_.substr(pos_); }
  /// The code point at the position; kNone at the end of the input.
  [[nodiscard]] char32_t peek() const;
  void advance();
  void skip_name();
  bool accept(std::string_view one_of);
  void accept_run(std::string_view one_of);
  bool scan_number();
  [[nodiscard]] bool at_close() const;
  [[nodiscard]] bool at_end_of_word() const;
  void skip_comment(std::size_t start);
  Token emit(Token::Kind kind);
  [[noreturn]] void fail(std::size_t offset, std::string_view message) const;

  std::string_view input_;
  std::size_t pos_ = 0;
  std::size_t start_ = 0;  ///< of the token being read
  bool in_action_ = false;
  int open_parens_ = 0;
};

}  // namespace containerpilot::agent::tmpl
