// Bytes through the whole of loading: template, JSON5, all three generations, plan, explanation.
// Oracle: a plan exists if and only if nothing was reported, and every problem says where or which
// file.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "containerpilot/agent/config.h"
#include "containerpilot/agent/explain.h"

namespace {

using namespace containerpilot::agent;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  LoadOptions options;
  options.addresses = {{"eth0", "192.0.2.2"}, {"lo", "127.0.0.1"}};
  options.hostname = "host";
  options.environment = {{"CONSUL", "consul"}, {"N", "3"}};
  if (size > 0 && data[0] % 2 == 1) options.command = {"/bin/app", "{{ .CONSUL }}"};
  const std::string text(reinterpret_cast<const char*>(data), size);
  const LoadResult result = load_config({"", text, size > 1 && data[1] % 2 == 1}, options);
  require(result.plan.has_value() == result.errors.empty());
  for (const Problem& problem : result.errors) require(!one_line(problem).empty());
  if (result.plan) {
    require(!explain_text(*result.plan, options.addresses).empty());
    require(!explain_json(*result.plan, options.addresses).empty());
  }
  return 0;
}
