#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// One address of one interface of this host.
struct InterfaceAddress {
  std::string interface;
  std::string ip;                  ///< textual, v4 or v6
  std::uint8_t prefix_length = 0;  ///< of its network; 0: not known
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct ChosenAddress {
  std::string ip;
  std::string why;  ///< "'eth0:inet' matched eth0 192.0.2.2"
};

/// Every address of every interface, up or down, in the order the interfaces language defines: by
/// interface name, then by 16-byte address (v4 in mapped form). Errors: kIo.
Result<std::vector<InterfaceAddress>> list_addresses();

/// Checks one spec: "eth0", "eth0:inet6", "eth0[1]", "inet", "inet6", "10.0.0.0/8",
/// "static:10.0.0.1". Errors: kInvalid with the accepted forms. Pure.
Status check_interface_spec(const std::string& spec);

/// First spec that matches wins; within a spec, list order. Source: spec v3, section 5.5.
/// No specs at all means the default rule: v4 before v6, then eth0 before other interfaces; never a
/// loopback address, and only when there is nothing else a virtual one (on `lo`, or in a network of
/// its own where eth0 has a wider one), and after those a link-local one. Errors: kInvalid (all bad
/// specs, one per line), kNotFound (specs and candidates listed). Pure.
Result<ChosenAddress> choose_address(const std::vector<std::string>& specs,
                                     const std::vector<InterfaceAddress>& candidates);

}  // namespace containerpilot::discovery
