#pragma once

#include <string>

#include "containerpilot/supervisor/result.h"

namespace containerpilot::agent {

// What -status and -why make of a /status document, on the side of the person. Pure.

/// One screen: jobs, checks, catalog, watches, sensors.
std::string status_screen(const std::string& status_json);
/// No job unhealthy, crash looping or failed, catalog reachable. False for what is no status
/// document.
bool status_all_healthy(const std::string& status_json);
/// The chain of events that led to the last start of a job. Errors: kNotFound, kInvalid.
Result<std::string> why_text(const std::string& status_json, const std::string& job, bool json);

}  // namespace containerpilot::agent
