#include "containerpilot/discovery/registrar.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "containerpilot/supervisor/log.h"
#include "entry.h"
#include "sentinel.h"

namespace containerpilot::discovery {

namespace {

using namespace std::chrono_literals;

/// One of the catalog's connections is kept free of registrations and comparisons, so that a beat
/// never queues behind two hundred of them.
constexpr std::size_t kMaxSlow = kCallConnections - 1;
/// Between two comparisons that doubts ask for.
constexpr Duration kMinCompareGap = 500ms;
/// For refusals, which only people can end.
constexpr Duration kMaxRefusalDelay = 10s;
/// So many failures of one entry alone, while others succeed, are worth a warning of its own.
constexpr unsigned kStepsToComplain = 5;

bool no_answer(const Error& error) {
  return error.code() == Errc::kUnavailable || error.code() == Errc::kTimeout ||
         error.code() == Errc::kIo;
}

}  // namespace

class Registrar::Impl {
 public:
  Impl(Reactor& reactor, Catalog& catalog, const std::string& hostname)
      : reactor_(reactor),
        catalog_(catalog),
        id_suffix_(hostname.empty() ? "" : "-" + hostname),
        sentinel_(reactor, catalog, [this] { compare_soon(); }),
        chance_(catalog.availability().on_chance([this] { pump(); })) {}

  void add(const ServiceSpec& service);
  void report(const std::string& id, Health health, const std::string& output);
  void withdraw(const std::string& id, Duration bound, std::function<void()> done, bool forget);
  void withdraw_all(Duration bound, std::function<void()> done);
  void shutdown(Duration bound, std::function<void()> done);
  [[nodiscard]] std::vector<EntryState> entries() const;
  [[nodiscard]] RegistrarStats stats() const;

  CallObserver observer_;

 private:
  struct Withdrawal {
    std::uint64_t number;
    std::string id;
    std::function<void()> done;
    Watch bound;
  };

  Entry* find(const std::string& id);
  Entry& put(std::unique_ptr<Entry> entry);
  void touch(Entry& entry) { entry.changed = ++changes_; }
  void open(Entry& entry) {
    if (!std::exchange(entry.open, true)) open_.push_back(&entry);
  }
  [[nodiscard]] std::size_t slow_calls() const { return registering_ + (comparing_ ? 1 : 0); }
  void pump();
  bool start_one();
  Entry* most_urgent();
  void start(Entry& entry, Step step, Availability::Call leave);
  void finish(const std::string& id, TimePoint started, const Status& status);
  void retry_later(Entry& entry, Step step, const Error& error);
  void settle(Entry& entry);
  void guard();

  void note_outage();
  void compare_soon();
  void compare_after(Duration delay);
  void start_compare(Availability::Call leave);
  void finish_compare(TimePoint started, const Result<std::vector<OwnEntry>>& actual);
  void repair(const std::vector<OwnEntry>& actual);
  void remove_leftovers(const std::vector<OwnEntry>& actual);
  void tell_blindness(const Result<std::vector<OwnEntry>>& actual);
  void count(std::string_view operation, bool success, TimePoint started);

  Reactor& reactor_;
  Catalog& catalog_;
  std::string id_suffix_;
  std::vector<std::unique_ptr<Entry>> entries_;  ///< in the order they were added
  std::unordered_map<std::string, Entry*> by_id_;
  std::vector<Entry*> open_;  ///< the few of them that need a look, or have a call under way
  std::size_t under_way_ = 0;
  std::size_t registering_ = 0;  ///< of those
  std::vector<Withdrawal> withdrawals_;
  std::uint64_t next_withdrawal_ = 1;
  Sentinel sentinel_;
  Watch chance_;
  bool closing_ = false;

  Watch compare_timer_;
  Watch compare_call_;
  Availability::Call compare_leave_;
  bool comparing_ = false;
  bool compare_due_ = false;
  std::optional<TimePoint> last_compare_;
  std::uint64_t compare_from_ = 0;  ///< entries changed since are not what the answer is about
  std::uint64_t changes_ = 0;
  std::uint64_t outages_seen_ = 0;
  bool compare_failed_ = false;  ///< and no other call was made since
  bool blind_ = false;           ///< it answers, only not with our entries; warned of
  bool resend_ = false;          ///< after an outage, unless a comparison tells what is missing
  RegistrarStats stats_;
};

Entry* Registrar::Impl::find(const std::string& id) {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

Entry& Registrar::Impl::put(std::unique_ptr<Entry> entry) {
  by_id_.emplace(entry->spec.id, entry.get());
  return *entries_.emplace_back(std::move(entry));
}

void Registrar::Impl::add(const ServiceSpec& service) {
  if (entries_.empty()) compare_soon();  // what did an earlier life leave behind?
  Entry* entry = find(service.id);
  if (entry == nullptr) {
    auto added = std::make_unique<Entry>();
    added->spec.id = service.id;
    entry = &put(std::move(added));
  }
  entry->describe(service, reactor_.now());
  touch(*entry);
  open(*entry);
  pump();
}

void Registrar::Impl::report(const std::string& id, Health health, const std::string& output) {
  Entry* entry = find(id);
  if (entry == nullptr || entry->forget) return;
  if (!entry->health) touch(*entry);
  entry->report(health, output, reactor_.now());
  open(*entry);
  settle(*entry);
  pump();
}

void Registrar::Impl::withdraw(const std::string& id, Duration bound, std::function<void()> done,
                               bool forget) {
  if (done) {
    const std::uint64_t number = next_withdrawal_++;
    Watch late = reactor_.after(bound, [this, number] {
      const auto it = std::find_if(withdrawals_.begin(), withdrawals_.end(),
                                   [&](const Withdrawal& w) { return w.number == number; });
      if (it == withdrawals_.end()) return;
      const auto give_up = std::move(it->done);
      withdrawals_.erase(it);
      give_up();
    });
    withdrawals_.push_back({number, id, std::move(done), std::move(late)});
  }
  Entry* entry = find(id);
  if (entry == nullptr) {
    Entry unknown;  // nothing to take out
    unknown.spec.id = id;
    return settle(unknown);
  }
  entry->forget = entry->forget || forget;
  entry->withdraw();
  touch(*entry);
  open(*entry);
  if (entry->step == Step::kUpdate) {
    --under_way_;
    // Whether this beat still arrives or not, the entry goes: no need to wait for a slow answer.
    entry->step = Step::kNone;
    entry->call = Watch();
    entry->leave = Availability::Call();
  }
  entry->retry_at = reactor_.now();
  settle(*entry);
  catalog_.availability().retry_now();
  pump();
}

void Registrar::Impl::shutdown(Duration bound, std::function<void()> done) {
  closing_ = true;
  sentinel_.stop();
  compare_due_ = comparing_ = false;
  compare_call_ = Watch();
  compare_timer_ = Watch();
  compare_leave_ = Availability::Call();
  withdraw_all(bound, std::move(done));
}

void Registrar::Impl::withdraw_all(Duration bound, std::function<void()> done) {
  if (entries_.empty()) return reactor_.post(std::move(done));
  std::vector<std::string> ids;
  for (const auto& entry : entries_) ids.push_back(entry->spec.id);
  const auto left = std::make_shared<std::size_t>(ids.size());
  const auto one_done = [left, done = std::move(done)] {
    if (--*left == 0 && done) done();
  };
  for (const std::string& id : ids) withdraw(id, bound, one_done, /*forget=*/false);
}

/// Tells those who wait for a withdrawal once it is over, or moot; erases what was to be forgotten.
void Registrar::Impl::settle(Entry& entry) {
  const bool gone = !entry.maybe_there && entry.step == Step::kNone;
  if (!gone && !entry.health) return;
  for (auto it = withdrawals_.begin(); it != withdrawals_.end();) {
    if (it->id != entry.spec.id) {
      ++it;
      continue;
    }
    reactor_.post(std::move(it->done));
    it = withdrawals_.erase(it);
  }
  if (!gone || !entry.forget) return;
  std::erase(open_, &entry);
  by_id_.erase(entry.spec.id);
  std::erase_if(entries_, [&](const auto& e) { return e.get() == &entry; });
}

void Registrar::Impl::pump() {
  note_outage();
  while (start_one()) {
  }
  guard();
}

/// The entry whose call should go out next: withdrawals first, then beats, then registrations.
Entry* Registrar::Impl::most_urgent() {
  if (under_way_ + (comparing_ ? 1 : 0) >= kCallConnections) return nullptr;
  const TimePoint now = reactor_.now();
  Entry* best = nullptr;
  Step best_step = Step::kNone;
  std::erase_if(open_, [&](Entry* entry) {
    if (entry->step != Step::kNone) return false;
    const Step step = entry->next_step(now);
    entry->open = step != Step::kNone;
    const bool may_go =
        now >= entry->retry_at && !(step == Step::kRegister && slow_calls() >= kMaxSlow);
    if (entry->open && may_go && (best == nullptr || step < best_step)) {
      best = entry;
      best_step = step;
    }
    return !entry->open;
  });
  return best;
}

bool Registrar::Impl::start_one() {
  // After an outage one comparison shows everything that is missing, so it goes before single
  // beats; unless it is the very call that fails.
  const bool compare_first = compare_due_ && resend_ && !compare_failed_;
  Entry* entry = compare_first ? nullptr : most_urgent();
  const bool compare = compare_due_ && !comparing_ && entry == nullptr && slow_calls() < kMaxSlow;
  if (entry == nullptr && !compare) return false;
  auto leave = catalog_.availability().begin();
  if (!leave) return false;
  if (entry != nullptr) {
    start(*entry, entry->next_step(reactor_.now()), std::move(*leave));
  } else {
    start_compare(std::move(*leave));
  }
  return true;
}

void Registrar::Impl::start(Entry& entry, Step step, Availability::Call leave) {
  entry.begin(step);
  ++under_way_;
  if (step == Step::kRegister) ++registering_;
  touch(entry);
  entry.leave = std::move(leave);
  const auto done = [this, id = entry.spec.id, started = reactor_.now()](const Status& status) {
    finish(id, started, status);
  };
  switch (step) {
    case Step::kRegister:
      entry.call = catalog_.register_service(entry.spec, *entry.health, done);
      break;
    case Step::kUpdate:
      entry.call = catalog_.update(entry.spec, *entry.health, entry.output, done);
      break;
    case Step::kDeregister:
      entry.call = catalog_.deregister(entry.spec, done);
      break;
    case Step::kNone:
      break;
  }
}

void Registrar::Impl::finish(const std::string& id, TimePoint started, const Status& status) {
  Entry* entry = find(id);
  if (entry == nullptr) return;
  const Step step = entry->step;
  --under_way_;
  if (step == Step::kRegister) --registering_;
  compare_failed_ = false;
  count(step_name(step), status.has_value(), started);
  touch(*entry);
  entry->leave.finished(status ? nullptr : &status.error());
  if (status) {
    entry->succeeded();
    if (step == Step::kRegister) {
      log_info("discovery", "Service registered: " + entry->spec.name,
               {{"service", std::string_view(entry->spec.name)}});
    }
    settle(*entry);
  } else {
    entry->failed(status.error(), reactor_.now());
    retry_later(*entry, step, status.error());
  }
  pump();
}

void Registrar::Impl::retry_later(Entry& entry, Step step, const Error& error) {
  if (entry.lapsed) return;  // the next report begins anew
  const bool lost = step == Step::kUpdate && error.code() == Errc::kNotFound;
  entry.backoff.set_cap(no_answer(error) ? Availability::kMaxDelay : kMaxRefusalDelay);
  const bool newly_lost = lost && !std::exchange(entry.told_lost, true);
  const Duration delay = entry.backoff.next();
  // An entry the catalog does not know is registered at once, but not again and again.
  entry.retry_at = reactor_.now() + (newly_lost ? Duration{0} : delay);
  entry.retry = reactor_.at(entry.retry_at, [this] { pump(); });
  if (newly_lost) {
    compare_soon();  // where one is gone others may be
    log_info(
        "discovery", "registering '" + entry.spec.id + "' again, the catalog does not know it",
        {{"service", std::string_view(entry.spec.name)}, {"err", std::string_view(error.text())}});
  } else if (!lost && !entry.complained && !catalog_.availability().lost() &&
             (!no_answer(error) || entry.backoff.steps() >= kStepsToComplain)) {
    entry.complained = true;
    log_warn("discovery", error.text() + ", retrying",
             {{"service", std::string_view(entry.spec.name)}});
  }
}

void Registrar::Impl::guard() {
  if (closing_ || !catalog_.availability().up()) return;
  const auto it = std::find_if(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry->registered && entry->health;
  });
  if (it == entries_.end()) return sentinel_.stop();
  sentinel_.guard((*it)->spec.name, (*it)->spec.id);
}

void Registrar::Impl::note_outage() {
  const std::uint64_t outages = catalog_.availability().outages();
  if (outages == outages_seen_ || closing_) return;
  outages_seen_ = outages;
  sentinel_.forget_limits();
  resend_ = true;
  if (!comparing_) compare_due_ = true;
}

void Registrar::Impl::compare_soon() {
  if (closing_) return;
  const TimePoint now = reactor_.now();
  compare_after(last_compare_ ? std::max(Duration{0}, *last_compare_ + kMinCompareGap - now)
                              : Duration{0});
}

void Registrar::Impl::compare_after(Duration delay) {
  compare_timer_ = reactor_.after(delay, [this] {
    compare_due_ = true;
    pump();
  });
}

void Registrar::Impl::start_compare(Availability::Call leave) {
  compare_due_ = false;
  comparing_ = true;
  compare_leave_ = std::move(leave);
  compare_from_ = changes_;
  last_compare_ = reactor_.now();
  compare_call_ = catalog_.own_entries([this](const Result<std::vector<OwnEntry>>& actual) {
    finish_compare(*last_compare_, actual);
  });
}

void Registrar::Impl::finish_compare(TimePoint started,
                                     const Result<std::vector<OwnEntry>>& actual) {
  comparing_ = false;
  const bool cannot_tell = !actual && actual.error().code() == Errc::kNotFound;
  if (!cannot_tell) count("list", actual.has_value(), started);
  compare_leave_.finished(actual ? nullptr : &actual.error());
  compare_after(kCompareInterval - random_below(kCompareInterval / 10));
  compare_failed_ = !actual && no_answer(actual.error());
  if (!compare_failed_) tell_blindness(actual);
  if (compare_failed_) {
    compare_due_ = true;
  } else if (actual) {
    repair(actual.value());
    remove_leftovers(actual.value());
    resend_ = false;
  } else if (std::exchange(resend_, false)) {
    // It answers again but does not tell what it knows: telling it everything shows what is
    // missing.
    for (const auto& entry : entries_) {
      if (!entry->registered) continue;
      entry->told = false;
      entry->retry_at = reactor_.now();
      open(*entry);
    }
  }
  pump();
}

/// Outages are told of by the catalog's Availability; this is the rest.
void Registrar::Impl::tell_blindness(const Result<std::vector<OwnEntry>>& actual) {
  if (std::exchange(blind_, !actual) == !actual) return;
  if (actual) {
    log_info("discovery", "own entries can be read again");
  } else {
    log_warn("discovery", actual.error().text() + ", ignoring; altered entries are not put right");
  }
}

void Registrar::Impl::repair(const std::vector<OwnEntry>& actual) {
  std::map<std::string_view, const OwnEntry*> by_id;
  for (const OwnEntry& entry : actual) by_id.emplace(entry.service.id, &entry);
  std::vector<Entry*> gone;
  for (const auto& entry : entries_) {
    if (entry->step != Step::kNone || entry->changed > compare_from_) continue;
    const auto it = by_id.find(entry->spec.id);
    const auto wrong = entry->compare(it == by_id.end() ? nullptr : it->second, reactor_.now());
    open(*entry);
    if (!wrong.empty()) {
      entry->retry_at = reactor_.now();
      log_info("discovery",
               "putting '" + entry->spec.id + "' right in the catalog: " + std::string(wrong),
               {{"service", std::string_view(entry->spec.name)}});
    }
    if (!entry->maybe_there) gone.push_back(entry.get());
  }
  for (Entry* entry : gone) settle(*entry);
}

void Registrar::Impl::remove_leftovers(const std::vector<OwnEntry>& actual) {
  for (const OwnEntry& found : actual) {
    const std::string& id = found.service.id;
    // Not only the end of it: "db" is also how the host name "app-db" ends.
    const bool ours = !id_suffix_.empty() && id == found.service.name + id_suffix_;
    if (!found.expired || !ours || find(id) != nullptr) continue;
    log_info("discovery", "removing '" + id + "', left in the catalog by an earlier life",
             {{"service", std::string_view(found.service.name)}});
    auto leftover = std::make_unique<Entry>();
    leftover->spec = found.service;
    leftover->maybe_there = leftover->forget = true;
    open(put(std::move(leftover)));
  }
}

void Registrar::Impl::count(std::string_view operation, bool success, TimePoint started) {
  ++(success ? stats_.calls_ok : stats_.calls_failed);
  if (observer_) observer_(operation, success, reactor_.now() - started);
}

std::vector<EntryState> Registrar::Impl::entries() const {
  std::vector<EntryState> states;
  for (const auto& entry : entries_) {
    if (entry->forget) continue;
    states.push_back({entry->spec, entry->registered, !entry->health.has_value(),
                      entry->health.value_or(Health::kCritical), entry->output, entry->last_error});
  }
  return states;
}

RegistrarStats Registrar::Impl::stats() const {
  RegistrarStats stats = stats_;
  stats.catalog_up = catalog_.availability().up();
  return stats;
}

Registrar::Registrar(Reactor& reactor, Catalog& catalog, const std::string& hostname)
    : impl_(std::make_unique<Impl>(reactor, catalog, hostname)) {}
Registrar::~Registrar() = default;
void Registrar::add(const ServiceSpec& service) { impl_->add(service); }
void Registrar::report(const std::string& id, Health health, const std::string& output) {
  impl_->report(id, health, output);
}
void Registrar::withdraw(const std::string& id, Duration bound, std::function<void()> done) {
  impl_->withdraw(id, bound, std::move(done), /*forget=*/false);
}
void Registrar::remove(const std::string& id, Duration bound, std::function<void()> done) {
  impl_->withdraw(id, bound, std::move(done), /*forget=*/true);
}
void Registrar::withdraw_all(Duration bound, std::function<void()> done) {
  impl_->withdraw_all(bound, std::move(done));
}
void Registrar::shutdown(Duration bound, std::function<void()> done) {
  impl_->shutdown(bound, std::move(done));
}
std::vector<EntryState> Registrar::entries() const { return impl_->entries(); }
RegistrarStats Registrar::stats() const { return impl_->stats(); }
void Registrar::observe_calls(CallObserver observer) { impl_->observer_ = std::move(observer); }

}  // namespace containerpilot::discovery
