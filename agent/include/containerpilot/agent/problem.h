#pragma once

#include <cstdint>
#include <string>

namespace containerpilot::agent {

/// One thing that is wrong, or only odd, with a configuration, and where.
struct Problem {
  enum class Severity : std::uint8_t { kError, kWarning };
  Severity severity = Severity::kError;
  std::string file;               ///< as given; "<inline>" for text
  unsigned line = 0, column = 0;  ///< from 1; 0: not about a place
  std::string path;               ///< "jobs[0].health.interval"; empty for the whole file
  std::string message;            ///< "'5 s' is not a duration: …"
  std::string accepted;           ///< what would be right; may be empty
  std::string excerpt;            ///< the line and a caret, two lines; may be empty
};

/// One line: "app.json5:12:17: error: jobs[0].health.interval: found "5 s": …; accepted: …".
std::string one_line(const Problem& problem);
/// The same, with the excerpt below it.
std::string with_excerpt(const Problem& problem);

}  // namespace containerpilot::agent
