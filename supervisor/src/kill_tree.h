#pragma once

#include <sys/types.h>

#include <functional>
#include <string_view>

namespace containerpilot::detail {

/// SIGKILLs what the kernel still connects with `leader`, a child of ours that is not yet reaped:
/// its group, its descendants, and those adopted by us whose environment holds `marker`
/// ("KEY=value", with the NUL that ends an entry). Everything found is stopped first, until a look
/// at /proc finds nothing new, so that nothing forks its way out. Takes some ten microseconds per
/// process of the host.
void kill_descendants(pid_t leader, std::string_view marker);

/// True if `pid` is `leader`, in its group, a descendant, or carries `marker` in its environment.
bool belongs_to(pid_t pid, pid_t leader, std::string_view marker);

/// Signals those adopted by us whose environment holds an entry that begins with `marker`, and all
/// below them, but not the members of group `spared`. `is_own` knows the children that we started.
/// True if there was anyone, spared or not. Cheap as long as we have adopted nobody.
bool signal_adopted(std::string_view marker, const std::function<bool(pid_t)>& is_own, int signo,
                    pid_t spared);

}  // namespace containerpilot::detail
