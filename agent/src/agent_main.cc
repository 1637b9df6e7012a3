#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

#include "app.h"
#include "command_line.h"
#include "containerpilot/agent/config.h"
#include "containerpilot/agent/explain.h"
#include "containerpilot/agent/main.h"
#include "containerpilot/agent/template.h"
#include "containerpilot/agent/version.h"
#include "containerpilot/discovery/embedded_catalog.h"
#include "containerpilot/supervisor/log.h"
#include "control_client.h"
#include "give_back.h"
#include "old_words.h"

namespace containerpilot::agent {

namespace {

using Command = CommandLine::Command;

std::string host_name() {
  char buffer[HOST_NAME_MAX + 1] = {};
  return gethostname(buffer, sizeof buffer - 1) == 0 ? buffer : "localhost";
}

LoadOptions load_options(const CommandLine& line, const std::string& program,
                         const Environment& environment) {
  LoadOptions options;
  options.environment = environment.all();
  options.hostname = host_name();
  options.generation = line.generation;
  options.command = line.positional;
  options.agent_pid = static_cast<int>(::getpid());
  options.containerbuddy = program.substr(program.rfind('/') + 1) == "containerbuddy";
  if (auto addresses = discovery::list_addresses())
    options.addresses = std::move(addresses).value();
  return options;
}

/// -config, else $CONTAINERPILOT, else $CONTAINERBUDDY (which means 1.x names).
bool find_config(CommandLine& line, LoadOptions& options) {
  if (!line.configs.empty()) return true;
  for (const char* variable : {"CONTAINERPILOT", "CONTAINERBUDDY"}) {
    const auto it = options.environment.find(variable);
    if (it == options.environment.end() || it->second.empty()) continue;
    line.configs.push_back(it->second);
    options.containerbuddy =
        options.containerbuddy || std::string_view(variable) == "CONTAINERBUDDY";
    return true;
  }
  return false;
}

int print_problems(const LoadResult& loaded) {
  for (const Problem& problem : loaded.warnings)
    std::fprintf(stderr, "%s\n", with_excerpt(problem).c_str());
  for (const Problem& problem : loaded.errors)
    std::fprintf(stderr, "%s\n", with_excerpt(problem).c_str());
  return loaded.plan ? 0 : 1;
}

/// -check and -explain: the report of what was asked for on stdout.
int look(const CommandLine& line, const LoadOptions& options) {
  const LoadResult loaded = load_config(config_sources(line.configs), options);
  if (line.command == CommandLine::Command::kCheck) {
    std::fputs(check_report(loaded).c_str(), stdout);
    return loaded.plan ? 0 : 1;
  }
  if (const int code = print_problems(loaded); code != 0) return code;
  const std::string report = line.json ? explain_json(*loaded.plan, options.addresses)
                                       : explain_text(*loaded.plan, options.addresses);
  std::fputs(report.c_str(), stdout);
  return 0;
}

int print_export(const CommandLine& line, const LoadOptions& options) {
  const LoadResult loaded = load_config(config_sources(line.configs), options);
  if (const int code = print_problems(loaded); code != 0) return code;
  const auto text = export_plan(*loaded.plan, line.export_format, line.export_options);
  if (!text) {
    std::fprintf(stderr, "%s\n", text.error().text().c_str());
    return 1;
  }
  std::fputs(text.value().c_str(), stdout);
  return 0;
}

int render(const CommandLine& line, const LoadOptions& options) {
  const auto rendered = render_config(config_sources(line.configs), options);
  if (!rendered) {
    std::fprintf(stderr, "%s\n", rendered.error().text().c_str());
    return 1;
  }
  const std::string& text = rendered.value();
  std::string out = line.out;
  if (out.starts_with("file://")) out.erase(0, std::string_view("file://").size());
  if (out.empty() || out == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
  }
  // Not what fopen() would make of it (0666): a rendered configuration may hold secrets.
  constexpr mode_t kMode = 0644;
  const int fd = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
  std::FILE* file = fd < 0 ? nullptr : ::fdopen(fd, "w");
  const bool written =
      file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr && std::fclose(file) == 0 && written) return 0;
  std::fprintf(stderr, "cannot write '%s': %s\n", out.c_str(),
               std::generic_category().message(errno).c_str());
  return 1;
}

int run_catalog(const CommandLine& line) {
  auto reactor = EpollReactor::create();
  if (!reactor) {
    std::fprintf(stderr, "%s\n", reactor.error().text().c_str());
    return 1;
  }
  discovery::EmbeddedSpec spec;
  if (!line.listen.empty()) spec.listen = line.listen;
  auto catalog = discovery::EmbeddedCatalog::start(*reactor.value(), spec);
  if (!catalog) {
    std::fprintf(stderr, "%s\n", catalog.error().text().c_str());
    return 1;
  }
  log_info("agent",
           "embedded catalog on " + catalog.value()->address() + ": for this machine only");
  const auto stop = [&](const siginfo_t&) { reactor.value()->stop(); };
  const Watch term = reactor.value()->on_signal(SIGTERM, stop);
  const Watch interrupt = reactor.value()->on_signal(SIGINT, stop);
  reactor.value()->run();
  flush_log();
  return 0;
}

/// Kubernetes shows this to whoever asks why a container ended.
void write_termination_log(const std::string& sentence) {
  const int fd = ::open("/dev/termination-log", O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return;
  const UniqueFd file(fd);
  const std::string line = sentence + "\n";
  if (::write(fd, line.data(), line.size()) < 0)
    log_debug("agent", "cannot write the termination log");
}

int fail(const Error& error) {
  log_error("agent", error.text());
  flush_log();
  return 1;
}

/// At level debug: what the configuration came to, as -explain shows it.
void log_plan(const LoadResult& loaded, const LoadOptions& options) {
  if (!loaded.plan || !log_enabled(LogLevel::kDebug)) return;
  // Spelled as each generation spelled it, for those who look for it.
  const std::string what =
      loaded.plan->generation == Generation::kV3 ? "loaded config: " : "Loaded config: ";
  log_debug("agent", what + explain_json(*loaded.plan, options.addresses, -1));
}

int run_agent(const CommandLine& line, LoadOptions options, Environment environment) {
  give_back_long_blocks();
  const std::vector<ConfigSource> sources = config_sources(line.configs);
  LoadResult loaded = load_config(sources, options);
  if (const int code = print_problems(loaded); code != 0) {
    // Who reads the log only, as it was with 3.8.0, learns of it there.
    const bool rendered = render_config(sources, options).has_value();
    return fail(Error(Errc::kInvalid, in_old_words(loaded.errors, rendered)));
  }
  if (const Status status = configure_log(loaded.plan->logging); !status)
    return fail(status.error());
  log_plan(loaded, options);

  auto reactor = EpollReactor::create();
  if (!reactor) return fail(reactor.error());
  auto launcher = make_launcher(*reactor.value());
  if (!launcher) return fail(launcher.error());
  auto resolver = make_resolver(*reactor.value());
  if (!resolver) return fail(resolver.error());
  constexpr std::size_t kProbeConnections = 64;
  auto http = make_http_client(*reactor.value(), *resolver.value(), kProbeConnections);
  if (!http) return fail(http.error());

  const auto load = [&](const Environment& current) {
    LoadOptions again = options;
    again.environment = current.all();
    if (auto addresses = discovery::list_addresses())
      again.addresses = std::move(addresses).value();
    LoadResult result = load_config(sources, again);
    log_plan(result, again);
    return result;
  };
  App app(*reactor.value(), *launcher.value(), *resolver.value(), *http.value(),
          std::move(environment), options.hostname, load);
  if (const Status status = app.start(std::move(*loaded.plan)); !status)
    return fail(status.error());
  reactor.value()->run();
  const std::string sentence =
      "containerpilot ends with code " + std::to_string(app.exit_code()) + ": " + app.why();
  log_info("agent", sentence);
  write_termination_log(sentence);
  flush_log();
  return app.exit_code();
}

}  // namespace

int agent_main(int argc, char** argv) {
  auto parsed = parse_command_line(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  if (!parsed) {
    std::fprintf(stderr, "%s\n%s", parsed.error().text().c_str(), usage().c_str());
    return 2;
  }
  CommandLine line = std::move(parsed).value();
  Environment environment = Environment::from_process();
  LoadOptions options = load_options(line, argc > 0 ? argv[0] : "", environment);
  switch (line.command) {
    case Command::kHelp:
      std::fputs(usage().c_str(), stderr);
      return 0;
    case Command::kVersion:
      std::printf("Version: %s\nGitHash: %s\n", std::string(version()).c_str(),
                  std::string(git_hash()).c_str());
      return 0;
    case Command::kCatalog:
      return run_catalog(line);
    default:
      break;
  }
  const bool configured = find_config(line, options);
  switch (line.command) {
    case Command::kTemplate:
    case Command::kCheck:
    case Command::kExplain:
    case Command::kExport:
    case Command::kRun:
      if (!configured) {
        std::fprintf(stderr,
                     "cannot start: no configuration; give -config or set CONTAINERPILOT\n");
        return 1;
      }
      break;
    default:
      return run_client(line, options);
  }
  if (line.command == Command::kTemplate) return render(line, options);
  if (line.command == Command::kCheck || line.command == Command::kExplain) {
    options.check = true;
    return look(line, options);
  }
  if (line.command == Command::kExport) return print_export(line, options);
  return run_agent(line, std::move(options), std::move(environment));
}

}  // namespace containerpilot::agent
