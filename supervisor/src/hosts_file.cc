#include "hosts_file.h"

#include <algorithm>

#include "http_message.h"
#include "socket_address.h"

namespace containerpilot {

namespace {

constexpr std::string_view kBlank = " \t\r\f\v";

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

std::string_view without_final_dot(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  return name;
}

}  // namespace

std::vector<std::string> find_in_hosts(std::string_view file, std::string_view name) {
  name = without_final_dot(name);
  std::vector<std::string> found;
  while (!file.empty()) {
    const std::size_t end = std::min(file.find('\n'), file.size());
    std::string_view line = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    line = line.substr(0, line.find('#'));

    const std::string ip(next_word(line));
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      if (!equal_ignoring_case(without_final_dot(word), name)) continue;
      if (ip_address(ip, 0) && std::find(found.begin(), found.end(), ip) == found.end()) {
        found.push_back(ip);
      }
      break;
    }
  }
  return found;
}

bool is_localhost(std::string_view name) {
  constexpr std::string_view kName = "localhost";
  name = without_final_dot(name);
  if (equal_ignoring_case(name, kName)) return true;
  return name.size() > kName.size() + 1 && name[name.size() - kName.size() - 1] == '.' &&
         equal_ignoring_case(name.substr(name.size() - kName.size()), kName);
}

}  // namespace containerpilot
