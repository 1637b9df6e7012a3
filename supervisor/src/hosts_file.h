#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace containerpilot {

/// The addresses a hosts file (hosts(5)) gives to `name`, in its order; lines that make no sense
/// are skipped.
std::vector<std::string> find_in_hosts(std::string_view file, std::string_view name);

/// "localhost" and what ends in ".localhost" never leave the machine (RFC 6761, section 6.3).
bool is_localhost(std::string_view name);

}  // namespace containerpilot
