#include "template/lexer.h"

#include <algorithm>
#include <array>
#include <string>

#include "template/failure.h"
#include "template/utf8.h"

namespace containerpilot::agent::tmpl {
namespace {

using Kind = Token::Kind;

constexpr char32_t kNone = 0xFFFFFFFF;
constexpr std::string_view kOpenDelimiter = "{{";
constexpr std::string_view kCloseDelimiter = "}}";
constexpr std::string_view kCommentStart = "/*";
constexpr std::string_view kCommentEnd = "*/";
constexpr std::size_t kTrimMarkerSize = 2;  // the dash and the space that must be on its inside

constexpr std::array<std::string_view, 11> kKeywords = {"block", "break",    "continue", "define",
                                                        "else",  "end",      "if",       "range",
                                                        "nil",   "template", "with"};

bool has_left_trim(std::string_view after_open) {
  return after_open.size() >= 2 && after_open[0] == '-' &&
         is_action_space(static_cast<unsigned char>(after_open[1]));
}

bool has_right_trim(std::string_view text) {
  return text.size() >= 2 && is_action_space(static_cast<unsigned char>(text[0])) && text[1] == '-';
}

bool is_name_rune(char32_t rune) {
  return rune != kNone && (rune == '_' || is_letter(rune) || is_digit(rune));
}

}  // namespace

Token Lexer::next() {
  start_ = pos_;
  return in_action_ ? inside_action() : text();
}

Token Lexer::text() {
  while (true) {
    const std::size_t open = input_.find(kOpenDelimiter, pos_);
    if (open == std::string_view::npos) {
      pos_ = input_.size();
      return emit(pos_ > start_ ? Kind::kText : Kind::kEnd);
    }
    std::string_view before = input_.substr(start_, open - start_);
    const std::size_t inside = open + kOpenDelimiter.size();
    const bool trim = has_left_trim(input_.substr(inside));
    if (trim) before = before.substr(0, before.find_last_not_of(kActionSpaces) + 1);
    if (!before.empty()) {
      pos_ = open;
      return {Kind::kText, before, start_};
    }
    pos_ = inside + (trim ? kTrimMarkerSize : 0);
    if (!rest().starts_with(kCommentStart)) {
      in_action_ = true;
      open_parens_ = 0;
      return {Kind::kOpen, kOpenDelimiter, open};
    }
    skip_comment(pos_);
    start_ = pos_;
  }
}

void Lexer::skip_comment(std::size_t start) {
  const std::size_t end = input_.find(kCommentEnd, start + kCommentStart.size());
  if (end == std::string_view::npos) fail(start, "cannot find the end \"*/\" of this comment");
  pos_ = end + kCommentEnd.size();
  if (!at_close()) {
    fail(start, "cannot read this comment: \"*/\" must be followed by \"}}\" or \" -}}\"");
  }
  close();
}

Token Lexer::close() {
  const bool trim = has_right_trim(rest());
  if (trim) pos_ += kTrimMarkerSize;
  const Token token{Kind::kClose, kCloseDelimiter, pos_};
  pos_ += kCloseDelimiter.size();
  if (trim) pos_ = std::min(input_.find_first_not_of(kActionSpaces, pos_), input_.size());
  in_action_ = false;
  return token;
}

bool Lexer::at_close() const {
  const std::string_view text = rest();
  return text.starts_with(kCloseDelimiter) ||
         (has_right_trim(text) && text.substr(kTrimMarkerSize).starts_with(kCloseDelimiter));
}

Token Lexer::inside_action() {
  if (at_close()) {
    if (open_parens_ > 0) fail(pos_, "cannot end the action here: a \"(\" is not closed");
    return close();
  }
  const char32_t rune = peek();
  if (rune == kNone) fail(pos_, "cannot find the end \"}}\" of the action");
  if (is_action_space(rune)) return space();
  const bool digit_follows =
      pos_ + 1 < input_.size() && input_[pos_ + 1] >= '0' && input_[pos_ + 1] <= '9';
  if (rune == '+' || rune == '-' || (rune >= '0' && rune <= '9') ||
      (rune == '.' && digit_follows)) {
    return number();
  }
  if (is_name_rune(rune)) return identifier();
  advance();
  switch (rune) {
    case '=':
      return emit(Kind::kAssign);
    case ':':
      if (!accept("=")) fail(start_, "cannot read \":\": \":=\" would declare a variable");
      return emit(Kind::kDeclare);
    case '|':
      return emit(Kind::kPipe);
    case '"':
      return quoted_literal(Kind::kString, '"');
    case '\'':
      return quoted_literal(Kind::kRune, '\'');
    case '`':
      return raw_string();
    case '$':
      return field_or_variable(Kind::kVariable, Kind::kVariable);
    case '.':
      return field_or_variable(Kind::kField, Kind::kDot);
    case '(':
      ++open_parens_;
      return emit(Kind::kLeftParen);
    case ')':
      if (open_parens_ == 0) fail(start_, "cannot close \")\": no \"(\" is open");
      --open_parens_;
      return emit(Kind::kRightParen);
    default:
      if (rune < 0x80 && is_printable(rune)) return emit(Kind::kOther);
      fail(start_, "cannot use this character in an action");
  }
}

Token Lexer::space() {
  const std::size_t end = std::min(input_.find_first_not_of(kActionSpaces, pos_), input_.size());
  pos_ = end - 1;
  if (!at_close()) pos_ = end;  // else the last space belongs to the closing " -}}"
  return emit(Kind::kSpace);
}

Token Lexer::identifier() {
  skip_name();
  if (!at_end_of_word()) fail(pos_, "cannot use this character in a name");
  const std::string_view word = input_.substr(start_, pos_ - start_);
  if (std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end()) {
    return emit(Kind::kKeyword);
  }
  return emit(word == "true" || word == "false" ? Kind::kBool : Kind::kIdentifier);
}

Token Lexer::field_or_variable(Kind kind, Kind alone) {
  if (at_end_of_word()) return emit(alone);
  skip_name();
  if (!at_end_of_word()) fail(pos_, "cannot use this character in a name");
  return emit(kind);
}

Token Lexer::number() {
  const auto bad_number = [this] {
    fail(start_, "cannot read the number " + quoted(input_.substr(start_, pos_ - start_)));
  };
  if (!scan_number()) bad_number();
  if (peek() != '+' && peek() != '-') return emit(Kind::kNumber);
  if (!scan_number() || input_[pos_ - 1] != 'i') bad_number();
  return emit(Kind::kComplex);
}

bool Lexer::scan_number() {
  constexpr std::string_view kDecimal = "0123456789_";
  constexpr std::string_view kHexadecimal = "0123456789abcdefABCDEF_";
  std::string_view digits = kDecimal;
  accept("+-");
  if (accept("0")) {
    if (accept("xX")) {
      digits = kHexadecimal;
    } else if (accept("oO")) {
      digits = "01234567_";
    } else if (accept("bB")) {
      digits = "01_";
    }
  }
  accept_run(digits);
  if (accept(".")) accept_run(digits);
  if ((digits == kDecimal && accept("eE")) || (digits == kHexadecimal && accept("pP"))) {
    accept("+-");
    accept_run(kDecimal);
  }
  accept("i");
  if (!is_name_rune(peek())) return true;
  advance();  // so that the message shows what is wrong
  return false;
}

Token Lexer::quoted_literal(Kind kind, char quote) {
  while (true) {
    char32_t rune = peek();
    if (rune == '\\') {
      advance();
      rune = peek();
      if (rune != kNone && rune != '\n') {
        advance();
        continue;
      }
    }
    if (rune == kNone || rune == '\n') {
      fail(start_, std::string("cannot find the closing ") + quote +
                       " on this line; is there no }} before it?");
    }
    advance();
    if (rune == static_cast<unsigned char>(quote)) return emit(kind);
  }
}

Token Lexer::raw_string() {
  const std::size_t end = input_.find('`', pos_);
  if (end == std::string_view::npos) fail(start_, "cannot find the closing `");
  pos_ = end + 1;
  return emit(Kind::kRawString);
}

char32_t Lexer::peek() const { return pos_ < input_.size() ? decode_rune(rest()).value : kNone; }

void Lexer::advance() { pos_ += decode_rune(rest()).size; }

void Lexer::skip_name() {
  while (is_name_rune(peek())) advance();
}

bool Lexer::accept(std::string_view one_of) {
  if (pos_ >= input_.size() || one_of.find(input_[pos_]) == std::string_view::npos) return false;
  ++pos_;
  return true;
}

void Lexer::accept_run(std::string_view one_of) {
  while (accept(one_of)) {
  }
}

bool Lexer::at_end_of_word() const {
  const char32_t rune = peek();
  return rune == kNone || is_action_space(rune) ||
         (rune < 0x80 &&
          std::string_view(".,|:()").find(static_cast<char>(rune)) != std::string_view::npos) ||
         rest().starts_with(kCloseDelimiter);
}

Token Lexer::emit(Kind kind) { return {kind, input_.substr(start_, pos_ - start_), start_}; }

void Lexer::fail(std::size_t offset, std::string_view message) const {
  throw Failure(offset, std::string(message));
}

}  // namespace containerpilot::agent::tmpl
