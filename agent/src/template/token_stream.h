#pragma once

#include <string_view>
#include <vector>

#include "template/lexer.h"

namespace containerpilot::agent::tmpl {

/// The lexer's tokens, with a way to look ahead and to put some back. Throws Failure.
class TokenStream {
 public:
  explicit TokenStream(std::string_view text) : lexer_(text) {}

  Token next();
  Token next_after_space();
  const Token& peek();
  const Token& peek_after_space();
  /// Reads `token` again before all others.
  void push_back(const Token& token) { pushed_back_.push_back(token); }
  /// Reads the "}}" of `context`, like "{{else}}".
  void expect_close(std::string_view context);
  [[noreturn]] static void unexpected(const Token& token, std::string_view context);

 private:
  Lexer lexer_;
  std::vector<Token> pushed_back_;  ///< last first
};

}  // namespace containerpilot::agent::tmpl
