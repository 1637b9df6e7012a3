#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/unique_fd.h"
#include "errno_text.h"

namespace containerpilot {

namespace {

// epoll hands back these ids, never pointers: an event for a registration that is gone finds
// nothing.
constexpr std::uint64_t kTimerId = 1;
constexpr std::uint64_t kPostId = 2;
constexpr std::uint64_t kSignalId = 3;
constexpr std::uint64_t kFirstFdId = 16;
constexpr std::size_t kEventsPerTurn = 256;
/// Of a turn; what is ready beyond it goes first in the next one, after signals and timers.
constexpr Duration kIoShare = std::chrono::milliseconds(10);
constexpr TimePoint kNotArmed = TimePoint::min();

// Everything the agent reacts to.
constexpr std::array kHandledSignals = {SIGHUP,  SIGINT,  SIGTERM, SIGQUIT,
                                        SIGUSR1, SIGUSR2, SIGCHLD};
// What would end it by default, though nobody sends it to end a program: never delivered. Go's
// runtime ignores the same, so 3.8.0 did. SIGXFSZ is what a log at its size limit raises.
constexpr std::array kUnheardSignals = {SIGALRM, SIGVTALRM, SIGPROF, SIGIO,
                                        SIGPWR,  SIGSTKFLT, SIGXCPU, SIGXFSZ};

TimePoint read_clock() { return std::chrono::steady_clock::now(); }
WallTime read_wall_clock() { return std::chrono::system_clock::now(); }

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

Error system_error(const std::string& what) {
  return Error(Errc::kIo, "cannot create " + what + ": " + detail::errno_text(errno), errno);
}

siginfo_t to_siginfo(const signalfd_siginfo& from) {
  siginfo_t info{};
  info.si_signo = static_cast<int>(from.ssi_signo);
  info.si_code = from.ssi_code;
  info.si_pid = static_cast<pid_t>(from.ssi_pid);
  info.si_uid = from.ssi_uid;
  info.si_status = from.ssi_status;
  return info;
}

class Loop final : public EpollReactor {
 public:
  Status open();

  [[nodiscard]] TimePoint now() const override { return in_turn_ ? now_ : read_clock(); }
  [[nodiscard]] WallTime wall_now() const override { return in_turn_ ? wall_ : read_wall_clock(); }
  Watch at(TimePoint when, std::function<void()> fn) override;
  Watch on_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> fn) override;
  Watch on_signal(int signo, std::function<void(const siginfo_t&)> fn) override;
  void post(std::function<void()> fn) override;
  void run() override;
  void stop() override;
  [[nodiscard]] LoopStats stats() const override {
    LoopStats stats = stats_;
    stats.timers_set = timers_.size();
    return stats;
  }
  void observe_turns(TurnObserver observer) override { observer_ = std::move(observer); }

 private:
  struct FdWatch {
    int fd;
    std::function<void(std::uint32_t)> fn;
  };
  struct SignalWatch {
    int signo;
    std::function<void(const siginfo_t&)> fn;
  };
  using TimerKey = std::pair<TimePoint, std::uint64_t>;  // equal deadlines by sequence

  void turn();
  void wait();
  void arm_timer();
  void remove_fd(std::uint64_t id);
  void run_signals();
  void call_signal_watches(const siginfo_t& info);
  void run_posted();
  void run_io();
  Duration run_timers();
  void update_signal_mask();
  void wake();
  [[nodiscard]] bool anything_posted() const {
    const std::scoped_lock lock(posted_mutex_);
    return !posted_.empty();
  }

  UniqueFd epoll_, timer_fd_, post_fd_, signal_fd_;
  std::array<epoll_event, kEventsPerTurn> events_{};
  std::size_t next_event_ = 0, event_count_ = 0;  // of events_: those not yet told
  bool in_turn_ = false;
  TimePoint now_{};
  WallTime wall_{};
  std::uint64_t next_id_ = kFirstFdId;
  // Shared, because a callback may cancel its own registration.
  std::unordered_map<std::uint64_t, std::shared_ptr<FdWatch>> fds_;
  std::unordered_map<int, std::uint64_t> registered_;  // what epoll knows
  std::map<std::uint64_t, std::shared_ptr<SignalWatch>> signals_;
  std::map<TimerKey, std::function<void()>> timers_;
  TimePoint armed_for_ = kNotArmed;
  mutable std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  std::atomic<std::thread::id> loop_thread_ = std::this_thread::get_id();
  std::atomic<bool> stop_ = false;
  LoopStats stats_;
  TurnObserver observer_;
};

Status Loop::open() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return system_error("an epoll instance");
  timer_fd_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_fd_.valid()) return system_error("a timerfd");
  post_fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!post_fd_.valid()) return system_error("an eventfd");
  sigset_t none;
  sigemptyset(&none);
  signal_fd_.reset(::signalfd(-1, &none, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signal_fd_.valid()) return system_error("a signalfd");
  const std::pair<int, std::uint64_t> own[] = {
      {timer_fd_.get(), kTimerId}, {post_fd_.get(), kPostId}, {signal_fd_.get(), kSignalId}};
  for (const auto& [fd, id] : own) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return system_error("the loop's watches");
  }
  return ok();
}

Watch Loop::at(TimePoint when, std::function<void()> fn) {
  const TimerKey key{when, next_id_++};
  timers_.emplace(key, std::move(fn));
  return Watch([this, key] { timers_.erase(key); });
}

Watch Loop::on_fd(int fd, std::uint32_t events, std::function<void(std::uint32_t)> fn) {
  const std::uint64_t id = next_id_++;
  if (const auto earlier = registered_.find(fd); earlier != registered_.end())
    remove_fd(earlier->second);
  epoll_event event{.events = events, .data = {.u64 = id}};
  const bool added = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  fds_.emplace(id, std::make_shared<FdWatch>(FdWatch{fd, std::move(fn)}));
  if (added) {
    registered_.emplace(fd, id);
  } else {
    // Not pollable, or no memory: the owner learns it where it would learn of any other failure.
    post([this, id] {
      if (const auto it = fds_.find(id); it != fds_.end()) {
        const auto watch = it->second;
        watch->fn(EPOLLERR);
      }
    });
  }
  return Watch([this, id] { remove_fd(id); });
}

void Loop::remove_fd(std::uint64_t id) {
  const auto it = fds_.find(id);
  if (it == fds_.end()) return;
  if (const auto known = registered_.find(it->second->fd);
      known != registered_.end() && known->second == id) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, known->first, nullptr);
    registered_.erase(known);
  }
  fds_.erase(it);
}

Watch Loop::on_signal(int signo, std::function<void(const siginfo_t&)> fn) {
  const std::uint64_t id = next_id_++;
  signals_.emplace(id, std::make_shared<SignalWatch>(SignalWatch{signo, std::move(fn)}));
  update_signal_mask();
  return Watch([this, id] {
    signals_.erase(id);
    update_signal_mask();
  });
}

void Loop::update_signal_mask() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const auto& [id, watch] : signals_) sigaddset(&mask, watch->signo);
  // An unblocked signal would take its default action instead of reaching the signalfd.
  ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  ::signalfd(signal_fd_.get(), &mask, 0);
}

void Loop::post(std::function<void()> fn) {
  bool was_empty;
  {
    const std::scoped_lock lock(posted_mutex_);
    was_empty = posted_.empty();
    posted_.push_back(std::move(fn));
  }
  // The loop's own thread looks at the queue before it waits.
  if (was_empty && std::this_thread::get_id() != loop_thread_.load(std::memory_order_relaxed))
    wake();
}

void Loop::wake() {
  const std::uint64_t one = 1;
  // Can only fail when the counter is full, and then the loop is awake.
  [[maybe_unused]] const ssize_t n = ::write(post_fd_.get(), &one, sizeof one);
}

void Loop::stop() {
  stop_.store(true);
  wake();
}

void Loop::run() {
  loop_thread_.store(std::this_thread::get_id());
  while (!stop_.exchange(false)) turn();
}

void Loop::arm_timer() {
  const TimePoint next = timers_.empty() ? TimePoint::max() : timers_.begin()->first.first;
  if (next == armed_for_) return;
  armed_for_ = next;
  itimerspec spec{};
  if (next != TimePoint::max()) {
    // Zero would disarm it; a deadline in the past fires at once.
    const Duration since_boot = std::max(next.time_since_epoch(), Duration(1));
    const auto whole = std::chrono::floor<std::chrono::seconds>(since_boot);
    spec.it_value.tv_sec = whole.count();
    spec.it_value.tv_nsec = (since_boot - whole).count();
  }
  ::timerfd_settime(timer_fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Loop::wait() {
  const bool busy =
      anything_posted() || (!timers_.empty() && timers_.begin()->first.first <= read_clock());
  if (!busy) arm_timer();
  const int count = ::epoll_wait(epoll_.get(), events_.data(), kEventsPerTurn, busy ? 0 : -1);
  next_event_ = 0;
  event_count_ = static_cast<std::size_t>(std::max(count, 0));  // EINTR: a turn without I/O
}

void Loop::turn() {
  bool signals = next_event_ < event_count_;  // nobody asks epoll then
  if (!signals) wait();
  now_ = read_clock();
  wall_ = read_wall_clock();
  in_turn_ = true;
  for (std::size_t i = next_event_; i < event_count_; ++i) {
    const std::uint64_t id = events_[i].data.u64;
    if (id == kSignalId) signals = true;
    if (id == kTimerId) armed_for_ = kNotArmed;  // setting it anew makes the fd unreadable
    if (id == kPostId) {
      std::uint64_t ignored;
      [[maybe_unused]] const ssize_t n = ::read(post_fd_.get(), &ignored, sizeof ignored);
    }
  }
  // With a timer due, a child's exit must not hide behind the events that did not fit into this
  // turn.
  const bool timers_due = !timers_.empty() && timers_.begin()->first.first <= now_;
  if (signals || timers_due) run_signals();
  run_posted();
  run_io();
  const Duration lag = run_timers();
  in_turn_ = false;

  const Duration busy = read_clock() - now_;
  ++stats_.turns;
  stats_.busy_seconds += seconds(busy);
  stats_.longest_turn_seconds = std::max(stats_.longest_turn_seconds, seconds(busy));
  if (observer_) observer_(busy, lag);
}

void Loop::run_signals() {
  // Child exits come after all other signals. One SIGCHLD stands for any number of children.
  std::vector<siginfo_t> others;
  std::optional<siginfo_t> child;
  std::array<signalfd_siginfo, 16> raw;
  while (true) {
    const ssize_t size = ::read(signal_fd_.get(), raw.data(), sizeof raw);
    const std::size_t count = size <= 0 ? 0 : static_cast<std::size_t>(size) / sizeof raw[0];
    for (std::size_t i = 0; i < count; ++i) {
      const siginfo_t info = to_siginfo(raw[i]);
      if (info.si_signo == SIGCHLD) {
        child = info;
      } else {
        others.push_back(info);
      }
    }
    if (count < raw.size()) break;  // what comes now wakes the next turn
  }
  for (const siginfo_t& info : others) call_signal_watches(info);
  if (child) call_signal_watches(*child);
}

void Loop::call_signal_watches(const siginfo_t& info) {
  const std::uint64_t end = next_id_;
  for (auto it = signals_.begin(); it != signals_.end() && it->first < end;) {
    const std::uint64_t id = it->first;
    const auto watch = it->second;
    if (watch->signo == info.si_signo) watch->fn(info);
    it = signals_.upper_bound(id);
  }
}

void Loop::run_posted() {
  std::vector<std::function<void()>> posted;
  {
    const std::scoped_lock lock(posted_mutex_);
    posted.swap(posted_);
  }
  for (auto& fn : posted) fn();
}

void Loop::run_io() {
  const TimePoint end = read_clock() + kIoShare;
  while (next_event_ < event_count_ && read_clock() < end) {
    const epoll_event event = events_[next_event_++];
    if (event.data.u64 < kFirstFdId) continue;
    const auto it = fds_.find(event.data.u64);
    if (it == fds_.end()) continue;
    const auto watch = it->second;
    watch->fn(event.events);
  }
}

Duration Loop::run_timers() {
  // What a timer sets anew waits for the next turn, so that I/O gets its share.
  const std::uint64_t end = next_id_;
  Duration first_lag{0};
  bool first = true;
  auto it = timers_.begin();
  while (it != timers_.end() && it->first.first <= now_) {
    const TimerKey key = it->first;
    if (key.second < end) {
      const auto fn = std::move(it->second);
      timers_.erase(it);
      const Duration lag = now_ - key.first;
      if (std::exchange(first, false)) first_lag = lag;
      ++stats_.timers_fired;
      stats_.timer_lag_seconds += seconds(lag);
      stats_.worst_timer_lag_seconds = std::max(stats_.worst_timer_lag_seconds, seconds(lag));
      fn();
    }
    it = timers_.upper_bound(key);
  }
  return first_lag;
}

}  // namespace

Result<std::unique_ptr<EpollReactor>> EpollReactor::create() {
  auto loop = std::make_unique<Loop>();
  if (Status status = loop->open(); !status) return std::move(status).error();
  return std::unique_ptr<EpollReactor>(std::move(loop));
}

void block_signals() {
  // Whatever is opened next must not become somebody's stdout.
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd > STDERR_FILENO) ::close(fd);
    if (fd < 0 || fd > STDERR_FILENO) break;
  }
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signo : kHandledSignals) {
    sigaddset(&mask, signo);
    // Ignored is inherited through exec: nohup, or an init that ignores SIGCHLD, which would make
    // the kernel reap our children before we see them.
    ::signal(signo, SIG_DFL);
  }
  // Blocked, not ignored: that is undone for a child in one call.
  for (const int signo : kUnheardSignals) sigaddset(&mask, signo);
  for (int signo = SIGRTMIN; signo <= SIGRTMAX; ++signo) sigaddset(&mask, signo);
  ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace containerpilot
