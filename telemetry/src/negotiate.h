#pragma once

#include <string_view>

#include "containerpilot/telemetry/registry.h"

namespace containerpilot::telemetry {

/// The format the client likes best among ours; 0.0.4 when it likes none. `accept` may be empty.
/// Source: RFC 9110, section 12.5.1.
TextFormat choose_format(std::string_view accept);
std::string_view content_type(TextFormat format);
/// Source: RFC 9110, section 12.5.3.
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace containerpilot::telemetry
