#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "containerpilot/supervisor/http.h"
#include "support/fd_leak.h"
#include "support/log_capture.h"
#include "support/raw_socket.h"
#include "support/real_loop.h"
#include "support/temp_dir.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using test::FdLeakCheck;
using test::RawSocket;
using test::RealLoop;
using test::TempDir;

const std::string kGet = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.npos, end) == 0;
}

/// A server whose answers the test decides about: "/wait" is kept, everything else is echoed at
/// once.
class HttpServerTest : public testing::Test {
 protected:
  void serve(HttpServerLimits limits = {}) {
    auto made = listen_tcp(
        loop.reactor(), "127.0.0.1:0",
        [this](HttpServerRequest request, std::unique_ptr<HttpResponder> responder) {
          handle(std::move(request), std::move(responder));
        },
        limits);
    ASSERT_TRUE(made) << made.error().text();
    server = std::move(made).value();
  }

  virtual void handle(HttpServerRequest request, std::unique_ptr<HttpResponder> responder) {
    ++requests;
    if (request.path == "/wait") {
      responder->on_disconnect([this] { ++disconnects; });
      waiting.push_back(std::move(responder));
    } else if (request.path == "/big") {
      responder->send({.status = 200, .headers = {}, .body = std::string(8 * 1024 * 1024, 'x')});
    } else if (request.path == "/drop") {
      responder.reset();
    } else {
      responder->send({.status = 200,
                       .headers = {{"X-Path", request.path}},
                       .body = request.method + " " + request.path + " " + request.body});
    }
  }

  /// Sends `bytes` on a connection of its own and returns all that comes back until it is closed.
  std::string exchange(const std::string& bytes) {
    RawSocket client(loop.reactor(), server->address());
    client.send(bytes);
    EXPECT_TRUE(loop.run_until([&] { return client.closed(); })) << bytes;
    return client.received();
  }

  FdLeakCheck no_fd_left;
  RealLoop loop;
  std::unique_ptr<HttpServer> server;
  std::vector<std::unique_ptr<HttpResponder>> waiting;
  int requests = 0;
  int disconnects = 0;
};

TEST_F(HttpServerTest, AnswersAPlainRequest) {
  serve();
  RawSocket client(loop.reactor(), server->address());
  client.send("POST /a%20b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
  ASSERT_TRUE(loop.run_until([&] { return ends_with(client.received(), "body"); }));
  const std::string& answer = client.received();
  EXPECT_EQ(answer.find("HTTP/1.1 200 OK\r\nDate: "), 0u) << answer;
  EXPECT_NE(answer.find("\r\nX-Path: /a b\r\nContent-Length: 14\r\n\r\nPOST /a b body"),
            answer.npos)
      << answer;
  EXPECT_EQ(answer.find("Connection:"), answer.npos) << "keep-alive is what HTTP/1.1 means";
  EXPECT_FALSE(client.closed());
}

TEST_F(HttpServerTest, TakesARequestByteByByte) {
  serve();
  RawSocket client(loop.reactor(), server->address());
  for (const char c : kGet) {
    client.send(std::string(1, c));
    loop.run_until([] { return false; }, 1ms);
  }
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "GET /hello "); }));
  EXPECT_EQ(requests, 1);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  serve();
  RawSocket client(loop.reactor(), server->address());
  std::string bytes;
  for (int i = 0; i < 500; ++i) {
    bytes += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    if (i == 100) bytes += "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n";
  }
  client.send(bytes);
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 1; }));
  loop.run_for(20ms);
  EXPECT_EQ(requests, 102) << "what follows waits for the long poll";

  waiting.front()->send({.status = 200, .headers = {}, .body = "GET /late "});
  ASSERT_TRUE(loop.run_until([&] { return ends_with(client.received(), "GET /499 "); }));
  std::size_t at = 0;
  for (int i = 0; i < 500; ++i) {
    at = client.received().find("GET /" + std::to_string(i) + " ", at);
    ASSERT_NE(at, std::string::npos) << i;
    if (i == 100) {
      at = client.received().find("GET /late ", at);
      ASSERT_NE(at, std::string::npos);
    }
  }
  EXPECT_EQ(requests, 501);
}

TEST_F(HttpServerTest, RefusesSmugglingWith400AndCloses) {
  serve();
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  for (const std::string& bytes : {
           post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + kGet,
           post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + kGet,
           post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + kGet,
           "GET / HTTP/1.1\r\n\r\n" + kGet,
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + kGet,
           "GET / HTTP/1.1\r\nHost: h\r\n folded: x\r\n\r\n" + kGet,
       }) {
    const std::string answer = exchange(bytes);
    EXPECT_EQ(answer.find("HTTP/1.1 400 Bad Request\r\n"), 0u) << answer << " to " << bytes;
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), answer.npos) << answer;
    EXPECT_EQ(count(answer, "HTTP/1.1 "), 1u) << answer;
  }
  EXPECT_EQ(requests, 0);
}

TEST_F(HttpServerTest, SaysWhichLimitWasExceededEvenWhileTheClientStillSends) {
  serve({.max_header = 2000, .max_body = 1000});
  EXPECT_NE(exchange("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(100'000, 'x')).find(" 431 "),
            std::string::npos);
  // Two megabytes are on their way: a close at once would reset the connection under the answer.
  const std::string answer = exchange(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
  EXPECT_NE(answer.find(" 413 "), std::string::npos) << answer;
  EXPECT_NE(answer.find("body too large"), std::string::npos) << answer;
  EXPECT_EQ(requests, 0);
}

TEST_F(HttpServerTest, ClosesASlowRequestAtItsDeadline) {
  serve({.header_timeout = 60ms, .body_timeout = 120ms, .idle_timeout = 300ms});
  RawSocket silent(loop.reactor(), server->address());
  RawSocket slow(loop.reactor(), server->address());
  RawSocket half(loop.reactor(), server->address());
  RawSocket idle(loop.reactor(), server->address());
  slow.send("GET / HT");
  half.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo");
  idle.send(kGet);
  const auto begin = std::chrono::steady_clock::now();
  // A byte now and then does not help.
  const Watch drip = loop.reactor().after(40ms, [&] { slow.send("T"); });
  ASSERT_TRUE(loop.run_until([&] { return slow.closed(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_NE(slow.received().find(" 408 "), std::string::npos);
  EXPECT_TRUE(loop.run_until([&] { return silent.closed(); }));
  EXPECT_EQ(silent.received(), "");
  EXPECT_TRUE(loop.run_until([&] { return half.closed(); }));
  EXPECT_NE(half.received().find(" 408 "), std::string::npos);
  EXPECT_FALSE(idle.closed());
  EXPECT_TRUE(loop.run_until([&] { return idle.closed(); }));
  EXPECT_EQ(count(idle.received(), "HTTP/1.1 "), 1u);
}

TEST_F(HttpServerTest, KeepsConnectionsForTenThousandRequests) {
  serve();
  RawSocket client(loop.reactor(), server->address());
  client.send(kGet);
  ASSERT_TRUE(loop.run_until([&] { return ends_with(client.received(), "/hello "); }));
  const std::size_t fds = test::open_fds().size();
  for (int i = 0; i < 10'000; ++i) {
    client.take_received();
    client.send(kGet);
    ASSERT_TRUE(loop.run_until([&] { return ends_with(client.received(), "/hello "); })) << i;
  }
  EXPECT_EQ(requests, 10'001);
  EXPECT_EQ(test::open_fds().size(), fds);
}

TEST_F(HttpServerTest, HoldsAThousandLongPollsAndAnswersThemAll) {
  serve({.max_connections = 2000, .header_timeout = 50ms, .idle_timeout = 50ms});
  std::vector<std::unique_ptr<RawSocket>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<RawSocket>(loop.reactor(), server->address()));
    clients.back()->send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    if (i % 50 == 0) {
      ASSERT_TRUE(loop.run_until([&] { return waiting.size() == clients.size(); }));
    }
  }
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 1000; }));
  loop.run_for(150ms);  // no deadline of the server is theirs
  EXPECT_EQ(disconnects, 0);
  const double busy = loop.epoll().stats().busy_seconds;
  loop.run_for(200ms);
  EXPECT_LT(loop.epoll().stats().busy_seconds - busy, 0.02) << "waiting must cost nothing";

  for (auto& responder : waiting) responder->send({.status = 200, .headers = {}, .body = "news"});
  EXPECT_TRUE(loop.run_until([&] {
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& client) { return ends_with(client->received(), "news"); });
  }));
}

TEST_F(HttpServerTest, TellsWhenAWaitingClientLeaves) {
  serve();
  RawSocket polite(loop.reactor(), server->address());
  RawSocket rude(loop.reactor(), server->address());
  RawSocket eager(loop.reactor(), server->address());
  const std::string wait = "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n";
  polite.send(wait);
  rude.send(wait);
  eager.send(wait + kGet);  // with a request behind it that nobody reads yet
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 3; }));
  polite.close();
  rude.reset();
  eager.close();
  EXPECT_TRUE(loop.run_until([&] { return disconnects == 3; }));
  for (auto& responder : waiting) responder->send({.status = 200, .headers = {}, .body = "late"});
  EXPECT_EQ(requests, 3);
}

TEST_F(HttpServerTest, ADroppedResponderIsA500) {
  serve();
  EXPECT_NE(exchange("GET /drop HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").find(" 500 "),
            std::string::npos);
}

TEST_F(HttpServerTest, HeadHasNoBodyButItsLength) {
  serve();
  const std::string answer = exchange("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 8\r\n"), answer.npos) << answer;
  EXPECT_TRUE(ends_with(answer, "\r\n\r\n")) << answer;
}

TEST_F(HttpServerTest, SpeaksHttp10) {
  serve();
  std::string answer = exchange("GET /x HTTP/1.0\r\n\r\n");
  EXPECT_NE(answer.find("Connection: close\r\n"), answer.npos) << answer;
  EXPECT_TRUE(ends_with(answer, "GET /x ")) << answer;
  RawSocket client(loop.reactor(), server->address());
  client.send("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(loop.run_until([&] { return ends_with(client.received(), "GET /x "); }));
  EXPECT_NE(client.received().find("Connection: keep-alive\r\n"), std::string::npos);
}

TEST_F(HttpServerTest, AsksForTheBodyWhenTheClientWaitsForThat) {
  serve();
  RawSocket client(loop.reactor(), server->address());
  client.send("PUT /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  ASSERT_TRUE(loop.run_until([&] { return client.received() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  client.send("abc");
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "PUT /x abc"); }));
}

TEST_F(HttpServerTest, AnswersAClientThatOnlyClosedItsSendingSide) {
  serve();
  RawSocket client(loop.reactor(), server->address());
  client.send(kGet);
  client.shut_down_sending();
  ASSERT_TRUE(loop.run_until([&] { return client.closed(); }));
  EXPECT_TRUE(ends_with(client.received(), "GET /hello "));
}

TEST_F(HttpServerTest, SendsABigAnswerToASlowReader) {
  serve();
  RawSocket client(loop.reactor(), server->address());
  client.stop_reading();
  client.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n" + kGet);
  ASSERT_TRUE(loop.run_until([&] { return requests == 1; }));
  loop.run_for(20ms);
  EXPECT_EQ(requests, 1) << "the next request waits until this answer is out";
  client.start_reading();
  ASSERT_TRUE(loop.run_until([&] { return ends_with(client.received(), "GET /hello "); }));
  EXPECT_GT(client.received().size(), 8u * 1024 * 1024);
}

TEST_F(HttpServerTest, GoesOnWithPipelinedRequestsWhenTheirAnswersAreOut) {
  serve({.max_pending_write = 1});  // so that every answer is one too many
  RawSocket client(loop.reactor(), server->address());
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += kGet;
  client.send(bytes);
  EXPECT_TRUE(loop.run_until([&] { return count(client.received(), "GET /hello ") == 100; }));
}

TEST_F(HttpServerTest, GivesUpOnAReaderThatTakesNothing) {
  serve({.body_timeout = 100ms});
  RawSocket client(loop.reactor(), server->address());
  client.stop_reading();
  client.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(loop.run_until([&] { return requests == 1; }));
  const std::size_t fds = test::open_fds().size();
  EXPECT_TRUE(loop.run_until([&] { return test::open_fds().size() < fds; }));
}

TEST_F(HttpServerTest, StreamsWithBackPressure) {
  serve({.max_pending_write = 100'000});
  RawSocket client(loop.reactor(), server->address());
  client.stop_reading();
  client.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 1; }));
  HttpResponder& stream = *waiting.front();
  stream.start_stream({.status = 200, .headers = {{"Content-Type", "text/plain"}}, .body = ""});
  const std::string piece(10'000, 'p');
  int taken = 0;
  while (stream.write(piece)) ++taken;
  ASSERT_GT(taken, 5);
  ASSERT_LT(taken, 5000) << "memory must be bounded";
  EXPECT_FALSE(stream.write("x"));
  EXPECT_EQ(disconnects, 0);

  client.start_reading();
  ASSERT_TRUE(loop.run_until([&] { return stream.write("!"); }));
  stream.write("");  // not an end
  waiting.clear();
  ASSERT_TRUE(loop.run_until([&] { return ends_with(client.received(), "\r\n0\r\n\r\n"); }));
  EXPECT_NE(client.received().find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(std::count(client.received().begin(), client.received().end(), 'p'),
            10'000 * taken + 2 /* Type, plain */);
  client.take_received();
  client.send(kGet);
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "GET /hello "); }))
      << "the connection stays usable";
}

TEST_F(HttpServerTest, AStreamWhoseClientLeftSaysSo) {
  serve();
  RawSocket client(loop.reactor(), server->address());
  client.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(loop.run_until([&] { return waiting.size() == 1; }));
  waiting.front()->start_stream({});
  EXPECT_TRUE(waiting.front()->write("one"));
  ASSERT_TRUE(loop.run_until([&] { return ends_with(client.received(), "one\r\n"); }));
  client.reset();
  ASSERT_TRUE(loop.run_until([&] { return disconnects == 1; }));
  EXPECT_FALSE(waiting.front()->write("two"));
}

TEST_F(HttpServerTest, TellsTheConnectionTooManyAndServesTheOthers) {
  serve({.max_connections = 2});
  RawSocket one(loop.reactor(), server->address());
  RawSocket two(loop.reactor(), server->address());
  ASSERT_NE(exchange(kGet).find(" 503 "), std::string::npos);
  one.send(kGet);
  EXPECT_TRUE(loop.run_until([&] { return ends_with(one.received(), "GET /hello "); }));
  two.close();
  RawSocket again(loop.reactor(), server->address());
  again.send(kGet);
  EXPECT_TRUE(loop.run_until([&] { return ends_with(again.received(), "GET /hello "); }));
}

TEST_F(HttpServerTest, EndsPromptlyWithEverythingHalfDone) {
  serve();
  RawSocket half_header(loop.reactor(), server->address());
  RawSocket half_body(loop.reactor(), server->address());
  RawSocket polling(loop.reactor(), server->address());
  RawSocket not_reading(loop.reactor(), server->address());
  half_header.send("GET / HT");
  half_body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
  polling.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  not_reading.stop_reading();
  not_reading.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(loop.run_until([&] { return requests == 2; }));
  const auto begin = std::chrono::steady_clock::now();
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 500ms);
  EXPECT_TRUE(loop.run_until(
      [&] { return half_header.closed() && half_body.closed() && polling.closed(); }));
  EXPECT_EQ(disconnects, 0) << "the client did not leave, we did";
  waiting.front()->send({});  // does nothing
}

TEST_F(HttpServerTest, DrainLetsAnswersFinishAndNothingElse) {
  serve();
  RawSocket idle(loop.reactor(), server->address());
  RawSocket half(loop.reactor(), server->address());
  RawSocket polling(loop.reactor(), server->address());
  RawSocket stuck(loop.reactor(), server->address());
  idle.send(kGet);
  half.send("GET / HT");
  polling.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(loop.run_until([&] { return requests == 2; }));
  stuck.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(loop.run_until([&] { return requests == 3; }));

  server->drain(200ms);
  EXPECT_TRUE(loop.run_until([&] { return idle.closed() && half.closed(); }, 150ms));
  EXPECT_FALSE(polling.closed());
  waiting.front()->send({.status = 200, .headers = {}, .body = "bye"});
  EXPECT_TRUE(loop.run_until([&] { return polling.closed(); }));
  EXPECT_TRUE(ends_with(polling.received(), "bye"));
  EXPECT_NE(polling.received().find("Connection: close"), std::string::npos);
  EXPECT_TRUE(loop.run_until([&] { return stuck.closed(); }, 1s));
  EXPECT_EQ(stuck.received(), "");
}

TEST_F(HttpServerTest, AHandlerMayDestroyItsServer) {
  auto made = listen_tcp(loop.reactor(), "127.0.0.1:0",
                         [this](HttpServerRequest, std::unique_ptr<HttpResponder> responder) {
                           server.reset();
                           responder->send({});
                           ++requests;
                         });
  server = std::move(made).value();
  RawSocket client(loop.reactor(), server->address());
  client.send(kGet + kGet);
  EXPECT_TRUE(loop.run_until([&] { return client.closed(); }));
  EXPECT_EQ(requests, 1);
}

TEST_F(HttpServerTest, ADescriptorFamineDoesNotSpinAndEnds) {
  serve();
  test::LogCapture log;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int lowest_free = dup(0);
  close(lowest_free);
  RawSocket client(loop.reactor(), server->address());  // takes the lowest one
  const rlimit tight{static_cast<rlim_t>(lowest_free) + 1, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  client.send(kGet);
  EXPECT_TRUE(loop.run_until([&] { return log.contains("cannot accept connections"); }));
  const auto turns = loop.epoll().stats().turns;
  loop.run_for(250ms);
  EXPECT_LT(loop.epoll().stats().turns - turns, 20u);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "GET /hello "); }));
  EXPECT_EQ(log.count("cannot accept connections"), 1);
  EXPECT_TRUE(log.contains("accepting connections again"));
}

TEST_F(HttpServerTest, ListensOnIpv6) {
  auto made = listen_tcp(loop.reactor(), "[::1]:0",
                         [](HttpServerRequest, std::unique_ptr<HttpResponder> responder) {
                           responder->send({.status = 200, .headers = {}, .body = "six"});
                         });
  ASSERT_TRUE(made) << made.error().text();
  server = std::move(made).value();
  EXPECT_EQ(server->address(), "[::1]:" + std::to_string(server->port()));
  RawSocket client(loop.reactor(), server->address());
  client.send(kGet);
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "six"); }));
}

TEST_F(HttpServerTest, SaysWhyItCannotListen) {
  serve();
  const auto ignore = [](HttpServerRequest, std::unique_ptr<HttpResponder>) {};
  auto taken = listen_tcp(loop.reactor(), server->address(), ignore);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), Errc::kUnavailable);
  EXPECT_EQ(taken.error().text(),
            "cannot listen on '" + server->address() + "': another process listens there");
  for (const char* bad : {"localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", ":80",
                          "::1:80", "[127.0.0.1]:80", "127.0.0.1:80x"}) {
    auto refused = listen_tcp(loop.reactor(), bad, ignore);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code(), Errc::kInvalid) << bad;
    EXPECT_NE(refused.error().text().find("'127.0.0.1:8500'"), std::string::npos);
  }
  auto foreign = listen_tcp(loop.reactor(), "192.0.2.1:0", ignore);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code(), Errc::kIo);
  EXPECT_EQ(foreign.error().sys_errno(), EADDRNOTAVAIL);
}

// ---- unix sockets ----

class UnixServerTest : public testing::Test {
 protected:
  Result<std::unique_ptr<HttpServer>> listen(const std::string& where, unsigned mode = 0600) {
    return listen_unix(loop.reactor(), where, mode,
                       [](HttpServerRequest request, std::unique_ptr<HttpResponder> responder) {
                         responder->send({.status = 200, .headers = {}, .body = request.path});
                       });
  }
  mode_t mode_of(const std::string& name) {
    struct stat file;
    return lstat(name.c_str(), &file) == 0 ? file.st_mode & 07777u : 0;
  }
  bool exists(const std::string& name) { return access(name.c_str(), F_OK) == 0; }

  FdLeakCheck no_fd_left;
  RealLoop loop;
  TempDir dir;
  const std::string path = dir.path() + "/control.socket";
};

TEST_F(UnixServerTest, ServesWithoutAHostHeader) {
  auto server = listen(path);
  ASSERT_TRUE(server) << server.error().text();
  EXPECT_EQ(server.value()->address(), path);
  RawSocket client(loop.reactor(), path);
  client.send("GET /v3/ping HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "/v3/ping"); }));
}

TEST_F(UnixServerTest, EndsInOrderThoughMoreWasSentThanIsAnswered) {
  auto server = listen(path);
  ASSERT_TRUE(server);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  // More than is read in one go: the rest is still unread when the answer is out.
  const std::string bytes =
      "GET /x HTTP/1.1\r\nConnection: close\r\n\r\n" + std::string(100'000, '!');
  ASSERT_EQ(send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
  std::string answer;
  int end = EAGAIN;
  const Watch watch = loop.reactor().on_fd(client.get(), EPOLLIN, [&](std::uint32_t) {
    char part[4096];
    const ssize_t n = recv(client.get(), part, sizeof part, 0);
    if (n > 0) answer.append(part, static_cast<std::size_t>(n));
    if (n <= 0 && end == EAGAIN) end = n < 0 ? errno : 0;
  });
  ASSERT_TRUE(loop.run_until([&] { return end != EAGAIN; }));
  EXPECT_EQ(end, 0) << "closed, not reset";
  EXPECT_TRUE(ends_with(answer, "/x")) << answer;
}

TEST_F(UnixServerTest, HasExactlyTheModeAskedForAndGoesAway) {
  const mode_t before = umask(0077);
  auto server = listen(path, 0666);
  umask(before);
  ASSERT_TRUE(server);
  EXPECT_EQ(mode_of(path), 0666u);
  server.value().reset();
  EXPECT_FALSE(exists(path));
}

TEST_F(UnixServerTest, ReplacesAStaleSocket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  {
    const UniqueFd dead(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ASSERT_TRUE(exists(path));
  auto server = listen(path);
  ASSERT_TRUE(server) << server.error().text();
  RawSocket client(loop.reactor(), path);
  client.send("GET /x HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "/x"); }));
}

TEST_F(UnixServerTest, LeavesALiveSocketAlone) {
  auto first = listen(path);
  ASSERT_TRUE(first);
  auto second = listen(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::kUnavailable);
  EXPECT_EQ(second.error().text(),
            "cannot listen on '" + path + "': another process listens there");
  RawSocket client(loop.reactor(), path);
  client.send("GET /x HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "/x"); }));
}

TEST_F(UnixServerTest, NeverDeletesAnythingElse) {
  dir.write("file", "precious");
  std::filesystem::create_directory(dir.path() + "/dir");
  std::filesystem::create_symlink("nowhere", dir.path() + "/link");
  for (const char* name : {"/file", "/dir", "/link"}) {
    auto server = listen(dir.path() + name);
    ASSERT_FALSE(server) << name;
    EXPECT_EQ(server.error().code(), Errc::kInvalid) << name;
    EXPECT_EQ(server.error().text(),
              "cannot listen on '" + dir.path() + name +
                  "': a file that is not a socket is in the way; remove it or choose another path");
  }
  EXPECT_TRUE(exists(dir.path() + "/file"));
  EXPECT_TRUE(std::filesystem::is_symlink(dir.path() + "/link"));
}

TEST_F(UnixServerTest, RemovesOnlyItsOwnSocketAtTheEnd) {
  auto first = listen(path);
  ASSERT_TRUE(first);
  std::filesystem::remove(path);
  auto second = listen(path);
  ASSERT_TRUE(second);
  first.value().reset();
  EXPECT_TRUE(exists(path));
  RawSocket client(loop.reactor(), path);
  client.send("GET /x HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(loop.run_until([&] { return ends_with(client.received(), "/x"); }));
}

TEST_F(UnixServerTest, SaysWhyItCannotListen) {
  auto no_dir = listen(dir.path() + "/none/x");
  ASSERT_FALSE(no_dir);
  EXPECT_EQ(no_dir.error().sys_errno(), ENOENT);
  auto too_long = listen(dir.path() + "/" + std::string(108, 'x'));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code(), Errc::kInvalid);
  EXPECT_NE(too_long.error().text().find("1 to 107 bytes"), std::string::npos);
}

}  // namespace
}  // namespace containerpilot
