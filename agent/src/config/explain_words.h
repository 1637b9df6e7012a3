#pragma once

#include <string>
#include <vector>

#include "containerpilot/agent/plan.h"

namespace containerpilot::agent {

// Parts of a plan in words, shared by both forms of -explain.

/// argv as one would type it in a shell, without secrets.
std::string command_text(const std::vector<std::string>& argv);
/// "once, at healthy of 'db'", "every 5s, first at once".
std::string trigger_text(const Trigger& trigger);
/// "GET http://…", "runs /bin/check", "connects to host:80"; empty for no probe.
std::string probe_text(const Probe& probe);
/// "runs /bin/x", "reads /proc/loadavg", "cgroup cpu, memory".
std::string source_text(const telemetry::SensorSource& source);
std::string catalog_text(const discovery::CatalogSpec& catalog);
/// "never", "3 times", "without limit".
std::string limit_text(const Limit& limit);
/// "SIGTERM", else "signal 34".
std::string signal_text(int signal);

}  // namespace containerpilot::agent
