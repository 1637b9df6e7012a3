#pragma once

#include "config/tree.h"

namespace containerpilot::agent {

/// Merges `over` into `base`, both objects; afterwards `over` is not to be used. Rules:
/// - objects are merged key by key, and what `over` says wins; its null takes a key away
/// - lists whose elements have names (`jobs`, `watches`, `sensors`, `services`, …) are merged by
/// name:
///   an element with a known name is merged into that one, others are appended
/// - every other list, and every other value, is replaced
/// - naming a catalog (`consul`, `etcd`, `catalog`) takes the place of another catalog
/// Keys compare exactly at the top and in any case below, as when they are read.
void merge(Node& base, Node& over);

}  // namespace containerpilot::agent
