#include "scrape_metrics.h"

#include <string>

#include "containerpilot/telemetry/agent_metrics.h"

namespace containerpilot::telemetry {

ScrapeMetrics::ScrapeMetrics(Registry& registry) {
  const auto series = [&](std::string_view name, const Labels& labels = {}) {
    auto handle = registry.series(name, labels);
    return handle ? std::move(handle).value() : SeriesHandle();
  };
  declare_agent_metrics(registry);
  scrapes_ = {series(kScrapes, {{"format", "text"}}),
              series(kScrapes, {{"format", "openmetrics"}})};
  duration_ = series(kScrapeDuration);
  bytes_ = series(kScrapeBytes);
  Labels old = {{"handler", "prometheus"}};
  old_request_size_ = series(kOldScrapeRequestSize, old);
  old_response_size_ = series(kOldScrapeResponseSize, old);
  old["code"] = "200";
  for (const bool head : {false, true}) {
    old["method"] = head ? "head" : "get";
    old_scrapes_[head ? 1 : 0] = series(kOldScrapes, old);
  }
}

void ScrapeMetrics::record(std::string_view method, TextFormat format, std::size_t bytes,
                           Duration took) {
  const auto size = static_cast<double>(bytes);
  // Recording these cannot fail: they are declared, and the values are finite and not negative.
  static_cast<void>(scrapes_[static_cast<std::size_t>(format)].record(1));
  static_cast<void>(duration_.record(std::chrono::duration<double>(took).count()));
  static_cast<void>(bytes_.record(size));
  static_cast<void>(old_request_size_.record(0));
  static_cast<void>(old_response_size_.record(size));
  static_cast<void>(old_scrapes_[method == "HEAD" ? 1 : 0].record(1));
}

}  // namespace containerpilot::telemetry
