#include "control_client.h"

#include <signal.h>
#include <strings.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/reactor.h"
#include "status_text.h"

namespace containerpilot::agent {

namespace {

using Command = CommandLine::Command;
using Json = nlohmann::json;

struct Call {
  std::string method, path, body;
};

std::string object_of(const std::vector<std::pair<std::string, std::string>>& pairs) {
  Json object = Json::object();
  for (const auto& [name, value] : pairs) object[name] = value;  // the last of duplicates wins
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Call call_for(const CommandLine& line) {
  switch (line.command) {
    case Command::kReload:
      return {"POST", "/v3/reload", ""};
    case Command::kMaintenance:
      return {"POST",
              line.maintenance == "enable" ? "/v3/maintenance/enable" : "/v3/maintenance/disable",
              ""};
    case Command::kPutEnv:
      return {"POST", "/v3/environ", object_of(line.pairs)};
    case Command::kPutMetric:
      return {"POST", "/v3/metric", object_of(line.pairs)};
    case Command::kStatus:
    case Command::kWhy:
      return {"GET", "/v3/status", ""};
    case Command::kEvents:
      return {"GET", "/v3/events", ""};
    case Command::kFollow:
      return {"GET", "/v3/jobs/" + line.job + "/output", ""};
    case Command::kJob:
      return {"POST", "/v3/jobs/" + line.job + "/" + line.job_action, ""};
    default:
      return {"GET", "/v3/ping", ""};
  }
}

std::string flag_of(const CommandLine& line) {
  switch (line.command) {
    case Command::kReload:
      return "-reload";
    case Command::kMaintenance:
      return "-maintenance";
    case Command::kPutEnv:
      return "-putenv";
    case Command::kPutMetric:
      return "-putmetric";
    case Command::kStatus:
      return "-status";
    case Command::kWhy:
      return "-why";
    case Command::kEvents:
      return "-events";
    case Command::kFollow:
      return "-follow";
    case Command::kJob:
      return "-" + line.job_action.substr(0, line.job_action.find('/'));
    default:
      return "-ping";
  }
}

std::string socket_path(const CommandLine& line, const LoadOptions& options,
                        const std::string& flag) {
  if (!line.socket.empty()) return line.socket;
  if (const auto it = options.environment.find("CONTAINERPILOT_SOCKET");
      it != options.environment.end() && !it->second.empty()) {
    return it->second;
  }
  ControlSocket socket = find_control_socket(config_sources(line.configs), options);
  if (!socket.problem.empty()) {
    std::fprintf(stderr, "%s: %s; trying %s\n", flag.c_str(), socket.problem.c_str(),
                 socket.path.c_str());
  }
  return socket.path;
}

std::string url_escape(const std::string& path) {
  std::string result;
  for (const char c : path) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
        std::string_view("/-._~").find(c) != std::string_view::npos) {
      result += c;
    } else {
      char escaped[4];
      std::snprintf(escaped, sizeof escaped, "%%%02X",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      result += escaped;
    }
  }
  return result;
}

Result<HttpResponse> perform(const Call& call, const std::string& socket, bool stream) {
  auto reactor = EpollReactor::create();
  if (!reactor) return std::move(reactor).error();
  auto resolver = make_resolver(*reactor.value());
  if (!resolver) return std::move(resolver).error();
  auto client = make_http_client(*reactor.value(), *resolver.value(), 1);
  if (!client) return std::move(client).error();
  HttpRequest request;
  request.method = call.method;
  request.url = "http://control" + url_escape(call.path);
  request.unix_socket = socket;
  request.body = call.body;
  request.timeout = std::chrono::seconds(10);
  if (!call.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  if (stream) {
    request.timeout = std::chrono::hours(24 * 365);
    request.on_data = [](std::string_view data) {
      // False ends it: nobody reads any more (… | head).
      return std::fwrite(data.data(), 1, data.size(), stdout) == data.size() &&
             std::fflush(stdout) == 0;
    };
  }
  Result<HttpResponse> result = Error(Errc::kInternal, "cannot call: no answer was delivered");
  const Watch watch =
      client.value()->request(std::move(request), [&](Result<HttpResponse> response) {
        result = std::move(response);
        reactor.value()->stop();
      });
  reactor.value()->run();
  return result;
}

/// What an agent says beside the body, which is that of 3.8.0.
std::string report_of(const HttpResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (::strcasecmp(name.c_str(), "Containerpilot-Report") == 0) return value;
  }
  return "";
}

int print_answer(const CommandLine& line, const std::string& flag, const HttpResponse& response) {
  switch (line.command) {
    case Command::kPing:
      std::puts("ok");
      return 0;
    case Command::kStatus: {
      if (line.json) {
        std::fputs(response.body.c_str(), stdout);
      } else {
        std::fputs(status_screen(response.body).c_str(), stdout);
      }
      return status_all_healthy(response.body) ? 0 : 1;
    }
    case Command::kWhy: {
      const auto text = why_text(response.body, line.job, line.json);
      if (!text) {
        std::fprintf(stderr, "%s: %s\n", flag.c_str(), text.error().text().c_str());
        return 1;
      }
      std::fputs(text.value().c_str(), stdout);
      return 0;
    }
    case Command::kReload:
      // Not to stdout, which was empty in 3.8.0.
      if (const std::string report = report_of(response); !report.empty()) {
        std::fprintf(stderr, "%s: %s\n", flag.c_str(), report.c_str());
      }
      return 0;
    default:
      return 0;
  }
}

}  // namespace

int run_client(const CommandLine& line, const LoadOptions& options) {
  // main() blocked what an agent handles; who follows something ends it with Ctrl-C.
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signo : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&ends, signo);
  ::pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
  const std::string flag = flag_of(line);
  const std::string socket = socket_path(line, options, flag);
  const bool stream = line.command == Command::kEvents || line.command == Command::kFollow;
  const Result<HttpResponse> response = perform(call_for(line), socket, stream);
  if (!response) {
    std::fprintf(stderr, "%s: no agent answers at %s: %s\n", flag.c_str(), socket.c_str(),
                 response.error().text().c_str());
    return line.command == Command::kStatus ? 2 : 1;
  }
  if (response.value().status != 200) {
    const std::string report = report_of(response.value());
    std::fprintf(stderr, "%s: the agent refused (HTTP %d): %s\n", flag.c_str(),
                 response.value().status,
                 report.empty() ? response.value().body.c_str() : report.c_str());
    return line.command == Command::kStatus ? 2 : 1;
  }
  return print_answer(line, flag, response.value());
}

}  // namespace containerpilot::agent
