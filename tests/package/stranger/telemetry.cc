#include <containerpilot/telemetry/registry.h>
#include <containerpilot/telemetry/server.h>

#include <string>

int main() {
  using namespace containerpilot::telemetry;
  Registry registry;
  Documents documents;
  if (!registry.declare({.name = "queue_depth", .help = "Items waiting."}).has_value()) return 1;
  if (!registry.record("queue_depth", {}, 7).has_value()) return 1;
  std::string text;
  registry.render(TextFormat::kPrometheus004, text);
  if (text.find("\nqueue_depth 7\n") == std::string::npos) return 1;
  const auto server =
      MetricsServer::start({.listen = "127.0.0.1", .port = 0}, registry, documents, [](bool) {});
  return server.has_value() && server.value()->port() != 0 ? 0 : 1;
}
