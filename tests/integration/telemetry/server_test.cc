#include "containerpilot/telemetry/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <deque>
#include <fstream>
#include <vector>

#include "integration/telemetry/raw_client.h"

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class Server : public testing::Test {
 protected:
  Server() {
    MetricSpec metric;
    metric.name = "queue_depth";
    metric.help = "Items waiting.";
    EXPECT_TRUE(registry_.declare(metric));
    EXPECT_TRUE(registry_.record("queue_depth", {}, 42));
    documents_.publish("/status", {.body = "{}\n"});
    documents_.publish("/healthz", {.content_type = "text/plain", .body = "ok\n"});
  }

  void start(ServerSpec spec = {}) {
    if (spec.listen.empty()) spec.listen = "127.0.0.1";
    spec.port = 0;
    auto server = MetricsServer::start(
        spec, registry_, documents_,
        [this](bool scrape) {
          if (scrape) ++scrapes_;
          if (!scrape && refresh_) refresh_();
        },
        &events_);
    ASSERT_TRUE(server) << server.error().text();
    server_ = std::move(server).value();
    port_ = server_->port();
    ASSERT_NE(port_, 0);
  }

  std::chrono::milliseconds stop() {
    const auto start = std::chrono::steady_clock::now();
    server_.reset();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 start);
  }

  Registry registry_;
  Documents documents_;
  EventFeed events_;
  std::atomic<int> scrapes_{0};
  std::function<void()> refresh_;  // set before the server starts
  std::unique_ptr<MetricsServer> server_;
  std::uint16_t port_ = 0;
};

long resident_kilobytes() {
  long total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * (::sysconf(_SC_PAGESIZE) / 1024);
}

std::string gunzip(const std::string& packed) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
  std::string out(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST_F(Server, AnswersAScrape) {
  start();
  const RawAnswer answer = get(port_, "/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.has("Content-Type: text/plain; version=0.0.4")) << answer.head;
  EXPECT_TRUE(answer.has("Content-Length: " + std::to_string(answer.body.size()))) << answer.head;
  EXPECT_THAT(
      answer.body,
      HasSubstr("# HELP queue_depth Items waiting.\n# TYPE queue_depth gauge\nqueue_depth 42\n"));
  EXPECT_EQ(scrapes_, 1);
  const RawAnswer second = get(port_, "/metrics");
  EXPECT_THAT(second.body, HasSubstr("containerpilot_scrapes_total{format=\"text\"} 1\n"));
  EXPECT_THAT(
      second.body,
      HasSubstr("http_requests_total{code=\"200\",handler=\"prometheus\",method=\"get\"} 1\n"));
}

TEST_F(Server, SpeaksOpenMetricsAndGzipWhenAsked) {
  start();
  const RawAnswer answer =
      get(port_, "/metrics",
          "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n"
          "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(
      answer.has("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
  ASSERT_TRUE(answer.has("Content-Encoding: gzip"));
  const std::string text = gunzip(answer.body);
  EXPECT_THAT(text, HasSubstr("queue_depth 42\n"));
  EXPECT_THAT(text, testing::EndsWith("# EOF\n"));
}

TEST_F(Server, ServesDocumentsByTheirExactPath) {
  start();
  documents_.publish("/readyz",
                     {.status = 503, .content_type = "text/plain", .body = "not ready\n"});
  documents_.publish("/readyz?verbose",
                     {.status = 503, .content_type = "text/plain", .body = "web: starting\n"});
  EXPECT_EQ(get(port_, "/status").body, "{}\n");
  EXPECT_TRUE(get(port_, "/status").has("Content-Type: application/json"));
  EXPECT_EQ(get(port_, "/status?x=1").body, "{}\n");
  EXPECT_EQ(get(port_, "/readyz").status, 503);
  EXPECT_EQ(get(port_, "/readyz?verbose").body, "web: starting\n");
  for (const char* path : {"/", "/nothing", "/status/", "//status", "/metrics/../status",
                           "/%73tatus", "/status%00", "/../../etc/passwd", "/metrics/"}) {
    const RawAnswer answer = get(port_, path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_EQ(answer.body, "404 page not found\n") << path;
  }
  documents_.withdraw("/status");
  EXPECT_EQ(get(port_, "/status").status, 404);
}

TEST_F(Server, HasADocumentMadeForWhoeverLooks) {
  int made = 0;
  documents_.publish("/status", {.body = "0"});
  documents_.publish("/healthz", {.body = "fine"});
  refresh_ = [&] { documents_.publish("/status", {.body = std::to_string(++made)}); };
  start();
  EXPECT_EQ(get(port_, "/status").body, "1");
  EXPECT_EQ(get(port_, "/healthz").body, "fine");  // never waits for the loop
  EXPECT_EQ(get(port_, "/nothing").status, 404);
  EXPECT_EQ(get(port_, "/status").body, "2");
}

TEST_F(Server, SaysSoWhenTheLoopNoLongerPublishes) {
  start();
  documents_.publish("/healthz", {.content_type = "text/plain", .body = "ok\n", .valid_for = 1h});
  EXPECT_EQ(get(port_, "/healthz").status, 200);
  documents_.publish("/healthz", {.content_type = "text/plain", .body = "ok\n", .valid_for = 1ns});
  EXPECT_EQ(get(port_, "/healthz").status, 503);
}

TEST_F(Server, RefusesOtherMethodsAndBodies) {
  start();
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    for (const char* path : {"/metrics", "/status", "/events"}) {
      const RawAnswer answer =
          ask(port_, std::string(method) + " " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
      EXPECT_EQ(answer.status, 405) << method << path;
      EXPECT_TRUE(answer.has("Allow: GET, HEAD"));
    }
  }
  EXPECT_EQ(ask(port_, "FOO /metrics HTTP/1.1\r\nHost: x\r\n\r\n").status, 400);
  EXPECT_EQ(ask(port_, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").status,
            413);
  EXPECT_EQ(
      ask(port_, "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
          .status,
      413);
  EXPECT_EQ(get(port_, "/metrics", "Content-Length: 0\r\n").status, 200);
  const RawAnswer head = ask(port_, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
}

TEST_F(Server, RefusesRequestsThatTwoReadersCouldTakeApartDifferently) {
  start();
  const std::string line = "GET /metrics HTTP/1.1\r\n";
  for (const char* headers : {"", "Host: a\r\nHost: b\r\n",
                              "Host: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
                              "Host: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n"}) {
    EXPECT_EQ(ask(port_, line + headers + "\r\n").status, 400) << headers;
  }
  EXPECT_EQ(ask(port_, "GET /metrics HTTP/1.0\r\n\r\n").status, 200);
  EXPECT_EQ(ask(port_, "GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n").status, 505);
  EXPECT_EQ(get(port_, "/metrics", "X: " + std::string(20000, 'x') + "\r\n").status, 400);
  EXPECT_EQ(ask(port_, "\r\n\r\nrubbish\r\n\r\n").status, 400);
}

TEST_F(Server, AnswersOneRequestPerConnection) {
  start();
  RawClient client(port_);
  client.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string text = client.read(10s);
  EXPECT_EQ(text.find("HTTP/1.1", 1), std::string::npos) << text;
  EXPECT_THAT(text, HasSubstr("Connection: close"));
}

TEST_F(Server, AsksForTheBearerTokenButNotProbes) {
  start({.bearer_token = "s3cret"});
  EXPECT_EQ(get(port_, "/metrics").status, 401);
  EXPECT_TRUE(get(port_, "/metrics").has("WWW-Authenticate: Bearer"));
  EXPECT_EQ(get(port_, "/metrics", "Authorization: Bearer wrong!\r\n").status, 401);
  EXPECT_EQ(get(port_, "/metrics", "Authorization: Bearer s3cretx\r\n").status, 401);
  EXPECT_EQ(get(port_, "/nothing").status, 401);
  EXPECT_EQ(get(port_, "/metrics", "Authorization: Bearer s3cret\r\n").status, 200);
  EXPECT_EQ(get(port_, "/status", "Authorization: bearer s3cret\r\n").status, 200);
  EXPECT_EQ(get(port_, "/healthz").status, 200);
  documents_.publish("/", {.body = "page", .open = true, .headers = "X-Test: 1\r\n"});
  EXPECT_EQ(get(port_, "/").status, 200);
  EXPECT_TRUE(get(port_, "/").has("X-Test: 1"));
}

TEST_F(Server, ListensOnIPv6) {
  start({.listen = "::1"});
  RawClient client(port_, true);
  client.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.answer().status, 200);
}

TEST_F(Server, ListensOnBothFamiliesForTheUnspecifiedAddress) {
  start({.listen = "::"});
  RawClient six(port_, true);
  six.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(six.answer().status, 200);
  EXPECT_EQ(get(port_, "/status").status, 200);
}

TEST_F(Server, SaysWhichAddressIsTaken) {
  start();
  ServerSpec spec{.listen = "127.0.0.1", .port = port_};
  const auto second = MetricsServer::start(spec, registry_, documents_, nullptr);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::kIo);
  EXPECT_THAT(second.error().text(),
              StartsWith("cannot serve metrics on '127.0.0.1:" + std::to_string(port_) + "'"));
  EXPECT_THAT(second.error().text(), HasSubstr("in use"));
  spec.listen = "localhost";
  EXPECT_EQ(MetricsServer::start(spec, registry_, documents_, nullptr).error().code(),
            Errc::kInvalid);
}

TEST_F(Server, StreamsEvents) {
  start();
  events_.publish("job", "before");
  RawClient client(port_);
  client.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.read(10s, "retry: 2000\n\n");
  EXPECT_THAT(head, HasSubstr("Content-Type: text/event-stream"));
  events_.publish("job", "{\"name\":\"web\"}\ninjected: x");
  EXPECT_EQ(client.read(10s, "\n\n"),
            "id: 2\nevent: job\ndata: {\"name\":\"web\"} injected: x\n\n");

  RawClient again(port_);
  again.send("GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n");
  EXPECT_THAT(again.read(10s, "injected: x\n\n"), HasSubstr("id: 2\n"));
}

TEST_F(Server, TellsASlowListenerHowMuchItMissed) {
  start();
  for (std::size_t i = 0; i < EventFeed::kRemembered + 5; ++i)
    events_.publish("n", std::to_string(i));
  RawClient client(port_);
  client.send("GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 2\r\n\r\n");
  const std::string last = "data: " + std::to_string(EventFeed::kRemembered + 4) + "\n\n";
  EXPECT_THAT(client.read(10s, last), HasSubstr("event: lost\ndata: 3\n\nid: 6\n"));
}

TEST_F(Server, HasRoomForFourListenersOnly) {
  start();
  std::deque<RawClient> listeners;
  for (int i = 0; i < MetricsServer::kMaxListeners; ++i) {
    listeners.emplace_back(port_).send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    listeners.back().read(10s, "retry: 2000\n\n");
  }
  const RawAnswer refused = get(port_, "/events");
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.has("Retry-After: "));
  EXPECT_EQ(get(port_, "/metrics").status, 200);
  EXPECT_LT(stop(), 1s);
}

TEST_F(Server, StopsAtOnceWithAHalfSentRequest) {
  start();
  RawClient half(port_);
  half.send("GET /metrics HTTP/1.1\r\nHo");
  RawClient silent(port_);
  get(port_, "/status");  // by now the two before it have a worker
  EXPECT_LT(stop(), 1s);
}

TEST_F(Server, StopsAtOnceWithAClientThatDoesNotRead) {
  MetricSpec metric;
  metric.name = "big";
  ASSERT_TRUE(registry_.declare(metric));
  for (int i = 0; i < 200000; ++i)
    ASSERT_TRUE(registry_.record("big", {{"i", std::to_string(i)}}, i));
  start();
  RawClient lazy(port_);
  lazy.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  lazy.read(30s, "200 OK");
  EXPECT_LT(stop(), 1s);
}

TEST_F(Server, AnswersScrapesWhileAHundredClientsDawdle) {
  start();
  std::deque<RawClient> slow;
  for (int i = 0; i < 100; ++i) slow.emplace_back(port_).send("GET /metrics HTTP/1.1\r\nX-");
  const auto before = std::chrono::steady_clock::now();
  RawClient client(port_);
  client.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.answer(20s).status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
}

TEST_F(Server, RecoversFromTenThousandConnections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  start();
  const long before = resident_kilobytes();
  {
    std::vector<UniqueFd> crowd;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    for (int i = 0; i < 10000; ++i) {
      UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (!fd.valid()) break;  // as many as this machine allows
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
      crowd.push_back(std::move(fd));
    }
    EXPECT_GT(crowd.size(), 900U);
    EXPECT_LT(resident_kilobytes() - before, 20000);
  }
  const auto left = std::chrono::steady_clock::now();
  EXPECT_EQ(get(port_, "/metrics").status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - left, 2s);
}

TEST_F(Server, CutsOffAnEndlessBody) {
  start();
  RawClient client(port_);
  client.send("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n");
  const std::string piece(1 << 20, 'x');
  int sent = 0;
  while (sent < 1024 && client.send(piece)) ++sent;
  EXPECT_LT(sent, 32) << "MB were taken";  // what fits in the buffers of both sockets
}

}  // namespace
}  // namespace containerpilot::telemetry
