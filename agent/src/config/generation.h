#pragma once

#include "config/problems.h"
#include "config/tree.h"
#include "containerpilot/agent/config.h"
#include "containerpilot/agent/plan.h"

namespace containerpilot::agent {

struct Detected {
  Generation generation = Generation::kV3;
  /// The document can only be of 2.1.1 or later, whose parser refused unknown keys.
  bool strict = false;
};

/// Tells the generation from the rendered document, else from how the program was called. Keys of
/// two generations are an error. Source: spec v1-v2, section 9.
Detected detect_generation(Problems& problems, const Tree& tree, const Node& top,
                           const ConfigSource& source, const LoadOptions& options);

}  // namespace containerpilot::agent
