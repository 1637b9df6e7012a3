// Bytes as what a sensor prints, in each format. Oracle: samples or errors, never nothing of both;
// what is sampled can be exported, and our own validator finds no fault with it.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "containerpilot/telemetry/number.h"
#include "containerpilot/telemetry/registry.h"
#include "sensor_parse.h"
#include "support/openmetrics.h"

namespace {

using namespace containerpilot::telemetry;

void require(bool holds) {
  if (!holds) std::abort();
}

void judge(const Parsed& parsed, bool may_be_empty) {
  require(may_be_empty || !parsed.samples.empty() || !parsed.errors.empty());
  Registry registry;
  for (const Sample& sample : parsed.samples) {
    MetricSpec metric;
    metric.name = sample.name;
    metric.help = sample.help;
    metric.type = sample.type;
    metric.legacy_name = sample.untyped;
    if (!registry.declare(metric)) continue;
    static_cast<void>(sample.total ? registry.record_total(sample.name, sample.labels, sample.value)
                                   : registry.record(sample.name, sample.labels, sample.value));
  }
  std::string text;
  registry.render(TextFormat::kOpenMetrics100, text);
  require(containerpilot::test::openmetrics_problems(text).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  SensorSpec sensor;
  sensor.name = sensor.metric.name = "load";
  judge(parse_number_output(text, sensor), false);
  sensor.values = {{"depth", "/depth"}, {"oldest", "/queues/0/oldest"}};
  sensor.value_labels = {{"queue", "/name"}};
  judge(parse_json_output(text, sensor), false);
  judge(parse_prometheus_output(text), true);
  if (const auto number = parse_metric_value(text)) {
    std::string written;
    append_number(written, number.value());
    const auto again = parse_metric_value(written);
    require(again && (again.value() == number.value() || number.value() != number.value()));
  }
  return 0;
}
