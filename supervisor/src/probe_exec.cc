#include <algorithm>
#include <optional>

#include "containerpilot/supervisor/line_reader.h"
#include "probe_task.h"
#include "text.h"

namespace containerpilot {

namespace {

constexpr std::size_t kMaxLastLines = 4096;
/// After the kill of a run that took too long: how long its end is waited for. A process the kernel
/// cannot end (a dead disk) must not keep the question open.
constexpr Duration kKillGrace = std::chrono::seconds(1);

class ExecProbe : public ProbeTask {
 public:
  ExecProbe(Reactor& reactor, ProbeRun run, ProbeDone done)
      : ProbeTask(reactor, std::move(done)),
        timeout_(run.timeout),
        max_output_(run.max_output),
        on_line_(std::move(run.on_line)) {}
  ExecProbe(const ExecProbe&) = delete;
  ExecProbe& operator=(const ExecProbe&) = delete;
  ~ExecProbe() override {
    if (process_ && !exited_) process_->kill_tree();
  }

  void start(Launcher& launcher, Launcher::Request request) {
    auto started = launcher.start(std::move(request), [weak = weak_from_this()](ExitStatus status) {
      if (const auto self = weak.lock()) static_cast<ExecProbe&>(*self).on_exit(status);
    });
    if (!started) {
      return finish_later(
          {.kind = ProbeResult::Kind::kCannotStart, .reason = started.error().text()});
    }
    process_ = std::move(started).value();
    read(process_->take_stdout(), false);
    read(process_->take_stderr(), true);
    if (timeout_ > Duration(0)) {
      timer_ = reactor_.after(timeout_, [this] { on_timeout(); });
    }
  }

 private:
  void read(UniqueFd fd, bool from_stderr) {
    if (!fd.valid()) return;
    const pid_t pid = process_->pid();
    readers_[from_stderr ? 1 : 0].emplace(
        reactor_, std::move(fd),
        [this, pid, from_stderr](std::string_view line) {
          const auto self = shared_from_this();
          if (!from_stderr) keep_output(line);
          keep_last(line);
          if (on_line_) on_line_(pid, from_stderr, line);
        },
        nullptr);
  }

  void keep_output(std::string_view line) {
    if (truncated_ || output_.size() + line.size() + 1 > max_output_) {
      truncated_ = true;
      return;
    }
    output_.append(line).push_back('\n');
  }

  void keep_last(std::string_view line) {
    last_.append(line).push_back('\n');
    if (last_.size() > 2 * kMaxLastLines) last_.erase(0, last_.size() - kMaxLastLines);
  }

  /// Whole lines, unless one is too long by itself.
  [[nodiscard]] std::string last_lines() const {
    std::string_view text = last_;
    if (!text.empty()) text.remove_suffix(1);
    if (text.size() <= kMaxLastLines) return std::string(text);
    text.remove_prefix(text.size() - kMaxLastLines);
    const std::size_t newline = text.find('\n');
    return std::string(newline == text.npos ? text : text.substr(newline + 1));
  }

  void on_timeout() {
    timed_out_ = true;
    process_->kill_tree();
    timer_ = reactor_.after(kKillGrace, [this] { conclude({}); });
  }

  void on_exit(ExitStatus status) {
    exited_ = true;
    conclude(status);
  }

  void conclude(ExitStatus status) {
    const auto self = shared_from_this();
    timer_ = Watch();
    // What the process wrote before its end is there; whoever else holds the pipe is not waited
    // for.
    for (auto& reader : readers_) {
      if (reader) reader->finish();
      if (!wanted()) return;
    }
    ProbeResult result{.exit = status, .output = std::move(output_), .last_lines = last_lines()};
    if (const Error* const failure = process_->start_failure()) {
      result.kind = ProbeResult::Kind::kCannotStart;
      result.reason = failure->text();
    } else if (timed_out_) {
      result.kind = ProbeResult::Kind::kTimeout;
      result.reason = "not finished within " + format_seconds(timeout_);
    } else if (!status.success()) {
      result.kind = ProbeResult::Kind::kFailed;
      result.reason = describe(status);
    } else if (truncated_) {
      result.reason =
          "output after the first " + std::to_string(max_output_) + " bytes was thrown away";
    }
    finish(std::move(result));
  }

  const Duration timeout_;
  const std::size_t max_output_;
  const std::function<void(pid_t, bool, std::string_view)> on_line_;
  std::unique_ptr<Process> process_;
  std::optional<LineReader> readers_[2];
  std::string output_;
  std::string last_;
  bool truncated_ = false;
  bool timed_out_ = false;
  bool exited_ = false;
  Watch timer_;
};

}  // namespace

Watch run_exec_probe(Reactor& reactor, Launcher& launcher, const ProcessSpec& spec, ProbeRun run,
                     ProbeDone done) {
  Launcher::Request request{.spec = spec,
                            .environment = std::move(run.environment),
                            .output = run.raw_output ? Output::kInherit : Output::kPipe,
                            .name = std::move(run.name)};
  auto task = std::make_shared<ExecProbe>(reactor, std::move(run), std::move(done));
  task->start(launcher, std::move(request));
  return watch_of(std::move(task));
}

}  // namespace containerpilot
