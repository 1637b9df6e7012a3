#pragma once

#include <string>
#include <system_error>

namespace containerpilot::detail {

/// "No such file or directory" for ENOENT, from any thread (strerror makes no such promise).
inline std::string errno_text(int error) { return std::generic_category().message(error); }

}  // namespace containerpilot::detail
