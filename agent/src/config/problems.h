#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/tree.h"
#include "containerpilot/agent/problem.h"

namespace containerpilot::agent {

/// Collects what is wrong with one configuration. Stops counting at a bound, so that a broken 10 MB
/// file does not make a million messages.
class Problems {
 public:
  explicit Problems(const Tree& tree) : tree_(tree) {}

  void error(const Node& at, std::string message, std::string accepted = {});
  void warning(const Node& at, std::string message, std::string accepted = {});
  /// About the key of a member, not its value.
  void key_error(const Node& at, std::string message, std::string accepted = {});
  void key_warning(const Node& at, std::string message, std::string accepted = {});
  /// An error, or after tolerate_unknown_keys() a warning.
  void unknown_key(const Node& at, std::string message, std::string accepted);
  void tolerate_unknown_keys() { unknown_keys_ = Problem::Severity::kWarning; }
  /// About a place that is no value (syntax errors).
  void error_at(std::uint16_t source, std::uint32_t offset, std::string message);
  void warning_at(std::uint16_t source, std::uint32_t offset, std::string message);
  /// About no place at all.
  void error(std::string message);
  void warning(std::string message);

  [[nodiscard]] bool failed() const { return !errors_.empty(); }
  [[nodiscard]] std::size_t error_count() const { return errors_.size(); }
  [[nodiscard]] bool full() const;
  [[nodiscard]] std::vector<Problem> take_errors() { return std::move(errors_); }
  [[nodiscard]] std::vector<Problem> take_warnings() { return std::move(warnings_); }

 private:
  [[nodiscard]] Problem at(Problem::Severity severity, std::uint16_t source, std::uint32_t offset,
                           std::string message) const;
  void add(Problem::Severity severity, const Node& node, std::uint32_t offset, std::string message,
           std::string accepted);

  const Tree& tree_;
  Problem::Severity unknown_keys_ = Problem::Severity::kError;
  std::vector<Problem> errors_;
  std::vector<Problem> warnings_;
};

/// For messages: control characters become escapes, bytes that are not UTF-8 U+FFFD.
std::string printable(std::string_view text);
/// For messages: '"5 s"', '5.5', 'true', 'null', 'a list', 'an object'. Secrets print as ***.
std::string describe(const Node& node);

}  // namespace containerpilot::agent
