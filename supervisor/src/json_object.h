#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace containerpilot::detail {

/// A JSON object taken apart just far enough to merge it into another one.
struct JsonObject {
  std::vector<std::string_view> keys;  ///< of the top level, as written (escapes not decoded)
  std::string_view members;            ///< what stands between the outer braces, trimmed
};

/// True if `text`, white space around it allowed, is exactly one JSON object (RFC 8259, at most 64
/// levels deep); `result` then points into `text`. Pure; any thread.
bool parse_json_object(std::string_view text, JsonObject& result);

}  // namespace containerpilot::detail
