#include "template/token_stream.h"

#include <string>

#include "template/failure.h"
#include "template/quote.h"

namespace containerpilot::agent::tmpl {

using Kind = Token::Kind;

Token TokenStream::next() {
  if (pushed_back_.empty()) return lexer_.next();
  const Token token = pushed_back_.back();
  pushed_back_.pop_back();
  return token;
}

Token TokenStream::next_after_space() {
  Token token = next();
  while (token.kind == Kind::kSpace) token = next();
  return token;
}

const Token& TokenStream::peek() {
  if (pushed_back_.empty()) pushed_back_.push_back(lexer_.next());
  return pushed_back_.back();
}

const Token& TokenStream::peek_after_space() {
  while (peek().kind == Kind::kSpace) pushed_back_.pop_back();
  return peek();
}

void TokenStream::expect_close(std::string_view context) {
  const Token token = next_after_space();
  if (token.kind != Kind::kClose) unexpected(token, context);
}

void TokenStream::unexpected(const Token& token, std::string_view context) {
  throw Failure(token.offset, "cannot use " + quoted(token.text) + " in " + std::string(context));
}

}  // namespace containerpilot::agent::tmpl
