#include "http_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http_message.h"

namespace containerpilot {
namespace {

using State = HttpRequestParser::State;
using Host = HttpRequestParser::Host;

struct Outcome {
  State state = State::kNeedMore;
  std::vector<HttpServerRequest> requests;
  HttpRequestParser::Refusal refusal;
};

/// Feeds `bytes` in pieces of `step`, as a connection would.
Outcome parse(const std::string& bytes, std::size_t step, HttpServerLimits limits = {},
              Host host = Host::kRequired) {
  HttpRequestParser parser(limits, host);
  Outcome outcome;
  std::string held;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    held += bytes.substr(at, step);
    while (!held.empty()) {
      const auto progress = parser.feed(held);
      held.erase(0, progress.consumed);
      outcome.state = progress.state;
      if (progress.state == State::kRefused) {
        outcome.refusal = parser.refusal();
        return outcome;
      }
      if (progress.state == State::kNeedMore) break;
      outcome.requests.push_back(parser.take());
    }
  }
  return outcome;
}

HttpServerRequest parse_one(const std::string& bytes) {
  Outcome outcome = parse(bytes, bytes.size());
  EXPECT_EQ(outcome.requests.size(), 1u) << bytes;
  return outcome.requests.empty() ? HttpServerRequest{} : outcome.requests.front();
}

TEST(HttpParser, TakesAPlainRequest) {
  const HttpServerRequest request = parse_one(
      "PUT /v1/kv/a%20b?dc=x%2By+z&passing HTTP/1.1\r\nHost: h:1\r\nX-Odd:  v \r\n"
      "Content-Length: 5\r\n\r\nhello");
  EXPECT_EQ(request.method, "PUT");
  EXPECT_EQ(request.target, "/v1/kv/a%20b?dc=x%2By+z&passing");
  EXPECT_EQ(request.path, "/v1/kv/a b");
  EXPECT_EQ(request.query_value("dc"), "x+y z");
  EXPECT_EQ(request.query_value("passing"), "");
  EXPECT_EQ(request.query_value("index"), std::nullopt);
  ASSERT_NE(find_header(request.headers, "x-oDD"), nullptr);
  EXPECT_EQ(*find_header(request.headers, "x-oDD"), "v");
  EXPECT_EQ(find_header(request.headers, "x"), nullptr);
  EXPECT_EQ(request.body, "hello");
}

TEST(HttpParser, CutsDoNotMatter) {
  const std::string bytes =
      "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
      "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;ext=1\r\nhello\r\n00A\r\n, chunked!\r\n0\r\nX-Trailer: t\r\n\r\n"
      "PUT /c HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
      "GET /d HTTP/1.1\r\nHost: h\r\n\r\n";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    const Outcome outcome = parse(bytes, step);
    ASSERT_EQ(outcome.requests.size(), 4u) << "in pieces of " << step;
    EXPECT_EQ(outcome.requests[0].path, "/a");
    EXPECT_EQ(outcome.requests[1].body, "hello, chunked!");
    EXPECT_EQ(find_header(outcome.requests[1].headers, "X-Trailer"), nullptr);
    EXPECT_EQ(outcome.requests[2].body, "abc");
    EXPECT_EQ(outcome.requests[3].path, "/d");
  }
}

TEST(HttpParser, RefusesWhatTwoParsersCouldReadDifferently) {
  const std::string get = "GET / HTTP/1.1\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::vector<std::string> shapes = {
      // Framing.
      post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
      post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
      post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
      post + "Content-Length: 3, 3\r\n\r\n",
      post + "Content-Length: +3\r\n\r\n",
      post + "Content-Length: -3\r\n\r\n",
      post + "Content-Length: 0x3\r\n\r\n",
      post + "Content-Length:\r\n\r\n",
      post + "Content-Length: 99999999999999999999\r\n\r\n",
      post + "Transfer-Encoding: identity\r\n\r\n",
      post + "Transfer-Encoding: gzip, chunked\r\n\r\n",
      post + "Transfer-Encoding: chunked, identity\r\n\r\n",
      post + "Transfer-Encoding: xchunked\r\n\r\n",
      post +
          "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
      // Chunks.
      post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n",
      // Lines.
      "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.1\nHost: h\n\n",
      get + "Host: h\r\nA: b\nC: d\r\n\r\n",
      get + "Host: h\r\nA: b\rC: d\r\n\r\n",
      get + "Host: h\r\n folded: line\r\n\r\n",
      get + "Host: h\r\nA: b\r\n\tfolded\r\n\r\n",
      get + " Host: h\r\n\r\n",
      get + "Host : h\r\n\r\n",
      get + "Host: h\r\nA b: c\r\n\r\n",
      get + "Host: h\r\nno colon\r\n\r\n",
      get + "Host: h\r\n: empty\r\n\r\n",
      get + std::string("Host: h\r\nA: \0b\r\n\r\n", 18),
      get + "Host: h\r\nA: \x7f\r\n\r\n",
      // Host.
      get + "\r\n",
      get + "Host: a\r\nHost: a\r\n\r\n",
      get + "Host: a, b\r\n\r\n",
      get + "Host: a/b\r\n\r\n",
      // Request line.
      "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / x HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /\r\n\r\n",
      "GET / http/1.1\r\nHost: h\r\n\r\n",
      "get / HTTP/1.1\r\nHost: h\r\n\r\n",
      "G(T / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET x HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
      "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /a%0 HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /?a=%g0 HTTP/1.1\r\nHost: h\r\n\r\n",
  };
  for (const std::string& shape : shapes) {
    for (const std::size_t step : {std::size_t{1}, shape.size()}) {
      const Outcome outcome = parse(shape, step);
      EXPECT_EQ(outcome.state, State::kRefused) << shape;
      EXPECT_TRUE(outcome.requests.empty()) << shape;
      // "GET / http/1.1" and a missing version are both a matter of the version.
      EXPECT_TRUE(outcome.refusal.status == 400 || outcome.refusal.status == 505 ||
                  outcome.refusal.status == 413)
          << outcome.refusal.status << " for " << shape;
    }
  }
}

TEST(HttpParser, RefusesATlsHelloAtItsFirstByte) {
  EXPECT_EQ(parse("\x16", 1).state, State::kRefused);
}

TEST(HttpParser, SpeaksOnlyVersionsItKnows) {
  EXPECT_EQ(parse("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 99).refusal.status, 505);
  EXPECT_EQ(parse("GET / HTTP/0.9\r\n\r\n", 99).refusal.status, 505);
  EXPECT_EQ(parse("GET / HTTP/1.0\r\n\r\n", 99).requests.size(), 1u);
}

TEST(HttpParser, DemandsAHostOnlyWhereAsked) {
  EXPECT_EQ(parse("GET / HTTP/1.1\r\n\r\n", 99, {}, Host::kOptional).requests.size(), 1u);
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 99, {}, Host::kOptional).state,
            State::kRefused);
}

TEST(HttpParser, KeepsToItsLimits) {
  HttpServerLimits limits;
  limits.max_header = 200;
  limits.max_body = 10;
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";

  const std::string header = start + "A: " + std::string(200, 'x');
  EXPECT_EQ(parse(header, 1, limits).refusal.status, 431);
  EXPECT_EQ(parse(header, 999, limits).refusal.status, 431);
  EXPECT_EQ(parse(start + "Content-Length: 11\r\n\r\n", 999, limits).refusal.status, 413);
  EXPECT_EQ(parse(start + "Content-Length: 10\r\n\r\n0123456789", 7, limits).requests.size(), 1u);

  const std::string chunked = start + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(parse(chunked + "6\r\nabcdef\r\n5\r\nabcde\r\n0\r\n\r\n", 1, limits).refusal.status,
            413);
  EXPECT_EQ(parse(chunked + "B\r\nabc", 1, limits).refusal.status, 413);
  EXPECT_EQ(parse(chunked + "1;" + std::string(300, 'x'), 1, limits).state, State::kRefused);
  EXPECT_EQ(parse(chunked + std::string(300, '0'), 1, limits).state, State::kRefused);
  EXPECT_EQ(parse(chunked + "0\r\nA: " + std::string(300, 'x'), 1, limits).state, State::kRefused);
}

TEST(HttpParser, TellsWhoWaitsForContinue) {
  HttpRequestParser parser({}, Host::kRequired);
  parser.feed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_TRUE(parser.header_done());
  EXPECT_TRUE(parser.expects_continue());
  EXPECT_EQ(parser.feed("abc").state, State::kComplete);
  parser.take();
  EXPECT_FALSE(parser.expects_continue());
}

TEST(HttpParser, KnowsWhoWantsToStay) {
  HttpServerLimits limits;
  const auto keeps = [&limits](const std::string& bytes) {
    HttpRequestParser parser(limits, Host::kRequired);
    EXPECT_EQ(parser.feed(bytes).state, State::kComplete) << bytes;
    return parser.keep_alive();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  limits.keep_alive_unasked = false;
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Keep-Alive\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n"));
}

TEST(HttpTarget, TakesTheFormsOfRfc9112) {
  EXPECT_EQ(parse_http_target("/a/b")->path, "/a/b");
  EXPECT_EQ(parse_http_target("http://h:1/a?b=c")->path, "/a");
  EXPECT_EQ(parse_http_target("http://h")->path, "/");
  EXPECT_EQ(parse_http_target("HTTP://h?x")->query.front().first, "x");
  EXPECT_EQ(parse_http_target("*")->path, "*");
  EXPECT_EQ(parse_http_target("https://h/"), std::nullopt);
  EXPECT_EQ(parse_http_target(""), std::nullopt);
}

TEST(HttpTarget, PlusIsASpaceOnlyInTheQuery) {
  const auto target = parse_http_target("/a+b?c+d=e+f&&g");
  EXPECT_EQ(target->path, "/a+b");
  const std::vector<std::pair<std::string, std::string>> expected = {{"c d", "e f"}, {"g", ""}};
  EXPECT_EQ(target->query, expected);
}

}  // namespace
}  // namespace containerpilot
