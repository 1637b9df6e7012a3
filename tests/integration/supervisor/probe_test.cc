#include "containerpilot/supervisor/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "support/fake_dns.h"
#include "support/fd_leak.h"
#include "support/free_port.h"
#include "support/raw_server.h"
#include "support/real_loop.h"
#include "support/temp_dir.h"

namespace containerpilot {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Kind = ProbeResult::Kind;

// Before main, and so before the log's thread: a thread that does not block SIGCHLD would swallow
// it.
[[maybe_unused]] const bool kSignalsBlocked = (block_signals(), true);

class RealProbeTest : public testing::Test {
 protected:
  RealProbeTest() {
    launcher = std::move(make_launcher(loop.reactor())).value();
    resolver = std::move(make_resolver(loop.reactor(), {.servers = {dns.address()}})).value();
    http = std::move(make_http_client(loop.reactor(), *resolver, 4)).value();
  }
  ProbeResult run(const Probe& probe, Duration timeout = 5s) {
    ProbeRunner runner(loop.reactor(), *launcher, *http, *resolver);
    std::optional<ProbeResult> result;
    const Watch watch = runner.run({.probe = probe,
                                    .environment = {"PATH=/usr/bin:/bin"},
                                    .timeout = timeout,
                                    .name = "check"},
                                   [&](ProbeResult got) { result = std::move(got); });
    EXPECT_FALSE(result) << "never from inside the call";
    EXPECT_TRUE(loop.run_until([&] { return result.has_value(); }));
    return *result;
  }
  static Probe shell(const std::string& script) {
    return ProcessSpec{.argv = {"/bin/sh", "-c", script}};
  }
  static TcpProbe tcp(const std::string& address) {
    const auto colon = address.rfind(':');
    return {address.substr(0, colon),
            static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)))};
  }

  test::FdLeakCheck no_fd_left;
  test::RealLoop loop;
  test::FakeDns dns{loop.reactor()};
  std::unique_ptr<Launcher> launcher;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<HttpClient> http;
};

TEST_F(RealProbeTest, ExecCapturesOutputAndExit) {
  const ProbeResult well = run(shell("echo 42; echo odd >&2"));
  EXPECT_TRUE(well.ok()) << well.reason;
  EXPECT_EQ(well.output, "42\n");
  EXPECT_THAT(well.last_lines, testing::AnyOf("42\nodd", "odd\n42"));
  const ProbeResult failed = run(shell("echo why; exit 3"));
  EXPECT_EQ(failed.kind, Kind::kFailed);
  EXPECT_EQ(failed.exit.code, 3);
  EXPECT_EQ(failed.last_lines, "why");
  EXPECT_EQ(run(ProcessSpec{.argv = {"/no/such/check"}}).kind, Kind::kCannotStart);
}

TEST_F(RealProbeTest, ExecDoesNotWaitForStrangersWhoHoldItsPipes) {
  const auto begin = std::chrono::steady_clock::now();
  const ProbeResult result = run(shell("sleep 5 & echo done"));
  EXPECT_TRUE(result.ok()) << result.reason;
  EXPECT_EQ(result.output, "done\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

TEST_F(RealProbeTest, ExecThatTakesTooLongDiesWithItsChildren) {
  const auto begin = std::chrono::steady_clock::now();
  const ProbeResult result = run(shell("setsid sleep 30 & echo $!; sleep 30; echo never"), 200ms);
  EXPECT_EQ(result.kind, Kind::kTimeout) << result.reason;
  EXPECT_EQ(result.reason, "not finished within 200ms");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  const pid_t escapee = std::stoi(result.output);
  EXPECT_TRUE(loop.run_until([&] { return kill(escapee, 0) != 0; }));
}

TEST_F(RealProbeTest, TcpConnectsByAddressAndByName) {
  test::RawServer server(loop.reactor());
  EXPECT_TRUE(run(tcp(server.address())).ok());
  dns.set("web.test", {"127.0.0.9", "127.0.0.1"});
  TcpProbe named = tcp(server.address());
  named.host = "web.test";
  EXPECT_TRUE(run(named).ok()) << "the second address takes it";
}

TEST_F(RealProbeTest, TcpSaysWhyNot) {
  const std::string address = "127.0.0.1:" + std::to_string(test::free_port());
  const ProbeResult refused = run(tcp(address));
  EXPECT_EQ(refused.kind, Kind::kFailed);
  EXPECT_EQ(refused.reason, "connection refused (" + address + ")");
  dns.be_silent();
  const ProbeResult late = run(TcpProbe{.host = "web.test", .port = 80}, 150ms);
  EXPECT_EQ(late.kind, Kind::kTimeout);
}

TEST_F(RealProbeTest, UnixSaysWhyNot) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/s";
  EXPECT_EQ(run(UnixProbe{path}).reason, "no such socket (" + path + ")");
  {
    auto server = listen_unix(loop.reactor(), path, 0600,
                              [](HttpServerRequest, std::unique_ptr<HttpResponder>) {});
    ASSERT_TRUE(server);
    EXPECT_TRUE(run(UnixProbe{path}).ok());
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const UniqueFd bound(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(bound.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(run(UnixProbe{path}).reason, "connection refused (" + path + ")");
  EXPECT_THAT(run(UnixProbe{std::string(200, 'x')}).reason, HasSubstr("1 to 107 bytes"));
}

TEST_F(RealProbeTest, HttpAsksARealServer) {
  auto server = listen_tcp(
      loop.reactor(), "127.0.0.1:0",
      [](HttpServerRequest request, std::unique_ptr<HttpResponder> responder) {
        responder->send(
            {.status = request.path == "/ok" ? 200 : 503, .headers = {}, .body = "state: ready"});
      });
  ASSERT_TRUE(server);
  const std::string base = "http://" + server.value()->address();
  const ProbeResult well = run(HttpProbe{.url = base + "/ok", .match = "ready"});
  EXPECT_TRUE(well.ok()) << well.reason;
  EXPECT_EQ(well.output, "state: ready");
  EXPECT_EQ(run(HttpProbe{.url = base + "/bad"}).reason, "HTTP 503");
}

}  // namespace
}  // namespace containerpilot
