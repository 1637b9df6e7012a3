#pragma once

#include <string_view>

namespace containerpilot::agent {

struct LivePageFile {
  std::string_view path, content_type, body;
};
// Made by agent/live_page.cmake from the files themselves.
extern const LivePageFile kLivePageFiles[7];

}  // namespace containerpilot::agent
