#include "containerpilot/discovery/spec.h"

namespace containerpilot::discovery {

std::string_view health_name(Health health) {
  switch (health) {
    case Health::kPassing:
      return "passing";
    case Health::kWarning:
      return "warning";
    case Health::kCritical:
      return "critical";
  }
  return {};
}

std::optional<Health> parse_health(std::string_view name) {
  for (const Health health : {Health::kPassing, Health::kWarning, Health::kCritical}) {
    if (health_name(health) == name) return health;
  }
  return std::nullopt;
}

}  // namespace containerpilot::discovery
