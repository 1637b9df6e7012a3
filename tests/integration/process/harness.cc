#include "harness.h"

#include <fstream>

namespace containerpilot::test {

LoopTest::LoopTest() {
  auto made = EpollReactor::create();
  EXPECT_TRUE(made);
  loop = std::move(made).value();
}

bool LoopTest::run_until(const std::function<bool()>& done, Duration deadline) {
  if (done()) return true;
  bool late = false;
  const Watch limit = loop->after(deadline, [&] { late = true; });
  loop->observe_turns([&](Duration, Duration) {
    if (done() || late) loop->stop();
  });
  loop->run();
  loop->observe_turns(nullptr);
  return done();
}

ProcessTest::ProcessTest() {
  auto made = make_launcher(*loop);
  EXPECT_TRUE(made) << made.error().text();
  launcher = std::move(made).value();
}

std::shared_ptr<Child> ProcessTest::start(std::vector<std::string> argv,
                                          LineReader::OnLine on_stdout) {
  return start(ProcessSpec{.argv = std::move(argv)}, false, std::move(on_stdout));
}

std::shared_ptr<Child> ProcessTest::start(const ProcessSpec& spec, bool own_cgroup,
                                          LineReader::OnLine on_stdout) {
  auto run = std::make_shared<Child>();
  start_error.reset();
  auto process = launcher->start(
      {.spec = spec, .environment = environment, .name = "job 'test'", .own_cgroup = own_cgroup},
      [run = run.get()](ExitStatus status) {
        run->exit = status;
        if (const Error* failure = run->process->start_failure()) run->failure = failure->text();
      });
  if (!process) {
    start_error = process.error();
    return nullptr;
  }
  run->process = std::move(process).value();
  const auto collect = [](std::vector<std::string>& lines) -> LineReader::OnLine {
    return [&lines](std::string_view line) { lines.emplace_back(line); };
  };
  run->out_reader = std::make_unique<LineReader>(
      *loop, run->process->take_stdout(), on_stdout ? std::move(on_stdout) : collect(run->out),
      [r = run.get()] { r->out_ended = true; });
  run->err_reader =
      std::make_unique<LineReader>(*loop, run->process->take_stderr(), collect(run->err),
                                   [r = run.get()] { r->err_ended = true; });
  return run;
}

std::shared_ptr<Child> ProcessTest::finish(const ProcessSpec& spec) {
  auto run = start(spec);
  if (!run) {
    ADD_FAILURE() << start_error->text();
    return std::make_shared<Child>(Child{.exit = ExitStatus{.code = -1}});
  }
  EXPECT_TRUE(run_until([&] { return run->ended(); })) << "it did not end";
  return run;
}

bool alive(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(stat, text)) return false;
  return text[text.rfind(')') + 2] != 'Z';
}

}  // namespace containerpilot::test
