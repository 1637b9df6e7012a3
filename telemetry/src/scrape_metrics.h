#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/telemetry/registry.h"

namespace containerpilot::telemetry {

/// What the server says of its own scrapes, under today's names and under those of
/// ContainerPilot 3.8.0.
class ScrapeMetrics {
 public:
  explicit ScrapeMetrics(Registry& registry);
  void record(std::string_view method, TextFormat format, std::size_t bytes, Duration took);

 private:
  std::array<SeriesHandle, 2> scrapes_;      // by format
  std::array<SeriesHandle, 2> old_scrapes_;  // by method: GET, HEAD
  SeriesHandle duration_, bytes_, old_request_size_, old_response_size_;
};

}  // namespace containerpilot::telemetry
