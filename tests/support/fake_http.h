#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/http.h"
#include "support/sim_reactor.h"

namespace containerpilot::test {

/// An HTTP client that talks to nobody: keeps a record of each call and lets the test answer it, by
/// hand (answer, fail, data) or by a handler. An unanswered call times out as a real one would.
class FakeHttpClient : public HttpClient {
 public:
  struct Call {
    HttpRequest request;
    std::string path;  ///< of the url, with the query: "/v1/health/service/web?index=4"
    TimePoint started_at;
    bool open = true;        ///< neither answered nor cancelled
    bool cancelled = false;  ///< its watch was dropped
  };
  /// nullopt: the call stays open for the test to answer.
  using Handler = std::function<std::optional<Result<HttpResponse>>(const Call&)>;

  explicit FakeHttpClient(SimReactor& loop) : loop_(loop) {}
  ~FakeHttpClient() override;
  Watch request(HttpRequest request, Callback done) override;

  // What happened.
  [[nodiscard]] const std::deque<Call>& calls() const { return calls_; }
  [[nodiscard]] std::size_t open_calls() const;
  /// The latest call to that method and path (up to '?'); the test fails and ends when there is
  /// none.
  Call& last(std::string_view method, std::string_view path);
  /// How many calls to that method and path (up to '?') were made.
  [[nodiscard]] int count(std::string_view method, std::string_view path) const;

  // What shall happen.
  void handle(Handler handler) { handler_ = std::move(handler); }
  /// Ends an open call, then settles the loop. Does nothing to one that is not open.
  void answer(Call& call, HttpResponse response);
  void answer(Call& call, int status, std::string body = "", Headers headers = {});
  void fail(Call& call, Error error);
  /// A piece of the body, for calls with on_data.
  void data(Call& call, std::string_view piece);

 private:
  struct Live;
  void end(Call& call, Result<HttpResponse> result);

  SimReactor& loop_;
  Handler handler_;
  std::deque<Call> calls_;
  std::map<const Call*, std::shared_ptr<Live>> live_;
};

/// Answers from what the test set; unknown names are kNotFound. Literal IPs answer with themselves.
class FakeResolver : public Resolver {
 public:
  explicit FakeResolver(SimReactor& loop) : loop_(loop) {}
  Watch resolve(const std::string& host, std::uint16_t port, Duration timeout,
                Callback done) override;
  Watch resolve_all(const std::string& host, std::uint16_t port, Duration timeout,
                    Callback done) override;
  Watch resolve_srv(const std::string& name, Duration timeout, Callback done) override;

  /// Ports are those of the call.
  void set(const std::string& host, std::vector<std::string> ips);
  void set_srv(const std::string& name, std::vector<Address> addresses);
  void fail(const std::string& name, Error error);
  /// One family answers with `ips`, the other fails.
  void set_half(const std::string& host, std::vector<std::string> ips, Error error);
  /// Never answers: the call ends at its timeout.
  void hang(const std::string& name);
  [[nodiscard]] int lookups(const std::string& name) const;

 private:
  using Answer = std::optional<Result<std::vector<Address>>>;
  Watch answer(const std::string& name, Answer answer, Duration timeout, Callback done);

  SimReactor& loop_;
  std::map<std::string, Answer> answers_;
  std::map<std::string, Error> half_failed_;
  std::map<std::string, int> lookups_;
};

}  // namespace containerpilot::test
