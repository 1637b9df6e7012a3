#pragma once

#include "containerpilot/telemetry/server.h"

namespace containerpilot::agent {

/// The page at `/` and its files (dashboards/live, and dygraphs), built into the program. They are
/// the same for everybody and hold no data, so no token is asked for; what the page then reads
/// asks.
void publish_live_page(telemetry::Documents& documents);

}  // namespace containerpilot::agent
