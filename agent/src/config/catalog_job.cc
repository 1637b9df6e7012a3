#include <algorithm>
#include <string_view>

#include "config/plan_context.h"

namespace containerpilot::agent {

namespace {

bool is_loopback(std::string_view address) {
  const auto scheme = address.find("://");
  if (scheme != address.npos) address.remove_prefix(scheme + 3);
  return address.starts_with("localhost") || address.starts_with("127.") ||
         address.starts_with("[::1]");
}

/// "/bin/consul agent …" and the like, also as one word of a shell command; or a script in a job
/// that is called so.
bool runs_catalog(const discovery::CatalogSpec& catalog, const JobSpec& job) {
  if (!job.exec) return false;
  std::string command;
  for (const std::string& word : job.exec->argv) command += word + " ";
  if (catalog.kind == discovery::CatalogSpec::Kind::kConsul) {
    constexpr std::string_view kCommands[] = {"consul agent", "consul -agent",
                                              "containerpilot -catalog"};
    return is_loopback(catalog.consul.address) &&
           (job.name == "consul" || job.name == "consul-agent" ||
            std::any_of(std::begin(kCommands), std::end(kCommands),
                        [&](std::string_view one) { return command.find(one) != command.npos; }));
  }
  const std::string& program = job.exec->argv.front();
  return catalog.kind == discovery::CatalogSpec::Kind::kEtcd &&
         program.substr(program.rfind('/') + 1) == "etcd" &&
         std::any_of(catalog.etcd.endpoints.begin(), catalog.etcd.endpoints.end(), is_loopback);
}

}  // namespace

void mark_catalog_job(Plan& plan) {
  const auto job = std::find_if(plan.jobs.begin(), plan.jobs.end(), [&plan](const JobPlan& one) {
    return one.spec.when.kind == Trigger::Kind::kOnce && runs_catalog(plan.catalog, one.spec);
  });
  if (job != plan.jobs.end()) job->spec.serves_catalog = true;
}

}  // namespace containerpilot::agent
