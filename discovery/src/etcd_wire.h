#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/discovery/spec.h"
#include "containerpilot/supervisor/result.h"

// etcd's v3 API as its JSON gateway writes it: pure functions, any thread. Keys and values are
// base64 there and 64-bit numbers are strings. Errors of decoders: kInvalid, with the path of
// the bad field.
namespace containerpilot::discovery {

std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

/// PREFIX/NAME/ID/service, the layout of ContainerPilot 2.x (spec v1-v2, section 5).
std::string etcd_key(std::string_view prefix, std::string_view name, std::string_view id);
struct EtcdKeyParts {
  std::string name, id;
};
std::optional<EtcdKeyParts> parse_etcd_key(std::string_view prefix, std::string_view key);
/// The five fields readers of 2.x know: id, name, address, port, tags.
std::string encode_etcd_value(const ServiceSpec& service);
Result<ServiceSpec> decode_etcd_value(std::string_view value);

std::string encode_lease_grant(Duration ttl);
std::string encode_lease(std::uint64_t lease);  ///< body of keepalive and revoke
std::string encode_put(std::string_view key, std::string_view value, std::uint64_t lease);
std::string encode_delete(std::string_view key);
/// Everything below "PREFIX/".
std::string encode_range(std::string_view prefix);
/// How many there are: the smallest question about them.
std::string encode_count(std::string_view prefix);
/// One read of many keys.
std::string encode_get_all(const std::vector<std::string>& keys);
std::string encode_watch(std::string_view prefix, std::uint64_t start_revision);
std::string encode_authenticate(std::string_view user, std::string_view password);

Result<std::uint64_t> decode_lease_grant(std::string_view body);
/// Seconds the lease still lives; 0: there is no such lease (any more).
Result<std::uint64_t> decode_keepalive(std::string_view body);
Result<std::string> decode_token(std::string_view body);
/// Of a put or a delete: that it was etcd who answered, and that it is done.
Status decode_done(std::string_view body);

struct EtcdPair {
  std::string key, value;
};
struct EtcdRange {
  std::uint64_t revision = 0;
  std::vector<EtcdPair> pairs;
};
Result<EtcdRange> decode_range(std::string_view body);
Result<std::vector<EtcdPair>> decode_get_all(std::string_view body);

struct EtcdEvent {
  bool removed = false;
  EtcdPair pair;
};
struct EtcdWatchMessage {
  bool created = false;
  bool canceled = false;
  std::uint64_t compact_revision = 0;  ///< canceled, because what was asked for is gone below this
  std::string cancel_reason;           ///< canceled, where etcd says why
  std::vector<EtcdEvent> events;
};
Result<EtcdWatchMessage> decode_watch_message(std::string_view line);

/// What the gateway says when it refuses; nullopt when the body is not of its making.
struct EtcdRefusal {
  std::uint64_t code = 0;  ///< gRPC's
  std::string message;
};
std::optional<EtcdRefusal> decode_refusal(std::string_view body);

}  // namespace containerpilot::discovery
