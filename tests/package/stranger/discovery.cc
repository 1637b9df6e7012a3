#include <containerpilot/discovery/interfaces.h>

int main() {
  const auto chosen = containerpilot::discovery::choose_address(
      {"inet"}, {{.interface = "eth0", .ip = "192.0.2.2", .prefix_length = 24}});
  return chosen.has_value() && chosen.value().ip == "192.0.2.2" ? 0 : 1;
}
