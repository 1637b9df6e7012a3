#include "catalog_link.h"

#include <algorithm>
#include <set>
#include <utility>

#include "containerpilot/agent/version.h"
#include "containerpilot/supervisor/log.h"

namespace containerpilot::agent {

using discovery::CatalogSpec;

namespace {
constexpr Duration kQuietInterval = std::chrono::seconds(10);
}  // namespace

std::map<std::string, std::string> endpoint_meta(const telemetry::ServerSpec& server) {
  std::map<std::string, std::string> meta = {{"metrics_path", server.metrics_path},
                                             {"version", std::string(version())}};
  if (!server.tls.cert_file.empty()) meta.emplace("scheme", "https");
  return meta;
}

Result<std::unique_ptr<CatalogLink>> CatalogLink::create(Reactor& reactor, Resolver& resolver,
                                                         EventBus& bus, const Plan& plan,
                                                         const std::string& hostname,
                                                         Observers observers) {
  std::unique_ptr<CatalogLink> link(new CatalogLink(reactor, bus, std::move(observers)));
  CatalogSpec spec = plan.catalog;
  if (spec.kind == CatalogSpec::Kind::kEmbedded) {
    auto embedded = discovery::EmbeddedCatalog::start(reactor, spec.embedded);
    if (!embedded) return std::move(embedded).error().during("cannot start the embedded catalog");
    link->embedded_ = std::move(embedded).value();
    spec.embedded.listen = link->embedded_->address();
  }
  if (spec.kind != CatalogSpec::Kind::kNone) {
    auto calls = make_http_client(reactor, resolver, discovery::kCallConnections);
    if (!calls) return std::move(calls).error();
    link->calls_ = std::move(calls).value();
    auto polls = make_http_client(reactor, resolver, discovery::kPollConnections);
    if (!polls) return std::move(polls).error();
    link->polls_ = std::move(polls).value();
    auto catalog = discovery::make_catalog(reactor, spec, *link->calls_, *link->polls_);
    if (!catalog) return std::move(catalog).error();
    link->catalog_ = std::move(catalog).value();
    link->registrar_ = std::make_unique<discovery::Registrar>(reactor, *link->catalog_, hostname);
    link->registrar_->observe_calls(link->observers_.call);
  }
  link->watcher_ = std::make_unique<discovery::Watcher>(
      reactor, link->catalog_.get(), resolver,
      [raw = link.get()](const discovery::Change& change) { raw->on_change(change); });
  link->watcher_->observe_calls(link->observers_.call);
  link->apply(plan);
  const auto serves = [](const JobPlan& job) { return job.spec.serves_catalog; };
  if (std::any_of(plan.jobs.begin(), plan.jobs.end(), serves)) link->expect_down();
  return link;
}

CatalogLink::~CatalogLink() = default;

void CatalogLink::apply(const Plan& plan) {
  std::map<std::string, discovery::ServiceSpec> next;
  for (const JobPlan& job : plan.jobs) {
    if (job.advertise) next.emplace(job.spec.name, job.advertise->service);
  }
  const auto replace = [this](const discovery::ServiceSpec& old) {
    if (registrar_) registrar_->remove(old.id, kWithdrawBound, [] {});
  };
  for (const auto& [job, service] : services_) {
    const auto it = next.find(job);
    if (it == next.end() || it->second.id != service.id) replace(service);
  }
  std::optional<discovery::ServiceSpec> telemetry;
  if (plan.telemetry && plan.telemetry->advertise) {
    telemetry = plan.telemetry->advertise->service;
    telemetry->meta.merge(endpoint_meta(plan.telemetry->server));
  }
  if (telemetry_ && (!telemetry || telemetry->id != telemetry_->id)) replace(*telemetry_);
  services_ = std::move(next);
  telemetry_ = std::move(telemetry);
  if (registrar_) {
    // Telemetry first: at the end entries leave in this order.
    if (telemetry_) registrar_->add(*telemetry_);
    for (const auto& [job, service] : services_) registrar_->add(service);
  }
  // Watched for ourselves, without events: who can be scraped, and how many instances there are.
  std::set<std::string> quiet;
  if (telemetry_) quiet.insert(telemetry_->name);
  for (const telemetry::ScalingSpec& scaling : plan.scaling) quiet.insert(scaling.service);
  watches_ = plan.watches;
  if (catalog_) {
    for (const std::string& service : quiet) {
      discovery::WatchSpec watch;
      watch.name = service;
      watch.interval = kQuietInterval;
      watches_.push_back(std::move(watch));
    }
  }
  if (watching_) watcher_->set(watches_);
}

void CatalogLink::watch() {
  watching_ = true;
  watcher_->set(watches_);
}

void CatalogLink::pause_watches(bool on) { watcher_->pause(on); }

void CatalogLink::report(const std::string& job, bool passing, const std::string& output) {
  const auto it = services_.find(job);
  if (!registrar_ || it == services_.end()) return;
  registrar_->report(it->second.id,
                     passing ? discovery::Health::kPassing : discovery::Health::kCritical, output);
}

void CatalogLink::withdraw(const std::string& job, std::function<void()> done) {
  const auto it = services_.find(job);
  if (!registrar_ || it == services_.end()) {
    reactor_.post(std::move(done));
    return;
  }
  auto leave = [this, id = it->second.id, done = std::move(done)] {
    registrar_->withdraw(id, kWithdrawBound, done);
  };
  if (!telemetry_leaves_) return leave();
  after_telemetry_.push_back(std::move(leave));
}

void CatalogLink::expect_down() {
  if (catalog_) catalog_->availability().expect_down();
}

void CatalogLink::withdraw_all(std::function<void()> done) {
  if (!registrar_) {
    reactor_.post(std::move(done));
    return;
  }
  registrar_->withdraw_all(kWithdrawBound, std::move(done));
}

void CatalogLink::beat_telemetry(const Status& answers) {
  if (!advertises_telemetry()) return;
  if (answers) {
    if (std::exchange(telemetry_failures_, 0) > 1)
      log_info("telemetry", "the telemetry port answers again");
    registrar_->report(telemetry_->id, discovery::Health::kPassing, "ok");
    return;
  }
  if (++telemetry_failures_ == 1) return;  // once is no news, and the TTL lasts for three beats
  const std::string& reason = answers.error().text();
  if (telemetry_failures_ == 2)
    log_warn("telemetry", reason + "; its entry is critical until it answers");
  registrar_->report(telemetry_->id, discovery::Health::kCritical, reason);
}

void CatalogLink::withdraw_telemetry() {
  if (!advertises_telemetry()) return;
  telemetry_leaves_ = true;
  registrar_->withdraw(telemetry_->id, kHeadStart, [this] {
    telemetry_leaves_ = false;
    for (const auto& leave : std::exchange(after_telemetry_, {})) leave();
  });
}

void CatalogLink::describe_change(const std::vector<Event>& why, EventId since,
                                  std::vector<std::string>& environment) {
  changes_.describe(why, since, environment);
}

void CatalogLink::shutdown(std::function<void()> done) {
  watcher_->set({});
  if (!registrar_) {
    reactor_.post(std::move(done));
    return;
  }
  registrar_->shutdown(kWithdrawBound, std::move(done));
}

void CatalogLink::on_change(const discovery::Change& change) {
  if (observers_.change) observers_.change(change);
  const std::string& source = change.watch.source;
  if (source.empty()) return;
  const std::string detail = std::to_string(change.before.size()) + " -> " +
                             std::to_string(change.after.size()) + " instances";
  std::string message = "watch '" + change.watch.name + "' changed: " + detail;
  const auto list = [&message](std::string_view what,
                               const std::vector<discovery::Instance>& instances) {
    if (instances.empty()) return;
    message += std::string(", ") + std::string(what);
    for (const discovery::Instance& instance : instances) {
      message += " " + instance.address + ":" + std::to_string(instance.port);
    }
  };
  list("added", change.added);
  list("removed", change.removed);
  log_info("discovery", message);
  const EventId changed = bus_.publish({EventCode::kChanged, source}, 0, detail);
  changes_.remember(changed, change);
  bus_.publish({change.after.empty() ? EventCode::kUnhealthy : EventCode::kHealthy, source},
               changed, detail);
}

std::string CatalogLink::name() const { return catalog_ ? catalog_->name() : ""; }
bool CatalogLink::up() const { return !catalog_ || catalog_->availability().up(); }
std::vector<discovery::EntryState> CatalogLink::entries() const {
  return registrar_ ? registrar_->entries() : std::vector<discovery::EntryState>();
}
std::vector<discovery::WatchState> CatalogLink::watches() const {
  std::vector<discovery::WatchState> states = watcher_->states();
  std::erase_if(states,
                [](const discovery::WatchState& state) { return state.watch.source.empty(); });
  return states;
}
std::string CatalogLink::embedded_address() const { return embedded_ ? embedded_->address() : ""; }

std::optional<std::size_t> CatalogLink::healthy_instances(const std::string& service) const {
  for (const discovery::WatchState& state : watcher_->states()) {
    // One of the configuration's may look at a tag or a datacenter only; without a catalog there is
    // no other.
    const bool whole = state.watch.source.empty() || !catalog_;
    if (whole && state.watch.name == service && state.known) return state.instances.size();
  }
  return std::nullopt;
}

std::vector<discovery::Instance> CatalogLink::telemetry_endpoints() const {
  if (telemetry_) {
    for (discovery::WatchState& state : watcher_->states()) {
      if (state.watch.source.empty() && state.watch.name == telemetry_->name)
        return std::move(state.instances);
    }
  }
  return {};
}

}  // namespace containerpilot::agent
