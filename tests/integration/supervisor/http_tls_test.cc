#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "containerpilot/supervisor/http.h"
#include "support/child_program.h"
#include "support/fd_leak.h"
#include "support/real_loop.h"
#include "support/temp_dir.h"

namespace containerpilot {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// The client against OpenSSL's own test server.
class HttpTlsTest : public testing::Test {
 protected:
  HttpTlsTest() {
    resolver = std::move(make_resolver(loop.reactor())).value();
    client = std::move(make_http_client(loop.reactor(), *resolver, 4)).value();
  }
  /// A self-made certificate: its own CA.
  void make_certificate(const std::string& name, const std::string& dns_name) {
    test::ChildProgram openssl({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                                "/CN=" + name, "-addext", "subjectAltName=DNS:" + dns_name,
                                "-keyout", file(name + ".key"), "-out", file(name + ".crt")});
    ASSERT_EQ(openssl.wait(), 0);
  }
  void serve(std::vector<std::string> more = {}) {
    std::vector<std::string> argv = {"openssl", "s_server",         "-accept", "127.0.0.1:0",
                                     "-cert",   file("server.crt"), "-key",    file("server.key"),
                                     "-www"};
    argv.insert(argv.end(), more.begin(), more.end());
    server.emplace(argv);
    const std::string line = server->wait_for_line("ACCEPT");
    ASSERT_NE(line, "");
    url = "https://127.0.0.1" + line.substr(line.rfind(':')) + "/";
  }
  Result<HttpResponse> get(HttpTls tls) {
    std::optional<Result<HttpResponse>> answer;
    const Watch watch = client->request({.url = url, .tls = std::move(tls)},
                                        [&](Result<HttpResponse> got) { answer = std::move(got); });
    EXPECT_TRUE(loop.run_until([&] { return answer.has_value(); }));
    return std::move(*answer);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return dir.path() + "/" + name; }

  test::FdLeakCheck no_fd_left;
  test::TempDir dir;
  test::RealLoop loop;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<HttpClient> client;
  std::optional<test::ChildProgram> server;
  std::string url;
};

TEST_F(HttpTlsTest, TrustsOnlyTheCaItIsGivenAndTheNameItAsksFor) {
  make_certificate("server", "server.dc1.consul");
  make_certificate("other", "other");
  serve();
  const auto well = get({.ca_file = file("server.crt"), .server_name = "server.dc1.consul"});
  ASSERT_TRUE(well) << well.error().text();
  EXPECT_EQ(well.value().status, 200);
  EXPECT_THAT(well.value().body, HasSubstr("s_server"));

  const auto wrong_name = get({.ca_file = file("server.crt")});
  ASSERT_FALSE(wrong_name);
  EXPECT_EQ(wrong_name.error().code(), Errc::kUnavailable);
  EXPECT_THAT(wrong_name.error().text(), StartsWith("cannot GET '" + url + "': "));
  EXPECT_THAT(wrong_name.error().text(), HasSubstr("127.0.0.1"));

  for (const HttpTls& tls :
       {HttpTls{.server_name = "server.dc1.consul"},
        HttpTls{.ca_file = file("other.crt"), .server_name = "server.dc1.consul"}}) {
    const auto untrusted = get(tls);
    ASSERT_FALSE(untrusted);
    EXPECT_THAT(untrusted.error().text(), HasSubstr("certificate"));
  }
  EXPECT_TRUE(get({.verify = false})) << "the clear switch";
}

TEST_F(HttpTlsTest, TrustsAFolderWhateverItsFilesAreCalled) {
  make_certificate("server", "server.test");
  make_certificate("other", "other.test");
  serve();
  HttpTls tls{.ca_path = file("folder"), .server_name = "server.test"};
  const auto nothing = get(tls);
  ASSERT_FALSE(nothing);
  EXPECT_THAT(nothing.error().text(), HasSubstr("certificate"));

  std::filesystem::create_directory(file("folder"));
  std::filesystem::copy_file(file("other.crt"), file("folder/a.crt"));
  std::filesystem::copy_file(file("other.key"), file("folder/b.key"));
  std::ofstream(file("folder/README")) << "Ours.\n";
  client = std::move(make_http_client(loop.reactor(), *resolver, 4)).value();
  EXPECT_FALSE(get(tls));
  std::filesystem::copy_file(file("server.crt"), file("folder/c.pem"));
  client = std::move(make_http_client(loop.reactor(), *resolver, 4)).value();
  const auto answer = get(tls);
  EXPECT_TRUE(answer) << answer.error().text();
  tls.ca_path = file("folder");
  tls.ca_file = file("other.crt");
  EXPECT_TRUE(get(tls)) << "both together";
}

TEST_F(HttpTlsTest, AsksForTheServerNameBySni) {
  make_certificate("server", "default.test");
  make_certificate("second", "second.test");
  serve({"-servername", "second.test", "-cert2", file("second.crt"), "-key2", file("second.key")});
  const auto answer = get({.ca_file = file("second.crt"), .server_name = "second.test"});
  EXPECT_TRUE(answer) << answer.error().text();
}

TEST_F(HttpTlsTest, ShowsItsCertificateWhenAsked) {
  make_certificate("server", "server.test");
  make_certificate("client", "client.test");
  serve({"-Verify", "1", "-CAfile", file("client.crt"), "-verify_return_error"});
  HttpTls tls{.ca_file = file("server.crt"), .server_name = "server.test"};
  const auto refused = get(tls);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kUnavailable) << refused.error().text();
  tls.client_cert = file("client.crt");
  tls.client_key = file("client.key");
  const auto answer = get(tls);
  EXPECT_TRUE(answer) << answer.error().text();
}

TEST_F(HttpTlsTest, NamesAFileItCannotUse) {
  make_certificate("server", "server.test");
  serve();
  const auto no_ca = get({.ca_file = file("none.crt")});
  ASSERT_FALSE(no_ca);
  EXPECT_EQ(no_ca.error().code(), Errc::kInvalid);
  EXPECT_THAT(no_ca.error().text(), HasSubstr(file("none.crt")));
  const auto no_cert = get({.client_cert = file("none.crt"), .verify = false});
  ASSERT_FALSE(no_cert);
  EXPECT_EQ(no_cert.error().code(), Errc::kInvalid);
  EXPECT_THAT(no_cert.error().text(), HasSubstr(file("none.crt")));
}

TEST_F(HttpTlsTest, APlainServerIsNoTlsServer) {
  auto plain = listen_tcp(loop.reactor(), "127.0.0.1:0",
                          [](HttpServerRequest, std::unique_ptr<HttpResponder>) {});
  ASSERT_TRUE(plain);
  url = "https://" + plain.value()->address() + "/";
  const auto answer = get({});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::kUnavailable) << answer.error().text();
}

}  // namespace
}  // namespace containerpilot
