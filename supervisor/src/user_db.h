#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/process.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::detail {

/// Who a child runs as, in numbers.
struct Identity {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<std::vector<gid_t>> groups;  ///< supplementary; nullopt: unchanged
  std::string name, home;                    ///< of the user, as far as passwd knows it
};

/// Resolves user, group and groups of `spec` by reading the two files, not through NSS, which a
/// static build does not have. A user without `group` gets its primary group, without `groups` the
/// groups that list it; a number that passwd does not know keeps the agent's group and gets no
/// others. Errors: kInvalid (unknown name).
Result<Identity> resolve_identity(const ProcessSpec& spec,
                                  const std::string& passwd_file = "/etc/passwd",
                                  const std::string& group_file = "/etc/group");

}  // namespace containerpilot::detail
