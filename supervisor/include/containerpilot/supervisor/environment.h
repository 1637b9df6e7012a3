#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace containerpilot {

/// The environment children inherit: the agent's own at start, plus what -putenv and the engine
/// set. Kept apart from `environ`, which is never written after start (other threads read it). Loop
/// thread only.
class Environment {
 public:
  Environment() = default;
  /// Takes "KEY=value" entries; the first of duplicates wins, entries without '=' are ignored.
  static Environment from_process();

  /// False, and no change, if the name is empty or holds '=' or NUL, or the value holds NUL.
  bool set(std::string_view name, std::string_view value);
  void unset(std::string_view name);
  /// Null when not set.
  [[nodiscard]] const std::string* get(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& all() const { return vars_; }
  /// "KEY=value", sorted by key.
  [[nodiscard]] std::vector<std::string> to_strings() const;

 private:
  std::map<std::string, std::string, std::less<>> vars_;
};

}  // namespace containerpilot
