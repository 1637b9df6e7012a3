#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/problems.h"
#include "config/v2_config.h"
#include "config/v3_config.h"
#include "containerpilot/agent/config.h"
#include "containerpilot/agent/plan.h"

namespace containerpilot::agent {

/// What every step from decoded configuration to Plan needs.
struct PlanContext {
  Problems& problems;
  const LoadOptions& options;

  /// An environment variable, empty when unset.
  [[nodiscard]] std::string_view env(std::string_view name) const {
    const auto found = options.environment.find(name);
    return found == options.environment.end() ? std::string_view()
                                              : std::string_view(found->second);
  }
};

// v3_plan.cc
/// Errors are in `context.problems`; the plan is then not to be used.
Plan make_v3_plan(PlanContext& context, const V3Config& config);
LogConfig make_logging(PlanContext& context, const LoggingConfig& config);
discovery::WatchSpec make_v3_watch(PlanContext& context, const WatchConfig& config);

// v3_catalog.cc
discovery::CatalogSpec make_v3_catalog(PlanContext& context, const V3Config& config);
discovery::ConsulSpec make_consul(PlanContext& context, const Value<ConsulValue>& value);
discovery::EtcdSpec make_etcd(PlanContext& context, const EtcdConfig& config);

// v2_plan.cc
/// `generation` is kV1 or kV2: they differ in names only.
Plan make_v2_plan(PlanContext& context, const V2Config& config, Generation generation);

// v3_job.cc
/// `needs_address`: an address that cannot be chosen is an error, else a warning.
JobPlan make_v3_job(PlanContext& context, const JobConfig& config, bool needs_address);
ProcessSpec make_process(const ProcessConfig& config);
/// The one probe of `process` and `probe`, or monostate; more than one is an error.
Probe make_probe(PlanContext& context, const ProcessConfig& process, const ProbeConfig& probe,
                 const Node& owner);

// catalog_job.cc
/// Finds the job that runs the very catalog this agent's entries are in, if there is one.
void mark_catalog_job(Plan& plan);

// v3_telemetry.cc
TelemetryPlan make_v3_telemetry(PlanContext& context, const TelemetryConfig& config,
                                bool needs_address);
telemetry::SensorSpec make_v3_sensor(PlanContext& context, const SensorConfig& config);
telemetry::ScalingSpec make_v3_scaling(PlanContext& context, const ScalingConfig& config);
/// Of metrics of one name the last counts, with a warning; another help is an error, as in 3.x.
void report_duplicate_metric(PlanContext& context, const telemetry::MetricSpec& earlier,
                             const telemetry::MetricSpec& later, const Node& at);
/// Non-empty parts joined by '_'; reports a name Prometheus would refuse.
std::string exported_name(PlanContext& context, const std::vector<std::string>& parts,
                          const Node& at);

// v3_metric_check.cc
/// Reports names that several would write to, and scaling targets that nothing measures.
void check_metrics(PlanContext& context, const V3Config& config, const Plan& plan);

// advertise.cc
inline constexpr Duration kTelemetryTtl = std::chrono::seconds(15);
/// A lower-case letter, then letters, digits and dashes, at least two characters in all.
bool is_service_name(std::string_view name);
/// Chooses the address and fills id and note.
Advertisement make_advertisement(PlanContext& context, std::string name,
                                 std::vector<std::string> interfaces, const Node& at,
                                 bool needs_address);
/// "CONTAINERPILOT_<NAME>_IP"; NAME in upper case, '-' as '_'.
std::string address_variable(std::string_view service);

}  // namespace containerpilot::agent
