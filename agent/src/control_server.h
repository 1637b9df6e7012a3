#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/event_bus.h"
#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::agent {

/// What the control socket can ask of the agent. Errors become answers: kInvalid and kNotFound 422,
/// everything else 500; job operations: kNotFound 404, kUnavailable 409.
struct ControlActions {
  std::function<void(const std::vector<std::pair<std::string, std::string>>&)> put_environment;
  std::function<Status(const std::vector<std::pair<std::string, std::string>>&)> put_metrics;
  /// Says what changed, for people.
  std::function<Result<std::string>()> reload;
  std::function<void(bool on)> maintenance;
  std::function<std::string()> status;
  /// One event as JSON, on one line.
  std::function<std::string(const Event&)> event;
  /// "start", "stop", "restart", "signal".
  std::function<Status(const std::string& job, const std::string& action,
                       const std::string& signal)>
      job;
  /// Lines of that job's output from now on.
  std::function<Result<Watch>(const std::string& job, std::function<void(std::string_view)> line)>
      follow;
  std::function<void(const std::string& path, int code)> requested;
};

/// The control socket: generation 3's endpoints (spec v3, section 7) and ours beside them. Loop
/// thread only.
class ControlServer {
 public:
  static Result<std::unique_ptr<ControlServer>> listen(Reactor& reactor, const std::string& path,
                                                       EventBus& bus, ControlActions actions);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  ControlServer(Reactor& reactor, EventBus& bus, ControlActions actions)
      : reactor_(reactor), bus_(bus), actions_(std::move(actions)) {}
  struct Follower {
    std::unique_ptr<HttpResponder> responder;
    bool gone = false;
    bool events = false;
    Watch lines;  // of a job's output
  };

  void handle(const HttpServerRequest& request, std::unique_ptr<HttpResponder> responder);
  HttpServerResponse answer(const HttpServerRequest& request);
  HttpServerResponse job_action(const HttpServerRequest& request);
  void follow_events(std::unique_ptr<HttpResponder> responder);
  void follow_output(const std::string& job, std::unique_ptr<HttpResponder> responder);
  Follower* add_follower(std::unique_ptr<HttpResponder> responder, const char* type);

  Reactor& reactor_;
  EventBus& bus_;
  ControlActions actions_;
  std::unique_ptr<HttpServer> server_;
  std::list<Follower> followers_;
  Watch events_;
};

}  // namespace containerpilot::agent
