#pragma once

#include <string_view>

namespace containerpilot::agent {

/// "4.0.0".
std::string_view version();
/// Short commit id of the sources, or "unknown" outside a checkout.
std::string_view git_hash();

}  // namespace containerpilot::agent
