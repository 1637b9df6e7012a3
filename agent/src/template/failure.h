#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace containerpilot::agent::tmpl {

/// `text` in double quotes, shortened if it is long: for messages.
inline std::string quoted(std::string_view text) {
  constexpr std::size_t kMax = 60;
  return '"' + std::string(text.substr(0, kMax)) + (text.size() > kMax ? "…\"" : "\"");
}

/// Ends parsing or evaluation. Thrown inside the template code only; render_template() catches it.
class Failure : public std::exception {
 public:
  explicit Failure(std::string message) : message_(std::move(message)) {}
  Failure(std::size_t offset, std::string message)
      : offset_(offset), message_(std::move(message)) {}

  /// Byte offset in the template's text; none when the thrower does not know (a function).
  [[nodiscard]] std::optional<std::size_t> offset() const { return offset_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::optional<std::size_t> offset_;
  std::string message_;
};

}  // namespace containerpilot::agent::tmpl
