// What the running agent shows of itself on the telemetry port.

#include <nlohmann/json.hpp>
#include <utility>

#include "app.h"

namespace containerpilot::agent {

using namespace std::chrono_literals;

namespace {
constexpr Duration kHealthBeat = 1s;  // /healthz is renewed this often
constexpr Duration kHealthValid =
    5s;  // and says 503 when the loop has not come round for this long
}  // namespace

StatusInput App::status_input() const {
  std::vector<ScalingState> scaling;
  for (const telemetry::ScalingSpec& rule : plan_.scaling) {
    const telemetry::ScalingDecision* decision = scaling_.decision(rule.service);
    const auto instances = catalog_->healthy_instances(rule.service);
    scaling.push_back(
        {rule, decision ? *decision : telemetry::ScalingDecision(),
         instances ? std::optional(static_cast<unsigned>(*instances)) : std::nullopt});
  }
  return {.plan = plan_,
          .jobs = supervisor_.jobs(),
          .entries = catalog_->entries(),
          .watches = catalog_->watches(),
          .sensors = sensors_.states(),
          .scaling = std::move(scaling),
          .catalog = catalog_->name(),
          .catalog_up = catalog_->up(),
          .maintenance = supervisor_.maintenance(),
          .shutting_down = supervisor_.shutting_down(),
          .now = reactor_.wall_now(),
          .now_monotonic = reactor_.now()};
}

void App::make_documents() {
  if (!server_) return;
  const StatusInput input = status_input();
  metrics_.update_jobs(input.jobs, input.plan.jobs);
  metrics_.update_catalog(!input.catalog.empty(), input.catalog_up, input.entries, input.watches,
                          input.now, input.now_monotonic);
  documents_.publish(
      "/status", {.status = 200, .content_type = "application/json", .body = status_json(input)});
  documents_.publish(
      "/sd/prometheus",
      {.status = 200, .content_type = "application/json", .body = targets_document()});
  const Readiness ready = readiness(input);
  std::string verbose;
  for (const std::string& condition : ready.conditions) verbose += condition + "\n";
  const int status = ready.ready ? 200 : 503;
  documents_.publish("/readyz", {.status = status,
                                 .content_type = "text/plain; charset=utf-8",
                                 .body = ready.ready ? "ok\n" : verbose});
  documents_.publish(
      "/readyz?verbose",
      {.status = status, .content_type = "text/plain; charset=utf-8", .body = verbose});
}

void App::publish_health() {
  const telemetry::Document alive = {.status = 200,
                                     .content_type = "text/plain; charset=utf-8",
                                     .body = "ok\n",
                                     .valid_for = kHealthValid};
  documents_.publish("/healthz", alive);
  documents_.publish("/healthz?verbose", alive);
  metrics_.update_loop(reactor_.stats(), launcher_.orphans());
  health_timer_ = reactor_.after(kHealthBeat, [this] { publish_health(); });
  // Ages and sensor values move without any event.
  if (!plan_.sensors.empty() || !plan_.watches.empty()) pages_.changed();
  if (!plan_.scaling.empty()) pages_.run();  // a rule may read what would be made for a scrape
}

std::string App::targets_document() const {
  nlohmann::ordered_json targets = nlohmann::ordered_json::array();
  const auto add = [&](const discovery::Instance& endpoint) {
    const auto meta = [&endpoint](const char* key, const char* otherwise) {
      const auto found = endpoint.meta.find(key);
      return found == endpoint.meta.end() ? std::string(otherwise) : found->second;
    };
    const bool v6 = endpoint.address.find(':') != std::string::npos;
    const std::string host = v6 ? "[" + endpoint.address + "]" : endpoint.address;
    targets.push_back({{"targets", {host + ":" + std::to_string(endpoint.port)}},
                       {"labels",
                        {{"__scheme__", meta("scheme", "http")},
                         {"__metrics_path__", meta("metrics_path", "/metrics")},
                         {"__meta_containerpilot_service", endpoint.name},
                         {"__meta_containerpilot_service_id", endpoint.id}}}});
  };
  for (const discovery::Instance& endpoint : catalog_->telemetry_endpoints()) add(endpoint);
  // Without a catalog there is at least this one.
  if (catalog_->name().empty() && plan_.telemetry && server_) {
    const telemetry::ServerSpec& server = plan_.telemetry->server;
    discovery::Instance self;
    self.name = "containerpilot";
    self.id = hostname_;
    self.address = server.listen;
    const bool anywhere = server.listen == "0.0.0.0" || server.listen == "::";
    if (anywhere && plan_.telemetry->advertise)
      self.address = plan_.telemetry->advertise->service.address;
    self.port = server_->port();
    self.meta = endpoint_meta(server);
    add(self);
  }
  return targets.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace containerpilot::agent
