#include "signal_names.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#include <charconv>

namespace containerpilot::agent {

std::string signal_name(int signo) {
  const char* name = sigabbrev_np(signo);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signo);
}

std::optional<int> parse_signal(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) {
    return number >= 1 && number <= SIGRTMAX ? std::optional(number) : std::nullopt;
  }
  const std::string word(text.size() > 3 && strncasecmp(text.data(), "SIG", 3) == 0 ? text.substr(3)
                                                                                    : text);
  if (strcasecmp(word.c_str(), "IO") == 0) return SIGIO;  // glibc calls it POLL
  for (int signo = 1; signo < NSIG; ++signo) {
    const char* name = sigabbrev_np(signo);
    if (name != nullptr && strcasecmp(name, word.c_str()) == 0) return signo;
  }
  return std::nullopt;
}

}  // namespace containerpilot::agent
