// Bytes as answers of Consul and etcd, and as requests to the embedded catalog; the first byte says
// which. Oracle: an error names a problem, and what was understood survives being written and read
// again.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "consul_wire.h"
#include "embedded_wire.h"
#include "etcd_wire.h"

namespace {

using namespace containerpilot;
using namespace containerpilot::discovery;

void require(bool holds) {
  if (!holds) std::abort();
}

template <class T>
bool understood(const Result<T>& result) {
  require(result.has_value() || !result.error().text().empty());
  return result.has_value();
}

void consul(std::string_view body) {
  if (const auto answer = decode_health_service(body); understood(answer)) {
    const std::vector<Instance>& instances = answer.value().instances;
    for (std::size_t i = 1; i < instances.size(); ++i) {
      require(instances[i - 1].id <= instances[i].id);
    }
  }
  const auto services = decode_agent_services(body);
  const auto checks = decode_agent_checks(body);
  if (!understood(services) || !understood(checks)) return;
  require(merge_own_entries(services.value(), checks.value()).size() == services.value().size());
}

void etcd(std::string_view body) {
  static_cast<void>(understood(decode_lease_grant(body)));
  static_cast<void>(understood(decode_keepalive(body)));
  static_cast<void>(understood(decode_done(body)));
  static_cast<void>(understood(decode_token(body)));
  static_cast<void>(understood(decode_range(body)));
  static_cast<void>(understood(decode_get_all(body)));
  static_cast<void>(understood(decode_watch_message(body)));
  static_cast<void>(understood(decode_etcd_value(body)));
  static_cast<void>(decode_refusal(body));
  require(base64_decode(base64_encode(body)) == body);
  if (const auto parts = parse_etcd_key("/containerpilot", body)) {
    require(etcd_key("/containerpilot", parts->name, parts->id) == body);
  }
}

void embedded(std::string_view body) {
  static_cast<void>(understood(decode_registration(body)));
  static_cast<void>(understood(decode_check_registration(body)));
  static_cast<void>(understood(decode_check_update(body)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      consul(body);
      break;
    case 1:
      etcd(body);
      break;
    default:
      embedded(body);
      break;
  }
  return 0;
}
