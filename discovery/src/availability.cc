#include "containerpilot/discovery/availability.h"

#include <algorithm>

#include "containerpilot/supervisor/log.h"

namespace containerpilot::discovery {

namespace {
// A single failure may be a kept-alive connection that the other side closed; two in a row are an
// outage.
constexpr unsigned kFailuresToWarn = 2;
}  // namespace

Availability::Availability(Reactor& reactor, std::string name)
    : reactor_(reactor), name_(std::move(name)) {}

std::optional<Availability::Call> Availability::begin() {
  if (failures_ == 0) return Call(*this, round_, false);
  if (probing_ || reactor_.now() < retry_at_) return std::nullopt;
  probing_ = true;
  return Call(*this, round_, true);
}

Watch Availability::on_chance(std::function<void()> fn) {
  const std::uint64_t id = next_waiter_++;
  waiters_.push_back({id, std::move(fn)});
  return Watch(
      [this, id] { std::erase_if(waiters_, [id](const Waiter& w) { return w.id == id; }); });
}

void Availability::retry_now() {
  retry_at_ = reactor_.now();
  if (failures_ > 0) wake_later(Duration{0});
}

void Availability::expect_down() {
  expected_down_ = true;
  backoff_.set_cap(kMaxDelayExpected);
}

void Availability::succeed() {
  // An answer of a catalog that is about to go does not end the expectation; one after a gap does.
  if (failures_ > 0 || !ever_answered_) {
    expected_down_ = false;
    backoff_.set_cap(kMaxDelay);
  }
  ever_answered_ = true;
  if (failures_ == 0) return;
  failures_ = 0;
  last_error_.clear();
  backoff_.reset();
  if (warned_) log_info("discovery", name_ + " answers again");
  warned_ = false;
  wake_later(Duration{0});
}

void Availability::fail(std::uint64_t round, const Error& error) {
  last_error_ = error.text();
  if (round != round_) return;  // this outage was counted already
  ++round_;
  outages_ += failures_ == 0 ? 1 : 0;
  ++failures_;
  const Duration delay = backoff_.next();
  retry_at_ = reactor_.now() + delay;
  if (!expected_down_ && !warned_ && failures_ >= kFailuresToWarn) {
    warned_ = true;
    log_warn("discovery", name_ + " does not answer, retrying until it does",
             {{"err", std::string_view(error.text())}});
  }
  wake_later(delay);
}

void Availability::wake_later(Duration delay) {
  timer_ = reactor_.after(delay, [this] { wake(); });
}

void Availability::wake() {
  if (waiters_.empty()) return;
  std::rotate(waiters_.begin(), waiters_.begin() + 1, waiters_.end());
  std::vector<std::uint64_t> ids;
  for (const Waiter& waiter : waiters_) ids.push_back(waiter.id);
  for (const std::uint64_t id : ids) {
    const auto it = std::find_if(waiters_.begin(), waiters_.end(),
                                 [id](const Waiter& w) { return w.id == id; });
    if (it == waiters_.end()) continue;
    const auto fn = it->fn;  // a copy: it may unsubscribe itself
    fn();
  }
}

Availability::Call& Availability::Call::operator=(Call&& other) noexcept {
  const Call old(std::move(*this));
  owner_ = std::exchange(other.owner_, nullptr);
  round_ = other.round_;
  probe_ = other.probe_;
  return *this;
}

Availability::Call::~Call() {
  if (owner_ == nullptr || !probe_) return;
  owner_->probing_ = false;
  // A cancelled probe tells nothing: the next one may go at once.
  owner_->wake_later(Duration{0});
}

void Availability::Call::answered() {
  Availability* owner = std::exchange(owner_, nullptr);
  if (owner == nullptr) return;
  if (probe_) owner->probing_ = false;
  owner->succeed();
}

void Availability::Call::failed(const Error& error) {
  Availability* owner = std::exchange(owner_, nullptr);
  if (owner == nullptr) return;
  if (probe_) owner->probing_ = false;
  owner->fail(round_, error);
}

void Availability::Call::refused(const Error& error) {
  // A catalog that is only starting refuses too, and nobody is to be told of that.
  const bool awaited = owner_ != nullptr && owner_->expected_down_ && !owner_->ever_answered_;
  if (owner_ != nullptr && (owner_->failures_ > 0 || awaited)) return failed(error);
  owner_ = nullptr;
}

void Availability::Call::finished(const Error* error) {
  if (error == nullptr) return answered();
  switch (error->code()) {
    case Errc::kUnavailable:
    case Errc::kTimeout:
    case Errc::kIo:
      return failed(*error);
    case Errc::kInternal:
      return refused(*error);
    case Errc::kInvalid:
    case Errc::kNotFound:
    case Errc::kDenied:
      return answered();
  }
}

}  // namespace containerpilot::discovery
