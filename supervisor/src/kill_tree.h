#pragma once

#include <sys/types.h>

#include <string_view>

namespace containerpilot::detail {

/// SIGKILLs what the kernel still connects with `leader`, a child of ours that is not yet reaped:
/// its group, its descendants, and those adopted by us whose environment holds the entry `marker`
/// ("KEY=value"). Everything found is stopped first, until a look at /proc finds nothing new, so
/// that nothing forks its way out. Takes some ten microseconds per process of the host.
void kill_descendants(pid_t leader, std::string_view marker);

/// True if `pid` is `leader`, in its group, a descendant, or carries `marker` in its environment.
bool belongs_to(pid_t pid, pid_t leader, std::string_view marker);

}  // namespace containerpilot::detail
