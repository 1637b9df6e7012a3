// Bytes as a template. Oracle: rendering ends, within its limits, and the same way twice; an error
// begins with its line and column.

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "containerpilot/agent/template.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool has_position(std::string_view error) {
  const std::size_t digits = error.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || error[digits] != ':') return false;
  error.remove_prefix(digits + 1);
  const std::size_t more = error.find_first_not_of("0123456789");
  return more != 0 && more != std::string_view::npos && error.substr(more).starts_with(": cannot ");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using containerpilot::agent::render_template;
  static const std::map<std::string, std::string, std::less<>> kEnvironment = {
      {"A", "a, b ,c"}, {"B", "3"}, {"EMPTY", ""}, {"BYTES", "\xff\xe2\x98"}};
  containerpilot::agent::TemplateOptions options;
  options.limits = {.text_bytes = 1U << 16, .call_depth = 1000, .work = 1U << 20};
  options.read_file = [](const std::string& path) -> containerpilot::Result<std::string> {
    if (path.empty()) {
      return containerpilot::Error(containerpilot::Errc::kNotFound, "cannot read ''");
    }
    return std::string("secret");
  };

  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto first = render_template(text, kEnvironment, options);
  const auto second = render_template(text, kEnvironment, options);
  require(first.has_value() == second.has_value());
  if (first) {
    require(first.value() == second.value());
    require(first.value().size() <= options.limits.text_bytes);
  } else {
    require(has_position(first.error().text()));
  }
  return 0;
}
