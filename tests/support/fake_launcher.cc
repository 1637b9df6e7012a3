#include "support/fake_launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace containerpilot::test {

namespace {
bool matches(std::string_view full, std::string_view name) {
  return full == name || full == "job '" + std::string(name) + "'";
}

bool kills_by_default(int signo) {
  return signo != 0 && signo != SIGCHLD && signo != SIGCONT && signo != SIGSTOP &&
         signo != SIGTSTP && signo != SIGWINCH && signo != SIGURG;
}
}  // namespace

struct FakeLauncher::Live {
  Run* run = nullptr;
  std::function<void(ExitStatus)> on_exit;
  Watch ending;
  struct Pipe {
    UniqueFd read, write;
    int read_number = -1;
  };
  Pipe pipes[2];
};

class FakeLauncher::Handle : public Process {
 public:
  Handle(FakeLauncher& launcher, std::shared_ptr<Live> live)
      : launcher_(launcher), live_(std::move(live)), pid_(live_->run->pid) {}
  ~Handle() override {
    if (!live_->run->running) return;
    live_->run->dropped = true;
    live_->on_exit = nullptr;
    launcher_.deliver(*live_, SIGKILL);
  }
  [[nodiscard]] pid_t pid() const override { return pid_; }
  Status signal(int signo) override { return send(live_->run->signals, signo); }
  Status signal_group(int signo) override { return send(live_->run->group_signals, signo); }
  void kill_tree() override {
    if (!live_->run->running) return;
    live_->run->tree_killed = true;
    launcher_.deliver(*live_, SIGKILL);
  }
  bool signal_survivors(int signo) override {
    const bool some = live_->run->leaves_others;
    if (some && signo != 0) live_->run->told_others.push_back(signo);
    if (signo == SIGKILL) live_->run->leaves_others = false;
    return some;
  }
  UniqueFd take_stdout() override { return std::move(live_->pipes[0].read); }
  UniqueFd take_stderr() override { return std::move(live_->pipes[1].read); }
  [[nodiscard]] const Error* start_failure() const override {
    return live_->run->start_failure ? &*live_->run->start_failure : nullptr;
  }

 private:
  Status send(std::vector<int>& record, int signo) {
    if (!live_->run->running) return ok();
    record.push_back(signo);
    launcher_.deliver(*live_, signo);
    return ok();
  }

  FakeLauncher& launcher_;
  std::shared_ptr<Live> live_;
  pid_t pid_;
};

std::optional<std::string> FakeLauncher::Run::env(std::string_view key) const {
  for (auto it = spec.env.rbegin(); it != spec.env.rend(); ++it) {
    if (it->first == key) return it->second;
  }
  for (const std::string& entry : environment) {
    if (entry.size() > key.size() && entry.starts_with(key) && entry[key.size()] == '=') {
      return entry.substr(key.size() + 1);
    }
  }
  return std::nullopt;
}

FakeLauncher::~FakeLauncher() = default;

Result<std::unique_ptr<Process>> FakeLauncher::start(Request request,
                                                     std::function<void(ExitStatus)> on_exit) {
  for (auto& [name, errors] : failures_) {
    if (!matches(request.name, name) || errors.empty()) continue;
    Error error = std::move(errors.front());
    errors.pop_front();
    ++failed_[request.name];
    return error;
  }
  auto run = std::make_unique<Run>();
  run->name = std::move(request.name);
  run->pid = next_pid_++;
  run->spec = request.spec;
  run->environment = std::move(request.environment);
  run->output = request.output;
  run->own_cgroup = request.own_cgroup;
  run->on_notify = std::move(request.on_notify);
  run->started_at = loop_.now();
  auto live = std::make_shared<Live>();
  live->run = run.get();
  live->on_exit = std::move(on_exit);
  if (pipes_ && request.output == Output::kPipe) {
    for (Live::Pipe& pipe : live->pipes) {
      int ends[2];
      if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
      pipe.read.reset(ends[0]);
      pipe.write.reset(ends[1]);
      pipe.read_number = ends[0];
    }
  }
  live_.emplace(run->pid, live);
  runs_.push_back(std::move(run));
  auto handle = std::make_unique<Handle>(*this, live);
  if (on_start_) on_start_(*live->run);
  return std::unique_ptr<Process>(std::move(handle));
}

int FakeLauncher::starts(std::string_view name) const {
  return static_cast<int>(std::count_if(runs_.begin(), runs_.end(),
                                        [&](const auto& run) { return matches(run->name, name); }));
}

int FakeLauncher::failed_starts(std::string_view name) const {
  int count = 0;
  for (const auto& [full, failed] : failed_) {
    if (matches(full, name)) count += failed;
  }
  return count;
}

int FakeLauncher::running(std::string_view name) const {
  return static_cast<int>(std::count_if(runs_.begin(), runs_.end(), [&](const auto& run) {
    return run->running && matches(run->name, name);
  }));
}

std::size_t FakeLauncher::running() const { return live_.size(); }

FakeLauncher::Run& FakeLauncher::last(std::string_view name) {
  for (auto it = runs_.rbegin(); it != runs_.rend(); ++it) {
    if (matches((*it)->name, name)) return **it;
  }
  std::fprintf(stderr, "FakeLauncher: '%s' was never started; started were:\n",
               std::string(name).c_str());
  for (const auto& run : runs_) std::fprintf(stderr, "  %s\n", run->name.c_str());
  std::abort();
}

FakeLauncher::Live* FakeLauncher::find(const Run& run) {
  const auto it = live_.find(run.pid);
  return it == live_.end() ? nullptr : it->second.get();
}

void FakeLauncher::finish(std::string_view name, ExitStatus status) { finish(last(name), status); }

void FakeLauncher::finish(Run& run, ExitStatus status) {
  finish_after(run, Duration(0), status);
  loop_.settle();
}

void FakeLauncher::finish_after(Run& run, Duration delay, ExitStatus status) {
  if (Live* l = find(run)) {
    l->ending = loop_.exit_at(loop_.now() + delay, [this, l, status] { end(*l, status); });
  }
}

void FakeLauncher::fail_late(std::string_view name, Error error) {
  Run& run = last(name);
  run.start_failure = std::move(error);
  finish(run, ExitStatus{.code = 127});
}

void FakeLauncher::fail_next(std::string_view name, Error error, int times) {
  auto& errors = failures_[std::string(name)];
  for (int i = 0; i < times; ++i) errors.push_back(error);
}

void FakeLauncher::deliver(Live& live, int signo) {
  if (signo == SIGKILL) {
    finish_after(*live.run, Duration(0), ExitStatus{.signal = SIGKILL});
    return;
  }
  if (on_signal_) on_signal_(*live.run, signo);
  if (obey_after_ && kills_by_default(signo)) {
    finish_after(*live.run, *obey_after_, ExitStatus{.signal = signo});
  }
}

void FakeLauncher::end(Live& live, ExitStatus status) {
  const auto it = live_.find(live.run->pid);
  if (it == live_.end()) return;
  const std::shared_ptr<Live> keep = std::move(it->second);
  live_.erase(it);
  keep->run->running = false;
  keep->run->exit = status;
  keep->run->ended_at = loop_.now();
  for (Live::Pipe& pipe : keep->pipes) {
    pipe.write.reset();
    if (pipe.read_number >= 0) loop_.trigger(pipe.read_number, EPOLLHUP);
  }
  if (keep->on_exit) std::exchange(keep->on_exit, nullptr)(status);
}

void FakeLauncher::print(std::string_view name, std::string_view text, bool to_stderr) {
  Live* l = find(last(name));
  if (l == nullptr) return;
  Live::Pipe& pipe = l->pipes[to_stderr ? 1 : 0];
  // Nobody may read it any more.
  if (::write(pipe.write.get(), text.data(), text.size()) < 0 && errno != EPIPE)
    std::perror("FakeLauncher::print");
  loop_.trigger(pipe.read_number, EPOLLIN);
}

}  // namespace containerpilot::test
