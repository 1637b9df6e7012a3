// Bytes as a DNS server's answer about SRV records. Oracle: records that can be used, in order, or
// an error.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "dns_lookup.h"

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65'535) return 0;  // no message is longer
  const auto answer = containerpilot::decode_srv(data, static_cast<int>(size));
  require((answer.status == ARES_SUCCESS) == !answer.records.empty());
  require(answer.records.size() <= 512);
  require(std::is_sorted(answer.records.begin(), answer.records.end(),
                         [](const auto& a, const auto& b) { return a.priority < b.priority; }));
  for (const auto& record : answer.records) require(!record.host.empty() && record.host != ".");
  return 0;
}
