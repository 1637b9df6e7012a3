#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "containerpilot/supervisor/http.h"
#include "support/fake_dns.h"
#include "support/fd_leak.h"
#include "support/raw_server.h"
#include "support/real_loop.h"
#include "support/temp_dir.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using test::RawServer;
using testing::HasSubstr;
using testing::StartsWith;
using Then = test::RawServer::Then;
using Answer = std::optional<Result<HttpResponse>>;

class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() { make_client(4); }
  void make_client(std::size_t max_connections) {
    resolver = std::move(make_resolver(loop.reactor(), {.servers = {dns.address()}})).value();
    client = std::move(make_http_client(loop.reactor(), *resolver, max_connections)).value();
  }
  void serve() {
    auto made =
        listen_tcp(loop.reactor(), "127.0.0.1:0",
                   [this](HttpServerRequest request, std::unique_ptr<HttpResponder> responder) {
                     handle(std::move(request), std::move(responder));
                   });
    server = std::move(made).value();
  }
  void handle(HttpServerRequest request, std::unique_ptr<HttpResponder> responder) {
    last = request;
    if (request.path == "/wait") {
      waiting.push_back(std::move(responder));
    } else if (request.path == "/redirect") {
      responder->send({.status = 301, .headers = {{"Location", "/elsewhere"}}, .body = ""});
    } else if (request.path == "/big") {
      responder->send({.status = 200, .headers = {}, .body = big()});
    } else if (request.path == "/chunks") {  // as long, without saying so
      responder->start_stream({.status = 200, .headers = {}, .body = big()});
    } else {
      responder->send({.status = request.path == "/404" ? 404 : 200,
                       .headers = {{"X-Index", " 12 "}},
                       .body = request.method + " " + request.target + " " + request.body});
    }
  }

  static std::string big() {
    std::string text;
    for (int i = 0; text.size() < 1'000'000; ++i) text += std::to_string(i) + ",";
    return text.substr(0, 1'000'000);
  }
  [[nodiscard]] std::string url(const std::string& path) const {
    return "http://" + server->address() + path;
  }
  Result<HttpResponse> call(HttpRequest request) {
    Answer answer;
    const Watch watch = client->request(std::move(request), [&](Result<HttpResponse> got) {
      EXPECT_FALSE(answer) << "called twice";
      answer = std::move(got);
    });
    EXPECT_FALSE(answer) << "never from inside the call";
    EXPECT_TRUE(loop.run_until([&] { return answer.has_value(); }));
    return std::move(*answer);
  }
  Result<HttpResponse> get(const std::string& where) { return call({.url = where}); }

  test::FdLeakCheck no_fd_left;
  test::RealLoop loop;
  test::FakeDns dns{loop.reactor()};
  std::unique_ptr<HttpServer> server;
  std::vector<std::unique_ptr<HttpResponder>> waiting;
  HttpServerRequest last;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<HttpClient> client;
};

TEST_F(HttpClientTest, SendsWhatItIsToldAndReturnsWhatItGets) {
  serve();
  const auto answer = call({.method = "PUT",
                            .url = url("/v1/kv/a%20b?dc=x"),
                            .headers = {{"X-Consul-Token", "secret"}, {"Content-Type", "a/b"}},
                            .body = "{\"a\": 1}"});
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer.value().status, 200);
  EXPECT_EQ(answer.value().body, "PUT /v1/kv/a%20b?dc=x {\"a\": 1}");
  ASSERT_NE(find_header(answer.value().headers, "x-index"), nullptr);
  EXPECT_EQ(*find_header(answer.value().headers, "x-index"), "12");
  EXPECT_EQ(*find_header(last.headers, "x-consul-token"), "secret");
  EXPECT_EQ(*find_header(last.headers, "content-type"), "a/b");
  EXPECT_EQ(*find_header(last.headers, "host"), server->address());
  EXPECT_EQ(find_header(last.headers, "expect"), nullptr);
}

TEST_F(HttpClientTest, SpeaksEveryMethod) {
  serve();
  for (const char* method : {"GET", "PUT", "POST", "DELETE", "PATCH"}) {
    const auto answer = call({.method = method, .url = url("/x")});
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer.value().body, std::string(method) + " /x ");
    EXPECT_EQ(find_header(last.headers, "content-type"), nullptr);
  }
  EXPECT_EQ(call({.method = "DELETE", .url = url("/x"), .body = "b"}).value().body, "DELETE /x b");
  const auto head = call({.method = "HEAD", .url = url("/x")});
  ASSERT_TRUE(head) << head.error().text();
  EXPECT_EQ(head.value().body, "");
}

TEST_F(HttpClientTest, AnyStatusIsAnAnswer) {
  serve();
  EXPECT_EQ(get(url("/404")).value().status, 404);
  const auto redirect = get(url("/redirect"));
  EXPECT_EQ(redirect.value().status, 301);
  EXPECT_EQ(*find_header(redirect.value().headers, "location"), "/elsewhere");
}

TEST_F(HttpClientTest, ReusesConnections) {
  make_client(1);
  serve();
  ASSERT_TRUE(get(url("/x")));
  const std::size_t fds = test::open_fds().size();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(get(url("/x"))) << i;
  EXPECT_EQ(test::open_fds().size(), fds);
}

TEST_F(HttpClientTest, ARestartedServerIsNoError) {
  serve();
  ASSERT_TRUE(get(url("/x")));
  const std::string address = server->address();
  server.reset();
  auto again = listen_tcp(loop.reactor(), address,
                          [](HttpServerRequest, std::unique_ptr<HttpResponder> responder) {
                            responder->send({.status = 200, .headers = {}, .body = "new"});
                          });
  ASSERT_TRUE(again) << again.error().text();
  const auto answer = call({.method = "PUT", .url = "http://" + address + "/x", .body = "y"});
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer.value().body, "new");
}

TEST_F(HttpClientTest, QueuesBeyondItsPoolAndBoundsTheWaiting) {
  make_client(2);
  serve();
  std::vector<Watch> watches;
  int ended = 0;
  for (int i = 0; i < 3; ++i) {
    watches.push_back(client->request({.url = url("/wait")}, [&](const Result<HttpResponse>& got) {
      EXPECT_TRUE(got);
      ++ended;
    }));
  }
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 2; }));
  const auto late = call({.url = url("/x"), .timeout = 100ms});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Errc::kTimeout);
  EXPECT_THAT(late.error().text(), HasSubstr("no connection of the pool free within 100ms"));
  EXPECT_EQ(waiting.size(), 2u);
  waiting[0]->send({});
  ASSERT_TRUE(loop.run_until([&] { return ended == 1 && waiting.size() == 3; }));
  watches[2] = Watch();  // the one that is cancelled makes room, too
  ASSERT_TRUE(get(url("/x")));
}

TEST_F(HttpClientTest, CancellingEndsTheCallAtTheServerToo) {
  serve();
  bool called = false;
  Watch watch =
      client->request({.url = url("/wait")}, [&](const Result<HttpResponse>&) { called = true; });
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 1; }));
  bool left = false;
  waiting[0]->on_disconnect([&] { left = true; });
  watch = Watch();
  EXPECT_TRUE(loop.run_until([&] { return left; }));
  EXPECT_FALSE(called);
}

TEST_F(HttpClientTest, StreamsPieceByPieceUntilItIsToldToStop) {
  serve();
  std::vector<std::string> pieces;
  Answer answer;
  const Watch watch = client->request({.url = url("/wait"),
                                       .max_body = 3,
                                       .on_data =
                                           [&](std::string_view piece) {
                                             pieces.emplace_back(piece);
                                             return pieces.size() < 3;
                                           }},
                                      [&](Result<HttpResponse> got) { answer = std::move(got); });
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 1; }));
  waiting[0]->start_stream({});
  for (const char* piece : {"first", "second", "third"}) {
    waiting[0]->write(piece);
    const std::size_t before = pieces.size();
    ASSERT_TRUE(loop.run_until([&] { return pieces.size() > before; })) << piece;
  }
  ASSERT_TRUE(loop.run_until([&] { return answer.has_value(); }));
  EXPECT_EQ(pieces, (std::vector<std::string>{"first", "second", "third"}));
  ASSERT_FALSE(*answer);
  EXPECT_EQ(answer->error().code(), Errc::kUnavailable);
}

TEST_F(HttpClientTest, AStreamThatEndsIsAnAnswerWithoutBody) {
  serve();
  std::string all;
  Answer answer;
  const Watch watch = client->request({.url = url("/big"),
                                       .on_data =
                                           [&](std::string_view piece) {
                                             all += piece;
                                             return true;
                                           }},
                                      [&](Result<HttpResponse> got) { answer = std::move(got); });
  ASSERT_TRUE(loop.run_until([&] { return answer.has_value(); }));
  ASSERT_TRUE(*answer);
  EXPECT_EQ(answer->value().body, "");
  EXPECT_EQ(all.size(), 1'000'000u);
}

TEST_F(HttpClientTest, ACallbackMayDoAnything) {
  serve();
  Watch second, third, again;
  bool done = false;
  bool cancelled_called = false;
  const Watch first = client->request({.url = url("/wait")}, [&](const Result<HttpResponse>&) {
    second = Watch();
    again = client->request({.url = url("/x")}, [&](const Result<HttpResponse>&) {
      client.reset();
      done = true;
    });
  });
  second = client->request({.url = url("/wait")},
                           [&](const Result<HttpResponse>&) { cancelled_called = true; });
  third = client->request({.url = url("/wait")},
                          [&](const Result<HttpResponse>&) { cancelled_called = true; });
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 3; }));
  for (auto& responder : waiting) responder->send({});
  waiting.clear();
  // The third may be told before the first destroys the client; the second never.
  ASSERT_TRUE(loop.run_until([&] { return done; }));
  third = Watch();
  loop.run_for(10ms);
}

TEST_F(HttpClientTest, IgnoresProxiesOfTheEnvironment) {
  serve();
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  const auto answer = get(url("/x"));
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  EXPECT_TRUE(answer) << answer.error().text();
}

TEST_F(HttpClientTest, TalksToUnixSockets) {
  const test::TempDir dir;
  auto local = listen_unix(
      loop.reactor(), dir.path() + "/s", 0600,
      [](HttpServerRequest request, std::unique_ptr<HttpResponder> responder) {
        responder->send(
            {.status = 200, .headers = {}, .body = *find_header(request.headers, "host")});
      });
  ASSERT_TRUE(local);
  auto answer = call({.url = "http://control/v3/ping", .unix_socket = dir.path() + "/s"});
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer.value().body, "control");
  // It fails within the call, and is told of in the next turn, not when a connection would be late.
  HttpRequest nobody{.url = "http://control/v3/ping", .unix_socket = dir.path() + "/none"};
  nobody.timeout = nobody.connect_timeout = 1h;
  answer = call(std::move(nobody));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::kUnavailable);
  EXPECT_EQ(answer.error().text(), "cannot GET 'http://control:80/v3/ping' on '" + dir.path() +
                                       "/none': No such file or directory");
  answer = call({.url = "http://x/", .unix_socket = "/" + std::string(200, 'x')});
  EXPECT_EQ(answer.error().code(), Errc::kInvalid);
}

// ---- names ----

TEST_F(HttpClientTest, ResolvesNamesByTheResolverOnce) {
  serve();
  dns.set("catalog.test", {"127.0.0.1"});
  const std::string where = "http://Catalog.test:" + std::to_string(server->port()) + "/x";
  std::vector<Watch> watches;
  int answered = 0;
  for (int i = 0; i < 4; ++i) {
    watches.push_back(client->request({.url = where}, [&](const Result<HttpResponse>& got) {
      EXPECT_TRUE(got) << got.error().text();
      ++answered;
    }));
  }
  ASSERT_TRUE(loop.run_until([&] { return answered == 4; }));
  ASSERT_TRUE(get(where));
  EXPECT_EQ(dns.questions().size(), 2u) << "A and AAAA, once for all";
  EXPECT_THAT(*find_header(last.headers, "host"), StartsWith("Catalog.test:"));
}

TEST_F(HttpClientTest, AsksAgainAfterAFailedConnection) {
  serve();
  const std::string where = "http://catalog.test:" + std::to_string(server->port()) + "/x";
  dns.set("catalog.test", {"127.0.0.9"});  // loopback, but nobody listens
  EXPECT_EQ(get(where).error().code(), Errc::kUnavailable);
  dns.set("catalog.test", {"127.0.0.1"});
  EXPECT_TRUE(get(where));
}

TEST_F(HttpClientTest, TriesEveryAddressOfAName) {
  serve();
  dns.set("catalog.test", {"::1", "127.0.0.9", "127.0.0.1"});
  const auto answer = get("http://catalog.test:" + std::to_string(server->port()) + "/x");
  EXPECT_TRUE(answer) << answer.error().text();
}

TEST_F(HttpClientTest, ANameServerThatNeverAnswersNeverBlocksTheLoop) {
  dns.be_silent();
  loop.forget_lag();
  std::vector<Watch> watches;
  int failed = 0;
  for (int i = 0; i < 64; ++i) {
    watches.push_back(client->request(
        {.url = "http://web" + std::to_string(i) + ".test/", .timeout = 300ms},
        [&](const Result<HttpResponse>& got) {
          ASSERT_FALSE(got);
          EXPECT_EQ(got.error().code(), Errc::kTimeout) << got.error().text();
          EXPECT_THAT(got.error().text(), HasSubstr(".test' not resolved within 300ms"));
          ++failed;
        }));
  }
  ASSERT_TRUE(loop.run_until([&] { return failed == 64; }));
  EXPECT_LT(loop.lag().longest_turn, 50ms);
  EXPECT_LE(loop.lag().blocked, 2) << "curl's own resolver would be joined here";
}

TEST_F(HttpClientTest, SaysThatANameDoesNotExist) {
  const auto answer = get("http://nowhere.test:8500/x");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::kNotFound);
  EXPECT_EQ(answer.error().text(),
            "cannot GET 'http://nowhere.test:8500/x': cannot resolve 'nowhere.test': no such name");
}

// ---- faults ----

TEST_F(HttpClientTest, RefusesWhatIsNoUrl) {
  for (const char* bad : {"", "consul", "ftp://h/", "http://", "http://h:99999/", "http://h/a b",
                          "http://[::1/", "file:///etc/passwd"}) {
    const auto answer = get(bad);
    ASSERT_FALSE(answer) << bad;
    EXPECT_EQ(answer.error().code(), Errc::kInvalid) << bad;
    EXPECT_THAT(answer.error().text(), StartsWith("cannot GET "));
  }
  const auto injected = call({.url = "http://127.0.0.1:1/", .headers = {{"A", "b\r\nC: d"}}});
  EXPECT_EQ(injected.error().code(), Errc::kInvalid);
}

TEST_F(HttpClientTest, KeepsSecretsOfTheUrlOutOfItsErrors) {
  const auto answer = get("http://user:hunter2@127.0.0.1:1/x?token=hunter2");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().text(), "cannot GET 'http://127.0.0.1:1/x': Connection refused");
  EXPECT_EQ(answer.error().code(), Errc::kUnavailable);
  EXPECT_EQ(answer.error().sys_errno(), ECONNREFUSED);
}

TEST_F(HttpClientTest, BoundsAServerThatNeverAnswers) {
  RawServer hanging(loop.reactor());
  RawServer deaf(loop.reactor());
  deaf.stop_accepting();
  for (const RawServer* peer : {&hanging, &deaf}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto answer = call({.url = "http://" + peer->address() + "/x", .timeout = 150ms});
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), Errc::kTimeout);
    EXPECT_EQ(answer.error().text(),
              "cannot GET 'http://" + peer->address() + "/x': no complete answer within 150ms");
  }
}

TEST_F(HttpClientTest, BoundsConnectingByItself) {
  // An address for documentation: packets to it go nowhere, or the network says so at once.
  const auto begin = std::chrono::steady_clock::now();
  const auto answer = call({.url = "http://192.0.2.1/", .connect_timeout = 150ms});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().code(), Errc::kInternal) << answer.error().text();
}

TEST_F(HttpClientTest, NamesWhatWentWrongOnTheWire) {
  struct Case {
    std::string bytes;
    Then then;
    Errc code;
    std::string says;
  };
  for (const Case& c : {
           Case{"", Then::kClose, Errc::kUnavailable, "connection closed without an answer"},
           Case{"", Then::kReset, Errc::kUnavailable, "Connection reset by peer"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Then::kClose, Errc::kIo,
                "connection closed in the middle of the answer"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Then::kReset, Errc::kIo,
                "Connection reset by peer"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", Then::kClose,
                Errc::kIo, "connection closed in the middle of the answer"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Then::kHold,
                Errc::kIo, "chunk"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 8388609\r\n\r\n", Then::kHold, Errc::kIo,
                "the answer is longer than 8388608 bytes"},
           Case{"SSH-2.0-OpenSSH_9\r\n", Then::kClose, Errc::kIo, "HTTP/0.9"},
           Case{"HTTP/1.1 200 OK\r\nA: " + std::string(100'000, 'x') + "\r\n\r\n", Then::kClose,
                Errc::kIo, "header is too long"},
       }) {
    RawServer peer(loop.reactor());
    peer.answer(c.bytes, c.then);
    const auto answer = get("http://" + peer.address() + "/x");
    ASSERT_FALSE(answer) << c.says;
    EXPECT_EQ(answer.error().code(), c.code) << answer.error().text();
    EXPECT_THAT(answer.error().text(),
                StartsWith("cannot GET 'http://" + peer.address() + "/x': "));
    EXPECT_THAT(answer.error().text(), HasSubstr(c.says));
  }
}

TEST_F(HttpClientTest, StopsReadingABodyThatIsTooLong) {
  serve();
  for (const char* path : {"/big", "/chunks"}) {
    const auto answer = call({.url = url(path), .max_body = 999'999});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().text(),
              "cannot GET '" + url(path) + "': the answer is longer than 999999 bytes");
    EXPECT_TRUE(call({.url = url(path), .max_body = 1'000'000}).value().body == big()) << path;
  }
}

TEST_F(HttpClientTest, ItsEndIsImmediateWhateverIsUnderWay) {
  serve();
  dns.be_silent();
  std::vector<Watch> watches;
  const auto never = [](const Result<HttpResponse>&) { FAIL() << "nobody is there any more"; };
  watches.push_back(client->request({.url = url("/wait")}, never));
  watches.push_back(client->request({.url = "http://silent.test/"}, never));
  watches.push_back(client->request({.url = "nonsense"}, never));
  for (int i = 0; i < 6; ++i) watches.push_back(client->request({.url = url("/wait")}, never));
  client.reset();
  loop.run_for(20ms);
}

}  // namespace
}  // namespace containerpilot
