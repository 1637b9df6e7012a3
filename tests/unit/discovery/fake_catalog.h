#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "containerpilot/discovery/catalog.h"
#include "support/sim_reactor.h"

namespace containerpilot::discovery {

/// A catalog in memory whose troubles the test decides. Each call takes `latency`; what it did is
/// in `log` from the moment it was made: "register web-h passing", "update web-h critical: no
/// answer".
class FakeCatalog : public Catalog {
 public:
  struct Stored {
    ServiceSpec spec;
    Health health = Health::kPassing;
    std::string output;
    bool expired = false;
    bool has_check = true;
    bool keeps_meta = true;
  };
  struct Asked {
    Query query;
    std::uint64_t index;
    Duration wait;
    TimePoint at;
  };
  struct AskedTable {
    Table table;
    std::uint64_t index;
  };

  explicit FakeCatalog(test::SimReactor& loop) : Catalog(loop, "the fake catalog"), loop_(loop) {}

  // What the test decides.
  Duration latency = std::chrono::milliseconds(1);
  std::optional<Error> trouble;          ///< of every call
  std::optional<Error> list_trouble;     ///< of own_entries alone
  std::optional<Error> query_trouble;    ///< of query alone
  std::set<std::string> refused;         ///< ids whose registration is refused (kInvalid)
  std::map<std::string, Error> failing;  ///< by id: what their registration says
  bool hang = false;                     ///< calls never end
  bool indexed = true;                   ///< answers have an index
  bool holds_back = true;                ///< and waiting queries wait
  bool knows_answers = false;            ///< they have a fingerprint; a known one is not repeated
  bool has_tables = false;               ///< it tells the index of a whole table
  std::size_t places = 48;

  // What happened.
  std::map<std::string, Stored> stored;
  std::vector<std::string> log;
  std::vector<Asked> asked;
  std::vector<AskedTable> asked_tables;
  std::size_t most_under_way = 0;

  [[nodiscard]] long count(const std::string& line) const {
    return std::count(log.begin(), log.end(), line);
  }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::size_t waiting_for_tables() const { return tables_.size(); }
  void forget_log() {
    log.clear();
    asked.clear();
    asked_tables.clear();
  }

  /// The healthy instances of a service are from now on these.
  void set_instances(const std::string& service, std::vector<Instance> instances) {
    services_[service] = {++index_, std::move(instances)};
    wake(service);
  }
  /// An answer that brings nothing new, like some catalogs give for every change of anything.
  void make_noise(const std::string& service) {
    services_[service].first = ++index_;
    wake(service);
  }
  /// A restarted catalog counts from the beginning and breaks what waits.
  void restart_index() {
    index_ = 1;
    for (auto& [name, service] : services_) service.first = ++index_;
    drop_waiting();
  }
  void drop_waiting() {
    const Error reset(Errc::kUnavailable, "cannot watch: connection reset");
    for (auto& [id, w] : std::exchange(waiting_, {}))
      end(id, [done = w.done, reset] { done(reset); });
    for (auto& [id, done] : std::exchange(tables_, {}))
      end(id, [done = done, reset] { done(reset); });
  }

  /// Answers that are held back never come: the network lost the connections and tells nobody.
  void lose_waiting() {
    for (const auto& [id, waiting] : std::exchange(waiting_, {})) timers_.erase(id);
    for (const auto& [id, done] : std::exchange(tables_, {})) timers_.erase(id);
  }

  [[nodiscard]] std::size_t max_waiting_queries() const override { return places; }

  Watch register_service(const ServiceSpec& service, Health health, Done done) override {
    log.push_back("register " + service.id + " " + std::string(health_name(health)));
    return call([this, service, health, done = std::move(done)] {
      if (trouble) return done(Error(*trouble));
      if (refused.contains(service.id))
        return done(Error(Errc::kInvalid, "cannot register: refused"));
      if (const auto it = failing.find(service.id); it != failing.end())
        return done(Error(it->second));
      stored[service.id] = {service, health, "", false, true};
      done(ok());
    });
  }
  Watch update(const ServiceSpec& service, Health health, const std::string& output,
               Done done) override {
    log.push_back("update " + service.id + " " + std::string(health_name(health)) + ": " + output);
    return call([this, id = service.id, health, output, done = std::move(done)] {
      if (trouble) return done(Error(*trouble));
      const auto it = stored.find(id);
      if (it == stored.end() || !it->second.has_check)
        return done(Error(Errc::kNotFound, "cannot update: unknown"));
      it->second.health = health;
      it->second.output = output;
      done(ok());
    });
  }
  Watch deregister(const ServiceSpec& service, Done done) override {
    log.push_back("deregister " + service.id);
    return call([this, id = service.id, done = std::move(done)] {
      if (trouble) return done(Error(*trouble));
      stored.erase(id);
      done(ok());
    });
  }
  Watch own_entries(OwnEntriesDone done) override {
    log.emplace_back("list");
    return call([this, done = std::move(done)] {
      if (trouble) return done(Error(*trouble));
      if (list_trouble) return done(Error(*list_trouble));
      std::vector<OwnEntry> entries;
      for (const auto& [id, s] : stored)
        entries.push_back({s.spec, s.has_check, s.keeps_meta, s.expired, s.health});
      done(std::move(entries));
    });
  }
  Watch query(const Query& query, std::uint64_t index, Duration wait, QueryDone done) override {
    asked.push_back({query, index, wait, loop_.now()});
    const auto& problem = query_trouble ? query_trouble : trouble;
    if (problem) {
      return call([error = *problem, done = std::move(done)] { done(Error(error)); });
    }
    const std::string name = query.service;
    // Like Consul, which also waits with an index that is still to come.
    if (index == 0 || !holds_back || index < index_of(name)) {
      return call([this, name, known = query.known, done = std::move(done)] {
        Snapshot answer = snapshot(name);
        if (knows_answers) answer.content = answer.index;
        answer.same = knows_answers && answer.content == known;
        if (answer.same) answer.instances.clear();
        done(std::move(answer));
      });
    }
    const std::uint64_t id = next_++;
    waiting_[id] = {name, done};
    timers_[id] = loop_.after(wait, [this, id, name, done] {
      waiting_.erase(id);
      done(snapshot(name));
    });
    return Watch([this, id] {
      waiting_.erase(id);
      timers_.erase(id);
    });
  }

  Watch table_index(Table table, std::uint64_t index, Duration wait, IndexDone done) override {
    asked_tables.push_back({table, index});
    if (!has_tables || trouble) {
      return call([done = std::move(done)] { done(Error(Errc::kNotFound, "no such path")); });
    }
    if (index == 0 || index < index_) return call([this, done = std::move(done)] { done(index_); });
    const std::uint64_t id = next_++;
    tables_[id] = done;
    timers_[id] = loop_.after(wait, [this, id, done] {
      tables_.erase(id);
      done(index_);
    });
    return Watch([this, id] {
      tables_.erase(id);
      timers_.erase(id);
    });
  }

 private:
  struct Waiting {
    std::string service;
    QueryDone done;
  };

  std::uint64_t index_of(const std::string& name) const {
    const auto it = services_.find(name);
    return it == services_.end() ? 1 : it->second.first;
  }
  Snapshot snapshot(const std::string& name) const {
    const auto it = services_.find(name);
    return {indexed ? index_of(name) : 0,
            it == services_.end() ? std::vector<Instance>{} : it->second.second};
  }
  void wake(const std::string& service) {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, w] : waiting_) {
      if (w.service == service) ids.push_back(id);
    }
    for (const auto id : ids) {
      const QueryDone done = waiting_[id].done;
      waiting_.erase(id);
      end(id, [this, service, done] { done(snapshot(service)); });
    }
    for (auto& [id, done] : std::exchange(tables_, {}))
      end(id, [this, done = done] { done(index_); });
  }
  void end(std::uint64_t id, std::function<void()> fn) {
    timers_[id] = loop_.after(latency, std::move(fn));
  }

  Watch call(std::function<void()> fn) {
    if (hang) return {};
    const std::uint64_t id = next_++;
    under_way_ += 1;
    most_under_way = std::max(most_under_way, under_way_);
    timers_[id] = loop_.after(latency, [this, fn = std::move(fn)] {
      under_way_ -= 1;
      fn();
    });
    return Watch([this, id] { timers_.erase(id); });
  }

  test::SimReactor& loop_;
  std::map<std::string, std::pair<std::uint64_t, std::vector<Instance>>> services_;
  std::map<std::uint64_t, Waiting> waiting_;
  std::map<std::uint64_t, IndexDone> tables_;
  std::map<std::uint64_t, Watch> timers_;
  std::uint64_t index_ = 10;
  std::uint64_t next_ = 1;
  std::size_t under_way_ = 0;
};

}  // namespace containerpilot::discovery
