#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "template/failure.h"

namespace containerpilot::agent::tmpl {

/// What evaluation may still spend. One unit is a byte made or read by a function; a step of the
/// program, a function call or an iteration costs kStep. Throws Failure when nothing is left.
class Budget {
 public:
  static constexpr std::size_t kStep = 64;

  Budget(std::size_t work, std::size_t text_bytes) : left_(work), text_bytes_(text_bytes) {}

  void spend(std::size_t work) {
    if (work > left_) throw Failure("cannot go on: the template does too much work (a loop?)");
    left_ -= work;
  }
  /// The longest text that may be made.
  [[nodiscard]] std::size_t text_bytes() const { return text_bytes_; }

 private:
  std::size_t left_;
  std::size_t text_bytes_;
};

/// A string that grows at the cost of a budget and up to the budget's text limit.
class Buffer {
 public:
  explicit Buffer(Budget& budget) : budget_(budget) {}

  void append(std::string_view text) {
    make_room(text.size());
    text_ += text;
  }
  void append(std::size_t count, char c) {
    make_room(count);
    text_.append(count, c);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void make_room(std::size_t bytes) {
    if (bytes > budget_.text_bytes() - text_.size()) {
      throw Failure("cannot make a text of more than " + std::to_string(budget_.text_bytes()) +
                    " bytes");
    }
    budget_.spend(bytes);
  }

  Budget& budget_;
  std::string text_;
};

}  // namespace containerpilot::agent::tmpl
