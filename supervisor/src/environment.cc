#include "containerpilot/supervisor/environment.h"

#include <unistd.h>

namespace containerpilot {

Environment Environment::from_process() {
  Environment result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    result.vars_.try_emplace(std::string(text.substr(0, equals)), text.substr(equals + 1));
  }
  return result;
}

bool Environment::set(std::string_view name, std::string_view value) {
  if (name.empty() || name.find('=') != name.npos || name.find('\0') != name.npos ||
      value.find('\0') != value.npos) {
    return false;
  }
  vars_.insert_or_assign(std::string(name), std::string(value));
  return true;
}

void Environment::unset(std::string_view name) {
  if (const auto it = vars_.find(name); it != vars_.end()) vars_.erase(it);
}

const std::string* Environment::get(std::string_view name) const {
  const auto it = vars_.find(name);
  return it == vars_.end() ? nullptr : &it->second;
}

std::vector<std::string> Environment::to_strings() const {
  std::vector<std::string> result;
  result.reserve(vars_.size());
  for (const auto& [name, value] : vars_) {
    std::string& entry = result.emplace_back();
    entry.reserve(name.size() + 1 + value.size());
    entry.append(name).append("=").append(value);
  }
  return result;
}

}  // namespace containerpilot
