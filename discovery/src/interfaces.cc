#include "containerpilot/discovery/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <variant>

namespace containerpilot::discovery {

namespace {

/// An address in its 16-byte form; v4 is mapped (::ffff:a.b.c.d), so that sorting mixes both.
struct Ip {
  std::array<std::uint8_t, 16> bytes{};
  bool v4 = false;
};

constexpr std::size_t kMapped = 12;  // where the four bytes of a mapped v4 address begin

std::optional<Ip> parse_ip(std::string_view text) {
  const std::string terminated(text);
  Ip ip;
  if (inet_pton(AF_INET, terminated.c_str(), &ip.bytes[kMapped]) == 1) {
    ip.bytes[10] = ip.bytes[11] = 0xff;
    ip.v4 = true;
    return ip;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), ip.bytes.data()) == 1) return ip;
  return std::nullopt;
}

std::string to_text(const Ip& ip) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = ip.v4 ? &ip.bytes[kMapped] : ip.bytes.data();
  inet_ntop(ip.v4 ? AF_INET : AF_INET6, bytes, text.data(), text.size());
  return text.data();
}

bool is_loopback(const Ip& ip) {
  if (ip.v4) return ip.bytes[kMapped] == 127;
  return std::all_of(ip.bytes.begin(), ip.bytes.end() - 1, [](auto b) { return b == 0; }) &&
         ip.bytes[15] == 1;
}

bool is_link_local(const Ip& ip) {
  if (ip.v4) return ip.bytes[kMapped] == 169 && ip.bytes[kMapped + 1] == 254;
  return ip.bytes[0] == 0xfe && (ip.bytes[1] & 0xc0) == 0x80;
}

struct AnyOf {  // inet, inet6
  bool v4;
};
struct OnInterface {  // NAME, NAME:inet, NAME:inet6
  std::string name;
  bool v4;
};
struct Nth {  // NAME[i]
  std::string name;
  std::size_t index;
};
struct InNetwork {  // CIDR
  Ip network;
  unsigned prefix;  // counted in the 16-byte form
};
struct Static {
  std::string ip;
};
using Spec = std::variant<AnyOf, OnInterface, Nth, InNetwork, Static>;

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_interface_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '@';
  });
}

Error bad_spec(const std::string& spec, std::string_view reason) {
  return {Errc::kInvalid, "cannot use interface '" + spec + "': " + std::string(reason) +
                              "; accepted are 'inet', 'inet6', 'NAME', 'NAME:inet', 'NAME:inet6', "
                              "'NAME[0]', a network like '10.0.0.0/8' and 'static:10.0.0.1'"};
}

Result<Spec> parse_network(const std::string& spec, std::size_t slash) {
  const auto ip = parse_ip(std::string_view(spec).substr(0, slash));
  const auto length = parse_number<unsigned>(std::string_view(spec).substr(slash + 1));
  if (!ip) return bad_spec(spec, "not an address in front of '/'");
  if (!length || *length > (ip->v4 ? 32u : 128u)) {
    return bad_spec(
        spec, ip->v4 ? "the prefix length must be 0 to 32" : "the prefix length must be 0 to 128");
  }
  return Spec(InNetwork{*ip, *length + (ip->v4 ? 96u : 0u)});
}

Result<Spec> parse_spec(const std::string& spec) {
  constexpr std::string_view kStatic = "static:";
  if (spec == "inet") return Spec(AnyOf{true});
  if (spec == "inet6") return Spec(AnyOf{false});
  if (spec.starts_with(kStatic)) {
    const auto ip = parse_ip(spec.substr(kStatic.size()));
    if (!ip) return bad_spec(spec, "not an IP after 'static:'");
    return Spec(Static{to_text(*ip)});
  }
  if (const auto slash = spec.find('/'); slash != std::string::npos) {
    return parse_network(spec, slash);
  }
  // Names may hold dots, so an address alone would pass as a name that never matches.
  if (parse_ip(spec)) return bad_spec(spec, "write an address as 'static:" + spec + "'");

  const auto bracket = spec.find('[');
  const auto colon = spec.find(':');
  const std::string name = spec.substr(0, std::min(bracket, colon));
  if (!is_interface_name(name)) return bad_spec(spec, "not an interface name");
  if (bracket != std::string::npos) {
    if (!spec.ends_with(']')) return bad_spec(spec, "'[' without ']' at the end");
    const auto digits = std::string_view(spec).substr(bracket + 1, spec.size() - bracket - 2);
    const auto index = parse_number<std::size_t>(digits);
    if (!index) return bad_spec(spec, "the index must be a number from 0");
    return Spec(Nth{name, *index});
  }
  if (colon == std::string::npos) return Spec(OnInterface{name, true});
  const auto version = std::string_view(spec).substr(colon + 1);
  if (version != "inet" && version != "inet6") {
    return bad_spec(spec, "'inet' or 'inet6' must follow ':'");
  }
  return Spec(OnInterface{name, version == "inet"});
}

/// A candidate with its address parsed.
struct Candidate {
  const InterfaceAddress* address;
  Ip ip;
};

bool in_network(const Ip& ip, const InNetwork& network) {
  if (ip.v4 != network.network.v4) return false;
  for (unsigned bit = 0; bit < network.prefix; bit += 8) {
    const unsigned bits = std::min(8u, network.prefix - bit);
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - bits));
    if ((ip.bytes[bit / 8] & mask) != (network.network.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

const InterfaceAddress* find(const Spec& spec, const std::vector<Candidate>& candidates) {
  std::size_t position = 0;  // among those of the named interface
  for (const auto& [address, ip] : candidates) {
    bool match = false;
    if (const auto* any = std::get_if<AnyOf>(&spec)) {
      match = ip.v4 == any->v4 && !is_loopback(ip);
    } else if (const auto* on = std::get_if<OnInterface>(&spec)) {
      match = address->interface == on->name && ip.v4 == on->v4;
    } else if (const auto* nth = std::get_if<Nth>(&spec)) {
      match = address->interface == nth->name && position++ == nth->index;
    } else if (const auto* network = std::get_if<InNetwork>(&spec)) {
      match = in_network(ip, *network);
    }
    if (match) return address;
  }
  return nullptr;
}

std::string describe(const InterfaceAddress& address) {
  return address.interface + " " + address.ip;
}

template <class List, class Text>
std::string join(const List& list, const Text& text) {
  std::string joined;
  for (const auto& item : list) {
    if (!joined.empty()) joined += ", ";
    joined += text(item);
  }
  return joined.empty() ? "none" : joined;
}

bool is_alone_in_its_network(const Candidate& candidate) {
  return candidate.address->prefix_length == (candidate.ip.v4 ? 32 : 128);
}

/// An address on the loopback interface, or one whose network holds only itself, is usually a
/// virtual one, which moves to another host at any time (keepalived, swarm). Clouds and Calico give
/// eth0 nothing else, though, and DHCPv6 neither.
bool is_virtual(const Candidate& candidate, const std::vector<Candidate>& all) {
  if (candidate.address->interface == "lo") return true;
  if (!is_alone_in_its_network(candidate)) return false;
  return candidate.address->interface != "eth0" ||
         std::any_of(all.begin(), all.end(), [&](const Candidate& other) {
           return other.address->interface == "eth0" && other.ip.v4 == candidate.ip.v4 &&
                  !is_link_local(other.ip) && !is_alone_in_its_network(other);
         });
}

/// Lower is better; loopback never.
std::optional<int> default_rank(const Candidate& candidate, const std::vector<Candidate>& all) {
  const auto& [address, ip] = candidate;
  if (is_loopback(ip)) return std::nullopt;
  return (is_link_local(ip) ? 8 : 0) + (is_virtual(candidate, all) ? 4 : 0) + (ip.v4 ? 0 : 2) +
         (address->interface == "eth0" ? 0 : 1);
}

const InterfaceAddress* find_default(const std::vector<Candidate>& candidates) {
  const InterfaceAddress* best = nullptr;
  int best_rank = 0;
  for (const Candidate& candidate : candidates) {
    const auto rank = default_rank(candidate, candidates);
    if (!rank || (best != nullptr && *rank >= best_rank)) continue;
    best = candidate.address;
    best_rank = *rank;
  }
  return best;
}

int prefix_length_of(const sockaddr* mask) {
  if (mask == nullptr) return 0;
  int bits = 0;
  if (mask->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, mask, sizeof v4);
    bits = std::popcount(v4.sin_addr.s_addr);
  } else if (mask->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, mask, sizeof v6);
    for (const std::uint8_t byte : v6.sin6_addr.s6_addr) bits += std::popcount(byte);
  }
  return bits;
}

}  // namespace

Result<std::vector<InterfaceAddress>> list_addresses() {
  ifaddrs* raw = nullptr;
  if (getifaddrs(&raw) != 0) {
    const int code = errno;
    return Error(Errc::kIo,
                 "cannot list the addresses of this host: " + std::generic_category().message(code),
                 code);
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(raw, &freeifaddrs);

  struct Found {
    InterfaceAddress address;
    std::array<std::uint8_t, 16> bytes;
  };
  std::vector<Found> found;
  for (const ifaddrs* entry = raw; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const int family = entry->ifa_addr->sa_family;
    char text[INET6_ADDRSTRLEN] = {};
    if (family == AF_INET) {
      sockaddr_in v4{};
      std::memcpy(&v4, entry->ifa_addr, sizeof v4);
      inet_ntop(family, &v4.sin_addr, text, sizeof text);
    } else if (family == AF_INET6) {
      sockaddr_in6 v6{};
      std::memcpy(&v6, entry->ifa_addr, sizeof v6);
      inet_ntop(family, &v6.sin6_addr, text, sizeof text);
    }
    const auto ip = parse_ip(text);
    if (!ip) continue;
    const auto prefix = static_cast<std::uint8_t>(prefix_length_of(entry->ifa_netmask));
    found.push_back({{entry->ifa_name, text, prefix}, ip->bytes});
  }
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::tie(a.address.interface, a.bytes) < std::tie(b.address.interface, b.bytes);
  });
  std::vector<InterfaceAddress> addresses;
  addresses.reserve(found.size());
  for (Found& f : found) addresses.push_back(std::move(f.address));
  return addresses;
}

Status check_interface_spec(const std::string& spec) {
  auto parsed = parse_spec(spec);
  if (!parsed) return std::move(parsed).error();
  return ok();
}

Result<ChosenAddress> choose_address(const std::vector<std::string>& specs,
                                     const std::vector<InterfaceAddress>& candidates) {
  std::vector<Candidate> parsed_candidates;
  for (const InterfaceAddress& candidate : candidates) {
    if (const auto ip = parse_ip(candidate.ip)) parsed_candidates.push_back({&candidate, *ip});
  }
  const auto quoted = [](const std::string& spec) { return "'" + spec + "'"; };
  if (specs.empty()) {
    if (const InterfaceAddress* match = find_default(parsed_candidates)) {
      return ChosenAddress{match->ip, "the default rule chose " + describe(*match)};
    }
    return Error(Errc::kNotFound,
                 "cannot choose an address: there is none besides loopback; found: " +
                     join(candidates, describe));
  }

  std::vector<Spec> parsed_specs;
  std::string problems;
  for (const std::string& spec : specs) {
    auto parsed = parse_spec(spec);
    if (parsed) {
      parsed_specs.push_back(std::move(parsed).value());
    } else {
      problems += (problems.empty() ? "" : "\n") + parsed.error().text();
    }
  }
  if (!problems.empty()) return Error(Errc::kInvalid, std::move(problems));

  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (const auto* fixed = std::get_if<Static>(&parsed_specs[i])) {
      return ChosenAddress{fixed->ip, quoted(specs[i]) + " names it"};
    }
    if (const InterfaceAddress* match = find(parsed_specs[i], parsed_candidates)) {
      return ChosenAddress{match->ip, quoted(specs[i]) + " matched " + describe(*match)};
    }
  }
  return Error(Errc::kNotFound, "cannot choose an address: none of " + join(specs, quoted) +
                                    " matches; found: " + join(candidates, describe));
}

}  // namespace containerpilot::discovery
