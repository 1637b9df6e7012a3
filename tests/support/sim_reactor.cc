#include "support/sim_reactor.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace containerpilot::test {

namespace {
constexpr std::chrono::seconds kStart(1767323045);  // 2026-01-02T03:04:05Z
// A test whose callbacks keep each other busy for ever should say so, not hang.
constexpr int kMaxTurnsAtOneMoment = 1'000'000;
}  // namespace

SimReactor::SimReactor() : wall_at_zero_(kStart) {}

Watch SimReactor::add(Timers& timers, TimePoint when, std::function<void()> fn) {
  const Key key{when, next_++};
  timers.emplace(key, std::move(fn));
  return Watch([&timers, key] { timers.erase(key); });
}

Watch SimReactor::at(TimePoint when, std::function<void()> fn) {
  return add(timers_, when, std::move(fn));
}

Watch SimReactor::exit_at(TimePoint when, std::function<void()> fn) {
  return add(exits_, when, std::move(fn));
}

Watch SimReactor::on_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> fn) {
  const std::uint64_t id = next_++;
  fds_.insert_or_assign(fd, FdWatch{id, events, std::move(fn)});
  return Watch([this, fd, id] {
    if (const auto it = fds_.find(fd); it != fds_.end() && it->second.id == id) fds_.erase(it);
  });
}

Watch SimReactor::on_signal(int signo, std::function<void(const siginfo_t&)> fn) {
  const std::uint64_t id = next_++;
  signals_.emplace(id, SignalWatch{signo, std::move(fn)});
  return Watch([this, id] { signals_.erase(id); });
}

void SimReactor::post(std::function<void()> fn) {
  const std::scoped_lock lock(posted_mutex_);
  posted_.push_back(std::move(fn));
}

std::uint32_t SimReactor::interest(int fd) const {
  const auto it = fds_.find(fd);
  return it == fds_.end() ? 0 : it->second.events;
}

bool SimReactor::run_signals() {
  const std::deque<int> raised = std::exchange(raised_, {});
  for (const int signo : raised) {
    siginfo_t info{};
    info.si_signo = signo;
    const std::uint64_t end = next_;
    for (auto it = signals_.begin(); it != signals_.end() && it->first < end;) {
      const std::uint64_t id = it->first;
      if (it->second.signo == signo) {
        const auto fn = it->second.fn;  // a copy: the callback may cancel itself
        fn(info);
      }
      it = signals_.upper_bound(id);
    }
  }
  return !raised.empty();
}

bool SimReactor::run_posted() {
  std::deque<std::function<void()>> posted;
  {
    const std::scoped_lock lock(posted_mutex_);
    posted.swap(posted_);
  }
  for (auto& fn : posted) fn();
  return !posted.empty();
}

bool SimReactor::run_io() {
  const auto ready = std::exchange(ready_, {});
  for (const auto& [fd, events] : ready) {
    const auto it = fds_.find(fd);
    if (it == fds_.end()) continue;
    const auto fn = it->second.fn;  // a copy: the callback may cancel itself
    fn(events);
  }
  return !ready.empty();
}

// Only what was registered before this part of the turn: what a callback adds waits for the next
// turn.
bool SimReactor::run_due(Timers& timers, std::uint64_t until_seq) {
  bool any = false;
  auto it = timers.begin();
  while (it != timers.end() && it->first.first <= now_) {
    const Key key = it->first;
    if (key.second < until_seq) {
      const auto fn = std::move(it->second);
      timers.erase(it);
      fn();
      any = true;
    }
    it = timers.upper_bound(key);
  }
  return any;
}

bool SimReactor::turn() {
  if (in_turn_) return false;
  in_turn_ = true;
  bool any = run_signals();
  any = run_due(exits_, next_) || any;
  any = run_posted() || any;
  any = run_io() || any;
  any = run_due(timers_, next_) || any;
  in_turn_ = false;
  return any;
}

void SimReactor::settle() {
  if (in_turn_) return;
  for (int i = 0; i < kMaxTurnsAtOneMoment; ++i) {
    if (!turn()) return;
  }
  std::fprintf(stderr, "SimReactor: callbacks keep each other busy without time passing\n");
  std::abort();
}

void SimReactor::advance(Duration d) {
  const TimePoint end = now_ + d;
  settle();
  for (auto next = next_deadline(); next && *next <= end; next = next_deadline()) {
    now_ = std::max(now_, *next);
    settle();
  }
  now_ = end;
}

std::optional<TimePoint> SimReactor::next_deadline() const {
  std::optional<TimePoint> next;
  for (const Timers* timers : {&timers_, &exits_}) {
    if (!timers->empty() && (!next || timers->begin()->first.first < *next)) {
      next = timers->begin()->first.first;
    }
  }
  return next;
}

void SimReactor::raise(int signo) {
  raised_.push_back(signo);
  settle();
}

void SimReactor::trigger(int fd, std::uint32_t events) {
  ready_.emplace_back(fd, events);
  settle();
}

}  // namespace containerpilot::test
