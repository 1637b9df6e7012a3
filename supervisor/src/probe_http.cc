#include <algorithm>

#include "probe_task.h"

namespace containerpilot {

namespace {

class HttpProbeTask : public ProbeTask {
 public:
  HttpProbeTask(Reactor& reactor, const HttpProbe& probe, const ProbeRun& run, ProbeDone done)
      : ProbeTask(reactor, std::move(done)),
        status_(probe.status),
        match_(probe.match),
        timeout_(run.timeout),
        max_output_(run.max_output) {}

  void start(HttpClient& http, const HttpProbe& probe) {
    HttpRequest request{.url = probe.url,
                        .headers = probe.headers,
                        .timeout = timeout_,
                        .connect_timeout = timeout_,
                        .on_data = [this](std::string_view data) {
                          const std::size_t room = max_output_ - body_.size();
                          body_.append(data.substr(0, room));
                          truncated_ = truncated_ || data.size() > room;
                          return true;
                        }};
    call_ = http.request(std::move(request),
                         [this](const Result<HttpResponse>& answer) { answered(answer); });
  }

 private:
  void answered(const Result<HttpResponse>& answer) {
    ProbeResult result;
    result.output = std::move(body_);
    if (!answer) {
      const bool late = answer.error().code() == Errc::kTimeout;
      result.kind = late ? ProbeResult::Kind::kTimeout : ProbeResult::Kind::kFailed;
      result.reason = answer.error().text();
    } else if (!accepts(answer.value().status)) {
      result.kind = ProbeResult::Kind::kFailed;
      result.reason = "HTTP " + std::to_string(answer.value().status);
    } else if (result.output.find(match_) == std::string::npos) {
      result.kind = ProbeResult::Kind::kFailed;
      result.reason = "no '" + match_ + "' in the body";
    } else if (truncated_) {
      result.reason =
          "body after the first " + std::to_string(max_output_) + " bytes was thrown away";
    }
    finish(std::move(result));
  }

  [[nodiscard]] bool accepts(int status) const {
    return std::any_of(status_.begin(), status_.end(), [status](const std::pair<int, int>& range) {
      return range.first <= status && status <= range.second;
    });
  }

  const std::vector<std::pair<int, int>> status_;
  const std::string match_;
  const Duration timeout_;
  const std::size_t max_output_;
  std::string body_;
  bool truncated_ = false;
  Watch call_;
};

}  // namespace

Watch run_http_probe(Reactor& reactor, HttpClient& http, const HttpProbe& probe,
                     const ProbeRun& run, ProbeDone done) {
  auto task = std::make_shared<HttpProbeTask>(reactor, probe, run, std::move(done));
  task->start(http, probe);
  return watch_of(std::move(task));
}

}  // namespace containerpilot
