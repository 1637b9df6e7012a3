#include "control_server.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "status.h"

namespace containerpilot::agent {

namespace {

using Json = nlohmann::json;
constexpr std::size_t kMaxFollowers = 16;

HttpServerResponse plain(int status, std::string body) {
  return {.status = status,
          .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
          .body = std::move(body)};
}
// Bodies of the old endpoints are those of 3.8.0, which scripts compare. What else there is to say
// goes into this header.
constexpr const char* kReport = "Containerpilot-Report";

HttpServerResponse with_report(HttpServerResponse response, std::string report) {
  constexpr std::size_t kMost = 4000;  // clients bound the length of a header
  if (report.size() > kMost) report = report.substr(0, kMost) + "...";
  response.headers.emplace_back(kReport, std::move(report));
  return response;
}
HttpServerResponse done() { return plain(200, "\n"); }
HttpServerResponse unprocessable(const Error& error) {
  return with_report(plain(422, "Unprocessable Entity\n"), error.text());
}

HttpServerResponse failed(const Error& error, int otherwise) {
  const bool wrong_input = error.code() == Errc::kInvalid || error.code() == Errc::kNotFound;
  return plain(
      wrong_input ? 422 : otherwise,
      (wrong_input ? "Unprocessable Entity: " : "Internal Server Error: ") + error.text() + "\n");
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// The members of a JSON object as text. `strings_only`: other values are an error (null is "").
Result<Pairs> members(const std::string& body, bool strings_only) {
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_null()) return Pairs();
  if (!json.is_object()) {
    return Error(Errc::kInvalid,
                 "cannot read the body: expected a JSON object like {\"NAME\": \"value\"}");
  }
  Pairs result;
  for (const auto& [name, value] : json.items()) {
    if (value.is_string()) {
      result.emplace_back(name, value.get<std::string>());
    } else if (!strings_only) {
      result.emplace_back(name, value.dump());
    } else if (value.is_null()) {
      result.emplace_back(name, "");
    } else {
      return Error(Errc::kInvalid,
                   "cannot set '" + name + "': expected a string, found " + value.dump());
    }
  }
  return result;
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::listen(Reactor& reactor,
                                                             const std::string& path, EventBus& bus,
                                                             ControlActions actions) {
  std::unique_ptr<ControlServer> control(new ControlServer(reactor, bus, std::move(actions)));
  constexpr unsigned kOwnerOnly = 0600;
  // Scripts that speak to the socket themselves read until its end, which 3.8.0 was quick to give.
  HttpServerLimits limits;
  limits.keep_alive_unasked = false;
  auto server = listen_unix(
      reactor, path, kOwnerOnly,
      [raw = control.get()](const HttpServerRequest& request,
                            std::unique_ptr<HttpResponder> responder) {
        raw->handle(request, std::move(responder));
      },
      limits);
  if (!server) return std::move(server).error().during("cannot listen on the control socket");
  control->server_ = std::move(server).value();
  return control;
}

ControlServer::~ControlServer() = default;

void ControlServer::handle(const HttpServerRequest& request,
                           std::unique_ptr<HttpResponder> responder) {
  if (request.path == "/v3/events" && request.method == "GET") {
    follow_events(std::move(responder));
    return;
  }
  constexpr std::string_view kJobs = "/v3/jobs/", kOutput = "/output";
  if (request.method == "GET" && request.path.starts_with(kJobs) &&
      request.path.ends_with(kOutput) && request.path.size() > kJobs.size() + kOutput.size()) {
    const std::size_t length = request.path.size() - kJobs.size() - kOutput.size();
    follow_output(request.path.substr(kJobs.size(), length), std::move(responder));
    return;
  }
  HttpServerResponse response = answer(request);
  // 404 is not counted: paths come from outside, and each would be a series of its own.
  if (actions_.requested && response.status != 404) {
    actions_.requested(request.path.starts_with("/v3/jobs/") ? "/v3/jobs" : request.path,
                       response.status);
  }
  responder->send(std::move(response));
}

HttpServerResponse ControlServer::answer(const HttpServerRequest& request) {
  const std::string& path = request.path;
  if (path == "/v3/ping") return done();
  if (path == "/v3/status") {
    if (request.method != "GET") return plain(405, "Method Not Allowed\n");
    return {.status = 200,
            .headers = {{"Content-Type", "application/json"}},
            .body = actions_.status()};
  }
  if (path.starts_with("/v3/jobs/")) return job_action(request);
  constexpr std::array<std::string_view, 5> kPosts = {"/v3/environ", "/v3/metric", "/v3/reload",
                                                      "/v3/maintenance/enable",
                                                      "/v3/maintenance/disable"};
  if (std::find(kPosts.begin(), kPosts.end(), path) == kPosts.end())
    return plain(404, "404 page not found\n");
  if (request.method != "POST") return plain(405, "Method Not Allowed\n");
  if (path == "/v3/reload") {
    auto report = actions_.reload();
    return report ? with_report(done(), report.value()) : failed(report.error(), 500);
  }
  if (path == "/v3/maintenance/enable" || path == "/v3/maintenance/disable") {
    actions_.maintenance(path.ends_with("enable"));
    return done();
  }
  const bool environment = path == "/v3/environ";
  const auto pairs = members(request.body, environment);
  if (!pairs) return unprocessable(pairs.error());
  if (environment) {
    actions_.put_environment(pairs.value());
    return done();
  }
  const Status status = actions_.put_metrics(pairs.value());
  return status ? done() : unprocessable(status.error());
}

HttpServerResponse ControlServer::job_action(const HttpServerRequest& request) {
  if (request.method != "POST") return plain(405, "Method Not Allowed\n");
  // /v3/jobs/NAME/ACTION, /v3/jobs/NAME/signal/SIGHUP; names may hold slashes, so read from the
  // end.
  std::string rest = request.path.substr(std::string_view("/v3/jobs/").size());
  const auto cut = [&rest] {
    const std::size_t slash = rest.rfind('/');
    if (slash == rest.npos) return std::string();
    std::string last = rest.substr(slash + 1);
    rest.resize(slash);
    return last;
  };
  std::string action = cut();
  std::string signal;
  if (action != "start" && action != "stop" && action != "restart") {
    signal = std::move(action);
    action = cut();
    if (action != "signal") return plain(404, "404 page not found\n");
  }
  const Status status = actions_.job(rest, action, signal);
  if (status) return done();
  switch (status.error().code()) {
    case Errc::kNotFound:
      return plain(404, status.error().text() + "\n");
    case Errc::kUnavailable:
      return plain(409, status.error().text() + "\n");
    default:
      return failed(status.error(), 500);
  }
}

ControlServer::Follower* ControlServer::add_follower(std::unique_ptr<HttpResponder> responder,
                                                     const char* type) {
  followers_.remove_if([](const Follower& follower) { return follower.gone; });
  if (followers_.size() >= kMaxFollowers) {
    responder->send(plain(503, "Service Unavailable: too many followers\n"));
    return nullptr;
  }
  responder->start_stream({.status = 200, .headers = {{"Content-Type", type}}, .body = ""});
  Follower& follower = followers_.emplace_back();
  follower.responder = std::move(responder);
  follower.responder->on_disconnect([&follower] { follower.gone = true; });
  return &follower;
}

void ControlServer::follow_events(std::unique_ptr<HttpResponder> responder) {
  Follower* const follower = add_follower(std::move(responder), "application/x-ndjson");
  if (follower == nullptr) return;
  follower->events = true;
  for (const Event& event : bus_.history())
    follower->responder->write(actions_.event(event) + "\n");
  if (events_.active()) return;
  events_ = bus_.subscribe([this](const Event& event) {
    const std::string line = actions_.event(event) + "\n";
    followers_.remove_if([](const Follower& f) { return f.gone; });
    for (Follower& f : followers_) {
      if (f.events && !f.responder->write(line)) f.gone = true;
    }
  });
}

void ControlServer::follow_output(const std::string& job,
                                  std::unique_ptr<HttpResponder> responder) {
  // Nothing can be printed before this turn of the loop is over, so the job is asked for first.
  auto target = std::make_shared<Follower*>(nullptr);
  auto lines = actions_.follow(job, [target](std::string_view line) {
    Follower* const follower = *target;
    if (follower == nullptr || follower->gone) return;
    if (!follower->responder->write(std::string(line) + "\n")) follower->gone = true;
  });
  if (!lines) {
    responder->send(plain(404, lines.error().text() + "\n"));
    return;
  }
  Follower* const follower = add_follower(std::move(responder), "text/plain; charset=utf-8");
  if (follower == nullptr) return;
  *target = follower;
  follower->lines = std::move(lines).value();
}

}  // namespace containerpilot::agent
