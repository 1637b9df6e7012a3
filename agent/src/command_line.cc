#include "command_line.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

namespace containerpilot::agent {

namespace {

using Command = CommandLine::Command;

struct Parsing {
  CommandLine line;
  std::vector<Command> asked;
  std::vector<std::pair<std::string, std::string>> environment, metrics;

  [[nodiscard]] bool asked_for(Command command) const {
    return std::find(asked.begin(), asked.end(), command) != asked.end();
  }
};

struct Flag {
  std::string_view name;
  std::string_view argument;  ///< empty: a boolean
  std::string_view help;
  std::function<Status(Parsing&, const std::string& value)> apply;
};

Status ask(Parsing& parsing, Command command) {
  parsing.asked.push_back(command);
  return ok();
}

Status add_pair(std::vector<std::pair<std::string, std::string>>& pairs, std::string_view flag,
                const std::string& value) {
  const std::size_t equals = value.find('=');
  if (equals == value.npos) {
    return Error(Errc::kInvalid,
                 "cannot read '" + value + "' for -" + std::string(flag) + ": expected NAME=VALUE");
  }
  pairs.emplace_back(value.substr(0, equals), value.substr(equals + 1));
  return ok();
}

Status ask_job(Parsing& parsing, const std::string& action, const std::string& job) {
  parsing.line.job = job;
  parsing.line.job_action = action;
  return ask(parsing, Command::kJob);
}

const std::vector<Flag>& flags() {
  static const std::vector<Flag> all = {
      {"config", "VALUE",
       "configuration: a path, file://PATH or the text itself; default $CONTAINERPILOT",
       [](Parsing& p, const std::string& v) {
         if (!v.empty()) p.line.configs.push_back(v);
         return ok();
       }},
      {"version", "", "print version and commit",
       [](Parsing& p, const std::string&) { return ask(p, Command::kVersion); }},
      {"template", "", "render the configuration's template and print it",
       [](Parsing& p, const std::string&) { return ask(p, Command::kTemplate); }},
      {"out", "PATH", "with -template: write there instead of stdout",
       [](Parsing& p, const std::string& v) {
         p.line.out = v;
         return ok();
       }},
      {"check", "", "validate the configuration and print every problem; needs nothing running",
       [](Parsing& p, const std::string&) { return ask(p, Command::kCheck); }},
      {"explain", "", "print what the configuration makes the agent do (-json: as JSON)",
       [](Parsing& p, const std::string&) { return ask(p, Command::kExplain); }},
      {"generation", "N",
       "read the configuration as generation 1, 2 or 3 instead of telling from its keys",
       [](Parsing& p, const std::string& v) -> Status {
         if (v != "1" && v != "2" && v != "3") {
           return Error(Errc::kInvalid,
                        "cannot read '" + v + "' for -generation: expected 1, 2 or 3");
         }
         p.line.generation = static_cast<Generation>(v[0] - '0');
         return ok();
       }},
      {"socket", "PATH",
       "control socket of the running agent; default $CONTAINERPILOT_SOCKET, then the "
       "configuration's",
       [](Parsing& p, const std::string& v) {
         p.line.socket = v;
         return ok();
       }},
      {"ping", "", "ask the running agent whether it is there",
       [](Parsing& p, const std::string&) { return ask(p, Command::kPing); }},
      {"status", "",
       "jobs, checks, catalog, watches and sensors of the running agent on one screen (-json: as "
       "JSON)",
       [](Parsing& p, const std::string&) { return ask(p, Command::kStatus); }},
      {"why", "JOB", "why that job last ran",
       [](Parsing& p, const std::string& v) {
         p.line.job = v;
         return ask(p, Command::kWhy);
       }},
      {"events", "", "follow the running agent's events",
       [](Parsing& p, const std::string&) { return ask(p, Command::kEvents); }},
      {"follow", "JOB", "follow that job's output",
       [](Parsing& p, const std::string& v) {
         p.line.job = v;
         return ask(p, Command::kFollow);
       }},
      {"json", "", "with -status, -why and -explain: as JSON",
       [](Parsing& p, const std::string&) {
         p.line.json = true;
         return ok();
       }},
      {"reload", "", "make the running agent read its configuration again",
       [](Parsing& p, const std::string&) { return ask(p, Command::kReload); }},
      {"maintenance", "enable|disable",
       "take the running agent's services out of the catalog, or back in",
       [](Parsing& p, const std::string& v) {
         p.line.maintenance = v;
         return v.empty() ? ok() : ask(p, Command::kMaintenance);
       }},
      {"putenv", "NAME=VALUE", "set an environment variable in the running agent (repeatable)",
       [](Parsing& p, const std::string& v) -> Status {
         if (auto status = add_pair(p.environment, "putenv", v); !status) return status;
         return ask(p, Command::kPutEnv);
       }},
      {"putmetric", "NAME=VALUE", "record a value of a metric in the running agent (repeatable)",
       [](Parsing& p, const std::string& v) -> Status {
         if (auto status = add_pair(p.metrics, "putmetric", v); !status) return status;
         return ask(p, Command::kPutMetric);
       }},
      {"start", "JOB", "start that job now",
       [](Parsing& p, const std::string& v) { return ask_job(p, "start", v); }},
      {"stop", "JOB", "stop that job",
       [](Parsing& p, const std::string& v) { return ask_job(p, "stop", v); }},
      {"restart", "JOB", "restart that job",
       [](Parsing& p, const std::string& v) { return ask_job(p, "restart", v); }},
      {"signal", "JOB=SIGNAL", "send that job's process a signal",
       [](Parsing& p, const std::string& v) -> Status {
         const std::size_t equals = v.rfind('=');
         if (equals == v.npos) {
           return Error(Errc::kInvalid, "cannot read '" + v +
                                            "' for -signal: expected JOB=SIGNAL, like web=SIGHUP");
         }
         return ask_job(p, "signal/" + v.substr(equals + 1), v.substr(0, equals));
       }},
      {"catalog", "", "run only an embedded catalog, for other agents on this machine",
       [](Parsing& p, const std::string&) { return ask(p, Command::kCatalog); }},
      {"listen", "ADDRESS", "with -catalog: where; default 127.0.0.1:8500",
       [](Parsing& p, const std::string& v) {
         p.line.listen = v;
         return ok();
       }},
      {"export", "grafana|rules|keda|hpa",
       "print a dashboard, rules or autoscaler manifests made for the configuration",
       [](Parsing& p, const std::string& v) -> Status {
         const auto format = parse_export_format(v);
         if (!format) {
           return Error(Errc::kInvalid, "cannot read '" + v +
                                            "' for -export: expected grafana, rules, keda or hpa");
         }
         p.line.export_format = *format;
         return ask(p, Command::kExport);
       }},
      {"for", "KIND/NAME",
       "with -export keda, hpa: what to scale, like deployment/web; SERVICE=KIND/NAME when several "
       "services are scaled (repeatable)",
       [](Parsing& p, const std::string& v) -> Status {
         auto target = parse_scale_target(v);
         if (!target) return std::move(target).error();
         p.line.export_options.targets.push_back(std::move(target).value());
         return ok();
       }},
      {"namespace", "NAME", "with -export: the Kubernetes namespace",
       [](Parsing& p, const std::string& v) {
         p.line.export_options.kubernetes_namespace = v;
         return ok();
       }},
      {"prometheus", "URL", "with -export keda: where Prometheus is",
       [](Parsing& p, const std::string& v) {
         p.line.export_options.prometheus = v;
         return ok();
       }},
      {"help", "", "print this",
       [](Parsing& p, const std::string&) { return ask(p, Command::kHelp); }},
      {"h", "", "print this",
       [](Parsing& p, const std::string&) { return ask(p, Command::kHelp); }},
  };
  return all;
}

// Which of several commands runs: the order 3.8.0 had, then ours.
constexpr std::array kPriority = {Command::kHelp,      Command::kVersion,     Command::kTemplate,
                                  Command::kReload,    Command::kMaintenance, Command::kPutEnv,
                                  Command::kPutMetric, Command::kPing,        Command::kStatus,
                                  Command::kWhy,       Command::kEvents,      Command::kFollow,
                                  Command::kJob,       Command::kCheck,       Command::kExplain,
                                  Command::kExport,    Command::kCatalog};

Result<bool> boolean(std::string_view name, std::string_view value) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (value == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (value == no) return false;
  }
  return Error(Errc::kInvalid, "cannot read '" + std::string(value) + "' for -" +
                                   std::string(name) + ": expected true or false");
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  Parsing parsing;
  std::size_t i = 0;
  for (; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() < 2 || argument[0] != '-') break;
    if (argument == "--") {
      ++i;
      break;
    }
    std::string name = argument.substr(argument[1] == '-' ? 2 : 1);
    std::optional<std::string> value;
    if (const std::size_t equals = name.find('='); equals != name.npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    const Flag* flag = nullptr;
    for (const Flag& candidate : flags()) {
      if (candidate.name == name) flag = &candidate;
    }
    if (flag == nullptr)
      return Error(Errc::kInvalid, "cannot understand the flag '" + argument + "'");
    if (flag->argument.empty()) {
      if (value) {
        const auto on = boolean(name, *value);
        if (!on) return on.error();
        if (!on.value()) continue;
      }
    } else if (!value) {
      if (++i == arguments.size()) {
        std::string text = "cannot use -";
        text.append(name).append(" alone: expected -").append(name).append(" ");
        return Error(Errc::kInvalid, text.append(flag->argument));
      }
      value = arguments[i];
    }
    if (Status status = flag->apply(parsing, value.value_or("")); !status)
      return std::move(status).error();
    if (parsing.asked_for(Command::kHelp)) break;  // as Go's flag: what follows does not matter
  }
  parsing.line.positional.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i),
                                 arguments.end());
  for (const Command command : kPriority) {
    if (!parsing.asked_for(command)) continue;
    parsing.line.command = command;
    break;
  }
  parsing.line.pairs = parsing.line.command == Command::kPutMetric ? std::move(parsing.metrics)
                                                                   : std::move(parsing.environment);
  return std::move(parsing.line);
}

std::string usage() {
  std::string text =
      "Usage: containerpilot [flags] [--] [command [argument...]]\n"
      "Runs the jobs of a configuration, keeps them in the catalog and measures them.\n\n";
  for (const Flag& flag : flags()) {
    if (flag.name == "h") continue;
    std::string head = "  -" + std::string(flag.name);
    if (!flag.argument.empty()) head += " " + std::string(flag.argument);
    text += head + std::string(head.size() < 30 ? 30 - head.size() : 1, ' ') +
            std::string(flag.help) + "\n";
  }
  return text;
}

}  // namespace containerpilot::agent
