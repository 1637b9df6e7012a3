#include "containerpilot/agent/version.h"

namespace containerpilot::agent {

std::string_view version() { return CONTAINERPILOT_VERSION; }
std::string_view git_hash() { return CONTAINERPILOT_GIT_HASH; }

}  // namespace containerpilot::agent
