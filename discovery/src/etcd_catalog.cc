#include "etcd_catalog.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "etcd_wire.h"

namespace containerpilot::discovery {

namespace {
/// etcd refuses transactions of more than 128 operations unless told otherwise.
constexpr std::size_t kKeysPerRead = 100;

/// "/containerpilot", whatever slashes the configuration has.
std::string clean_prefix(std::string prefix) {
  while (prefix.ends_with('/')) prefix.pop_back();
  if (!prefix.starts_with('/')) prefix.insert(0, "/");
  return prefix;
}

Error cannot_read(std::string_view path, const std::string& what, Error error) {
  return std::move(error).during(what + ": cannot read the answer of " + std::string(path));
}
}  // namespace

EtcdCatalog::EtcdCatalog(Reactor& reactor, const EtcdSpec& spec, std::string name,
                         HttpClient& calls, HttpClient& polls)
    : Catalog(reactor, std::move(name)),
      prefix_(clean_prefix(spec.prefix)),
      client_(spec, calls),
      view_(reactor, client_, polls, prefix_) {}

Watch EtcdCatalog::register_service(const ServiceSpec& service, Health health, Done done) {
  if (health != Health::kCritical) return put(service, std::move(done));
  return take_out(service, "cannot register '" + service.id + "' as critical", std::move(done));
}

/// A fresh lease, then the key with it: overwriting is fine, so a restart within the TTL just
/// works.
Watch EtcdCatalog::put(const ServiceSpec& service, Done done) {
  const auto step = std::make_shared<Watch>();
  const std::string what = "cannot register '" + service.id + "'";
  *step = client_.call(
      "/lease/grant", encode_lease_grant(service.ttl),
      [this, service, what, weak = std::weak_ptr(step),
       done = std::move(done)](Result<std::string> body) {
        if (!body) return done(std::move(body).error().during(what));
        auto lease = decode_lease_grant(body.value());
        if (!lease) return done(cannot_read("/lease/grant", what, std::move(lease).error()));
        const auto alive = weak.lock();
        if (!alive) return;
        const std::uint64_t id = lease.value();
        *alive = client_.call(
            "/kv/put",
            encode_put(etcd_key(prefix_, service.name, service.id), encode_etcd_value(service), id),
            [this, service, what, id, done](Result<std::string> answer) {
              if (!answer) return done(std::move(answer).error().during(what));
              if (Status read = decode_done(answer.value()); !read)
                return done(cannot_read("/kv/put", what, std::move(read).error()));
              entries_[service.id] = {service, id};
              done(ok());
            });
      });
  return Watch([step] { *step = Watch(); });
}

Watch EtcdCatalog::update(const ServiceSpec& service, Health health, const std::string&,
                          Done done) {
  const auto it = entries_.find(service.id);
  const std::uint64_t lease = it == entries_.end() ? 0 : it->second.lease;
  if (health == Health::kCritical) {
    return take_out(service, "cannot take the critical '" + service.id + "' out", std::move(done));
  }
  if (lease == 0) return put(service, std::move(done));  // better again
  return client_.call(
      "/lease/keepalive", encode_lease(lease),
      [id = service.id, done = std::move(done)](Result<std::string> body) {
        const std::string what = "cannot update '" + id + "'";
        if (!body) return done(std::move(body).error().during(what));
        auto ttl = decode_keepalive(body.value());
        if (!ttl) return done(cannot_read("/lease/keepalive", what, std::move(ttl).error()));
        if (ttl.value() > 0) return done(ok());
        done(Error(Errc::kNotFound, what + ": its lease is gone from etcd"));
      });
}

Watch EtcdCatalog::take_out(const ServiceSpec& service, std::string what, Done done) {
  // The key itself, and not only its lease: an earlier life's key hangs on a lease we do not know.
  return client_.call(
      "/kv/deleterange", encode_delete(etcd_key(prefix_, service.name, service.id)),
      [this, service, what = std::move(what), done = std::move(done)](Result<std::string> body) {
        if (!body) return done(std::move(body).error().during(what));
        if (Status read = decode_done(body.value()); !read)
          return done(cannot_read("/kv/deleterange", what, std::move(read).error()));
        entries_[service.id] = {service, 0};
        done(ok());
      });
}

Watch EtcdCatalog::deregister(const ServiceSpec& service, Done done) {
  return take_out(service, "cannot deregister '" + service.id + "'",
                  [this, id = service.id, done = std::move(done)](Status status) {
                    if (status) entries_.erase(id);
                    done(std::move(status));
                  });
}

struct EtcdCatalog::Listing {
  std::vector<ServiceSpec> left;  ///< still to be read
  std::vector<OwnEntry> found;
  OwnEntriesDone done;
  Watch step;
};

Watch EtcdCatalog::own_entries(OwnEntriesDone done) {
  const auto listing = std::make_shared<Listing>();
  listing->done = std::move(done);
  for (const auto& [id, entry] : entries_) listing->left.push_back(entry.spec);
  list_more(listing);
  return Watch([listing] { listing->step = Watch(); });
}

bool EtcdCatalog::away(const std::string& id) const {
  const auto known = entries_.find(id);
  return known != entries_.end() && known->second.lease == 0;
}

void EtcdCatalog::list_more(const std::shared_ptr<Listing>& listing) {
  const std::size_t count = std::min(listing->left.size(), kKeysPerRead);
  std::vector<std::string> keys;
  std::map<std::string, ServiceSpec> wanted;
  for (std::size_t i = 0; i < count; ++i) {
    ServiceSpec& spec = listing->left.back();
    keys.push_back(etcd_key(prefix_, spec.name, spec.id));
    wanted.emplace(keys.back(), std::move(spec));
    listing->left.pop_back();
  }
  // Also without a key to ask for: whether etcd answers is half of the question.
  if (keys.empty()) keys.push_back(prefix_);
  listing->step = client_.call(
      "/kv/txn", encode_get_all(keys),
      [this, listing, wanted = std::move(wanted)](Result<std::string> body) mutable {
        if (!body) return listing->done(std::move(body).error().during("cannot read own entries"));
        const auto pairs = decode_get_all(body.value());
        if (!pairs) {
          return listing->done(Error(pairs.error()).during("cannot read the answer of /kv/txn"));
        }
        for (const EtcdPair& pair : pairs.value()) {
          const auto it = wanted.find(pair.key);
          const auto value = decode_etcd_value(pair.value);
          if (it == wanted.end() || !value) continue;  // spoilt: to be put right like a missing one
          OwnEntry entry{it->second};  // what etcd does not keep counts as it should be
          if (away(it->second.id)) entry.health = Health::kPassing;  // the critical are not there
          entry.service.name = value.value().name;
          entry.service.address = value.value().address;
          entry.service.port = value.value().port;
          entry.service.tags = value.value().tags;
          listing->found.push_back(std::move(entry));
          wanted.erase(it);
        }
        for (const auto& [key, spec] : wanted) {
          if (away(spec.id)) listing->found.push_back({spec});  // rightly not there
        }
        if (!listing->left.empty()) return list_more(listing);
        listing->done(std::move(listing->found));
      });
}

Watch EtcdCatalog::query(const Query& query, std::uint64_t index, Duration wait, QueryDone done) {
  if (const auto outages = availability().outages(); outages != outages_seen_) {
    outages_seen_ = outages;
    view_.distrust();
  }
  return view_.query(query, index, wait,
                     [what = "cannot watch '" + query.service + "'",
                      done = std::move(done)](Result<Snapshot> snapshot) {
                       if (!snapshot) return done(std::move(snapshot).error().during(what));
                       done(std::move(snapshot));
                     });
}

}  // namespace containerpilot::discovery
