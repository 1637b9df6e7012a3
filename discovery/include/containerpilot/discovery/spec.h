#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/reactor.h"

namespace containerpilot::discovery {

/// The catalog's words for health.
enum class Health : std::uint8_t { kPassing, kWarning, kCritical };
/// "passing", "warning", "critical".
std::string_view health_name(Health health);
std::optional<Health> parse_health(std::string_view name);

/// One entry of this instance, as it should stand in the catalog.
struct ServiceSpec {
  std::string id;  ///< "<name>-<hostname>"
  std::string name;
  std::string address;
  std::int64_t port =
      0;  ///< as configured: 3.x never checked its range, so neither may we refuse it
  std::vector<std::string> tags;
  std::map<std::string, std::string> meta;
  bool enable_tag_override = false;
  Duration ttl{0};
  std::string
      deregister_critical_after;  ///< as written ("10m"); empty: an hour, for leftovers of a crash
  std::optional<Health>
      initial_status;    ///< registered at once with it; else at the first passing check
  std::string notes;     ///< note of the check
  std::string check_id;  ///< id and name of the check; empty: "service:<id>", the catalog's choice
  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

/// One instance of a service somebody else registered.
struct Instance {
  std::string id;
  std::string name;
  std::string address;
  std::uint16_t port = 0;
  std::vector<std::string> tags;
  std::map<std::string, std::string> meta;
  friend bool operator==(const Instance&, const Instance&) = default;
};

struct WatchSpec {
  std::string name;      ///< service to watch; events come from "watch.<name>"
  std::string source;    ///< event source; "watch.<name>" unless translated from generation 1 or 2
  Duration interval{0};  ///< how often to ask a catalog that cannot hold an answer back, and DNS
  std::string tag;
  std::string dc;
  std::string dns;              ///< DNS name instead of a catalog service
  std::uint16_t dns_port = 0;   ///< 0: the name has SRV records, which carry ports
  bool addresses_only = false;  ///< generations 1 and 2: other ids, tags and meta are no change
  bool paused_in_maintenance = false;  ///< generations 1 and 2: tells of nothing meanwhile
  friend bool operator==(const WatchSpec&, const WatchSpec&) = default;
};

struct TlsSpec {
  std::string ca_file, ca_path, client_cert, client_key, server_name;
  bool verify = true;
  friend bool operator==(const TlsSpec&, const TlsSpec&) = default;
};

struct ConsulSpec {
  std::string address = "127.0.0.1:8500";  ///< host:port, or an absolute path for a unix socket
  bool unix_socket = false;
  std::string scheme = "http";
  std::string token;                  ///< never printed
  std::string token_file;             ///< read again when it changes
  std::string http_auth;              ///< "user:password" for a proxy in front of it; never printed
  std::string name_space, partition;  ///< of Consul Enterprise
  TlsSpec tls;
  friend bool operator==(const ConsulSpec&, const ConsulSpec&) = default;
};

struct EtcdSpec {
  std::vector<std::string> endpoints;
  std::string prefix = "/containerpilot";
  std::string user, password;
  TlsSpec tls;
  friend bool operator==(const EtcdSpec&, const EtcdSpec&) = default;
};

/// The embedded catalog: a Consul-compatible HTTP API in this process, for one machine.
struct EmbeddedSpec {
  std::string listen = "127.0.0.1:8500";  ///< address:port; port 0 picks a free one
  friend bool operator==(const EmbeddedSpec&, const EmbeddedSpec&) = default;
};

struct CatalogSpec {
  enum class Kind : std::uint8_t { kNone, kConsul, kEtcd, kEmbedded };
  Kind kind = Kind::kNone;
  ConsulSpec consul;
  EtcdSpec etcd;
  EmbeddedSpec embedded;
  friend bool operator==(const CatalogSpec&, const CatalogSpec&) = default;
};

}  // namespace containerpilot::discovery
