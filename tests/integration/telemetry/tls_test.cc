#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <thread>

#include "containerpilot/telemetry/server.h"
#include "integration/telemetry/raw_client.h"

namespace containerpilot::telemetry {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// A self-signed certificate for `name` and its key, made on the spot.
void write_certificate(const std::string& cert_file, const std::string& key_file,
                       const char* name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_sign(certificate, key, EVP_sha256());
  // Replaced by rename, as the tools do that renew certificates.
  for (const std::string& file : {cert_file, key_file}) {
    std::FILE* out = std::fopen((file + ".new").c_str(), "we");
    if (file == cert_file) {
      PEM_write_X509(out, certificate);
    } else {
      PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    }
    std::fclose(out);
    std::filesystem::rename(file + ".new", file);
  }
  X509_free(certificate);
  EVP_PKEY_free(key);
}

struct TlsAnswer {
  std::string text, common_name;
};

TlsAnswer https_get(std::uint16_t port, const std::string& path) {
  RawClient client(port);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, client.fd());
  TlsAnswer answer;
  if (SSL_connect(ssl) == 1) {
    X509* certificate = SSL_get1_peer_certificate(ssl);
    std::array<char, 100> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                              name.size());
    answer.common_name = name.data();
    X509_free(certificate);
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
    SSL_write(ssl, request.data(), static_cast<int>(request.size()));
    std::array<char, 4096> buffer;
    for (int got; (got = SSL_read(ssl, buffer.data(), buffer.size())) > 0;) {
      answer.text.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  return answer;
}

class Tls : public testing::Test {
 protected:
  Tls() {
    std::string path = (std::filesystem::temp_directory_path() / "cp-tls-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    spec_.listen = "127.0.0.1";
    spec_.port = 0;
    spec_.tls = {folder_ + "/cert.pem", folder_ + "/key.pem"};
    documents_.publish("/status", {.body = "{}\n"});
  }
  ~Tls() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  ServerSpec spec_;
  Registry registry_;
  Documents documents_;
};

TEST_F(Tls, ServesHttpsAndTheCertificateThatReplacedTheFirst) {
  write_certificate(spec_.tls.cert_file, spec_.tls.key_file, "first");
  auto server = MetricsServer::start(spec_, registry_, documents_, nullptr);
  ASSERT_TRUE(server) << server.error().text();
  const std::uint16_t port = server.value()->port();
  const TlsAnswer answer = https_get(port, "/status");
  EXPECT_THAT(answer.text, HasSubstr("200 OK"));
  EXPECT_THAT(answer.text, HasSubstr("{}\n"));
  EXPECT_EQ(answer.common_name, "first");

  write_certificate(spec_.tls.cert_file, spec_.tls.key_file, "second");
  const auto until = std::chrono::steady_clock::now() + 10s;
  std::string name;
  while (name != "second" && std::chrono::steady_clock::now() < until)
    name = https_get(port, "/status").common_name;
  EXPECT_EQ(name, "second");

  // Plain HTTP on a TLS port is no reason to fall over.
  RawClient plain(port);
  plain.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  plain.read(10s);
  EXPECT_EQ(https_get(port, "/status").common_name, "second");

  RawClient half(port);  // says nothing: the handshake waits
  https_get(port, "/status");
  const auto before = std::chrono::steady_clock::now();
  server.value().reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
}

TEST_F(Tls, KeepsTheOldCertificateWhenTheNewOneIsBroken) {
  write_certificate(spec_.tls.cert_file, spec_.tls.key_file, "first");
  auto server = MetricsServer::start(spec_, registry_, documents_, nullptr);
  ASSERT_TRUE(server);
  std::fclose(std::fopen(spec_.tls.key_file.c_str(), "we"));
  const auto until = std::chrono::steady_clock::now() + 1500ms;
  while (std::chrono::steady_clock::now() < until) {
    ASSERT_EQ(https_get(server.value()->port(), "/status").common_name, "first");
  }
}

TEST_F(Tls, RefusesWhatIsNoUsableCertificate) {
  const auto start = [&] {
    return MetricsServer::start(spec_, registry_, documents_, nullptr).error().text();
  };
  EXPECT_THAT(start(), HasSubstr("cannot open certificate '" + spec_.tls.cert_file + "'"));
  write_certificate(spec_.tls.cert_file, spec_.tls.key_file, "first");
  write_certificate(folder_ + "/other.pem", spec_.tls.key_file, "other");
  EXPECT_THAT(start(), HasSubstr("cannot use key"));
}

}  // namespace
}  // namespace containerpilot::telemetry
