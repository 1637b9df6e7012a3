#include "catalog_store.h"

#include <algorithm>
#include <utility>

namespace containerpilot::discovery {

namespace {
constexpr std::string_view kMaintenancePrefix = "_service_maintenance:";

Error unknown_check(const std::string& id) {
  return {Errc::kNotFound, "Unknown check ID \"" + id +
                               "\". Ensure that the check ID is passed, not the check name."};
}

Error too_many_checks() {
  return {Errc::kUnavailable, "A service can have " +
                                  std::to_string(CatalogStore::kMaxChecksPerService) +
                                  " checks in the embedded catalog, not more"};
}
}  // namespace

Health StoredService::health() const {
  Health worst = Health::kPassing;
  for (const auto& [id, check] : checks) worst = std::max(worst, check.status);
  return worst;
}

CatalogStore::CatalogStore(Reactor& reactor, std::function<void(const std::string&)> on_change)
    : reactor_(reactor),
      on_change_(std::move(on_change)),
      index_(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                            reactor.wall_now().time_since_epoch())
                                            .count())),
      last_removal_(index_) {}

std::uint64_t CatalogStore::index_of(const std::string& service_name) const {
  const auto it = name_indexes_.find(service_name);
  return it == name_indexes_.end() ? last_removal_ : it->second;
}

void CatalogStore::changed(StoredService& service) {
  service.modify_index = ++index_;
  name_indexes_[service.spec.name] = index_;
  on_change_(service.spec.name);
}

Status CatalogStore::fit_checks(const Registration& registration) const {
  for (const CheckDefinition& check : registration.checks) {
    const auto owner = check_services_.find(check.id);
    if (owner != check_services_.end() && owner->second != registration.service.id) {
      return Error(Errc::kInvalid, "Check ID \"" + check.id + "\" belongs to another service");
    }
  }
  if (registration.checks.size() <= kMaxChecksPerService) return ok();
  return too_many_checks();
}

Status CatalogStore::register_service(const Registration& registration) {
  const ServiceSpec& spec = registration.service;
  const auto known = services_.find(spec.id);
  if (known == services_.end() && services_.size() >= kMaxServices) {
    return Error(Errc::kUnavailable, "cannot register '" + spec.id +
                                         "': the embedded catalog holds " +
                                         std::to_string(kMaxServices) + " services already");
  }
  if (Status fits = fit_checks(registration); !fits) return fits;
  if (known != services_.end() && known->second.spec.name != spec.name) {
    // An entry that takes another name leaves the old one.
    const Status removed = deregister_service(spec.id);
    static_cast<void>(removed);
  }
  auto [it, added] = services_.try_emplace(spec.id);
  StoredService& service = it->second;
  bool visible = added || service.spec != spec;
  service.spec = spec;
  for (const CheckDefinition& check : registration.checks) {
    visible = put_check(service, check) || visible;
  }
  if (!visible) return ok();
  changed(service);
  if (added) service.create_index = service.modify_index;
  return ok();
}

Status CatalogStore::deregister_service(const std::string& id) {
  const auto it = services_.find(id);
  if (it == services_.end()) {
    return Error(Errc::kNotFound, "Unknown service ID \"" + id +
                                      "\". Ensure that the service ID is passed, "
                                      "not the service name.");
  }
  // The caller's `id` may live inside what is erased.
  const std::string name = it->second.spec.name;
  for (const auto& [check_id, check] : it->second.checks) check_services_.erase(check_id);
  services_.erase(it);
  ++index_;
  const bool others = std::any_of(services_.begin(), services_.end(), [&](const auto& entry) {
    return entry.second.spec.name == name;
  });
  if (others) {
    name_indexes_[name] = index_;
  } else {
    name_indexes_.erase(name);
    last_removal_ = index_;
  }
  on_change_(name);
  return ok();
}

bool CatalogStore::put_check(StoredService& service, const CheckDefinition& definition) {
  const std::string id = definition.id.empty() ? "service:" + service.spec.id : definition.id;
  auto [it, added] = service.checks.try_emplace(id);
  StoredCheck& check = it->second;
  check_services_[id] = service.spec.id;
  const Health status = definition.status.value_or(added ? Health::kCritical : check.status);
  const std::string name =
      definition.name.empty() ? "Service '" + service.spec.name + "' check" : definition.name;
  const bool visible = added || check.status != status || check.notes != definition.notes;
  check.id = id;
  check.name = name;
  check.service_id = service.spec.id;
  check.notes = definition.notes;
  check.ttl = definition.ttl;
  check.deregister_after = definition.deregister_after;
  set_status(service, check, status, added ? std::string() : std::move(check.output));
  start_ttl(service, check);
  return visible;
}

Status CatalogStore::register_check(const CheckDefinition& check) {
  if (check.service_id.empty()) {
    return Error(Errc::kInvalid,
                 "Checks of a node are not supported by the embedded catalog: give a ServiceID");
  }
  const auto it = services_.find(check.service_id);
  if (it == services_.end()) {
    return Error(Errc::kNotFound, "ServiceID \"" + check.service_id + "\" does not exist");
  }
  const Registration alone{it->second.spec, {check}};
  if (Status fits = fit_checks(alone); !fits) return fits;
  if (!it->second.checks.contains(check.id) && it->second.checks.size() >= kMaxChecksPerService) {
    return too_many_checks();
  }
  if (put_check(it->second, check)) changed(it->second);
  return ok();
}

StoredService* CatalogStore::find_by_check(const std::string& check_id) {
  const auto owner = check_services_.find(check_id);
  return owner == check_services_.end() ? nullptr : &services_.at(owner->second);
}

Status CatalogStore::deregister_check(const std::string& id) {
  StoredService* service = find_by_check(id);
  if (service == nullptr) return unknown_check(id);
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): `id` may be the key itself
  const std::string key = id;
  service->checks.erase(key);
  check_services_.erase(key);
  changed(*service);
  return ok();
}

Status CatalogStore::update_check(const std::string& id, Health status, const std::string& output) {
  StoredService* service = find_by_check(id);
  if (service == nullptr) return unknown_check(id);
  StoredCheck& check = service->checks.at(id);
  const bool visible = check.status != status;
  set_status(*service, check, status, output.substr(0, kMaxOutput));
  start_ttl(*service, check);
  // Output alone wakes nobody: a beat a second must not wake a thousand watchers.
  if (visible) changed(*service);
  return ok();
}

void CatalogStore::set_status(StoredService& service, StoredCheck& check, Health status,
                              std::string output) {
  check.output = std::move(output);
  const bool stays_critical = check.status == Health::kCritical && check.reap_timer.active();
  check.status = status;
  if (status != Health::kCritical || check.deregister_after <= Duration{0}) {
    check.reap_timer = Watch();
  } else if (!stays_critical) {
    check.reap_timer = reactor_.after(check.deregister_after, [this, id = service.spec.id] {
      const Status removed = deregister_service(id);
      static_cast<void>(removed);
    });
  }
}

void CatalogStore::start_ttl(const StoredService& service, StoredCheck& check) {
  if (check.ttl <= Duration{0}) return;
  check.ttl_timer = reactor_.after(check.ttl, [this, service_id = service.spec.id, id = check.id] {
    StoredService& owner = services_.at(service_id);
    StoredCheck& late = owner.checks.at(id);
    if (late.status == Health::kCritical) return;  // says why already, and its output stays
    set_status(owner, late, Health::kCritical, "TTL expired");
    changed(owner);
  });
}

Status CatalogStore::set_maintenance(const std::string& service_id, bool on,
                                     const std::string& reason) {
  const auto it = services_.find(service_id);
  if (it == services_.end()) {
    return Error(Errc::kNotFound, "No service registered with ID \"" + service_id + "\"");
  }
  const std::string id = std::string(kMaintenancePrefix) + service_id;
  if (!on) return it->second.checks.contains(id) ? deregister_check(id) : ok();
  CheckDefinition check;
  check.id = id;
  check.name = "Service Maintenance Mode";
  check.notes = reason.empty()
                    ? "Maintenance mode is enabled for this service, but no reason was provided."
                    : reason.substr(0, kMaxOutput);
  check.status = Health::kCritical;
  if (put_check(it->second, check)) changed(it->second);
  return ok();
}

}  // namespace containerpilot::discovery
