#pragma once

#include <span>
#include <string_view>

namespace containerpilot::agent {

struct LivePageFile {
  std::string_view path, content_type, body;
};
// Made by agent/live_page.cmake from the files themselves.
std::span<const LivePageFile> live_page_files();

}  // namespace containerpilot::agent
