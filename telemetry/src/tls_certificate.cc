#include "tls_certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <array>
#include <string>
#include <utility>

#include "containerpilot/supervisor/log.h"

namespace containerpilot::telemetry {
namespace {

/// Looking at two files per handshake would be cheap, but once a second is as good.
constexpr std::chrono::seconds kLookInterval{1};

struct CloseBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, CloseBio>;

Error tls_error(const std::string& what) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  ERR_clear_error();
  return {Errc::kInvalid, what + ": " + reason.data()};
}

}  // namespace

struct TlsCertificate::Pair {
  X509* certificate = nullptr;
  STACK_OF(X509) * chain = sk_X509_new_null();
  EVP_PKEY* key = nullptr;

  Pair() = default;
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    X509_free(certificate);
    sk_X509_pop_free(chain, X509_free);
    EVP_PKEY_free(key);
  }
};

struct TlsCertificate::Stamp {
  std::array<std::pair<ino_t, std::pair<time_t, long>>, 2> files{};

  explicit Stamp(const ServerTls& tls) {
    const std::array paths = {&tls.cert_file, &tls.key_file};
    for (std::size_t i = 0; i < paths.size(); ++i) {
      struct stat info {};
      if (::stat(paths[i]->c_str(), &info) == 0) {
        files[i] = {info.st_ino, {info.st_mtim.tv_sec, info.st_mtim.tv_nsec}};
      }
    }
  }
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

TlsCertificate::TlsCertificate(ServerTls files)
    : files_(std::move(files)), stamp_(std::make_shared<const Stamp>(files_)) {}

Result<std::unique_ptr<TlsCertificate>> TlsCertificate::load(const ServerTls& files) {
  auto made = std::unique_ptr<TlsCertificate>(new TlsCertificate(files));
  auto pair = read(files);
  if (!pair) return std::move(pair).error();
  made->pair_ = std::move(pair).value();
  return made;
}

Result<std::shared_ptr<const TlsCertificate::Pair>> TlsCertificate::read(const ServerTls& files) {
  auto pair = std::make_shared<Pair>();
  const Bio certificates(BIO_new_file(files.cert_file.c_str(), "r"));
  if (!certificates) return tls_error("cannot open certificate '" + files.cert_file + "'");
  pair->certificate = PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr);
  if (pair->certificate == nullptr) {
    return tls_error("cannot read certificate '" + files.cert_file + "', PEM is expected");
  }
  while (X509* next = PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr)) {
    sk_X509_push(pair->chain, next);
  }
  ERR_clear_error();  // the end of the file is reported as an error
  const Bio key(BIO_new_file(files.key_file.c_str(), "r"));
  if (!key) return tls_error("cannot open key '" + files.key_file + "'");
  pair->key = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
  if (pair->key == nullptr) {
    return tls_error("cannot read key '" + files.key_file +
                     "', PEM without a password is expected");
  }
  if (X509_check_private_key(pair->certificate, pair->key) != 1) {
    return tls_error("cannot use key '" + files.key_file + "' with certificate '" +
                     files.cert_file + "'");
  }
  return std::shared_ptr<const Pair>(std::move(pair));
}

void TlsCertificate::install(SSL_CTX* context) {
  SSL_CTX_set_cert_cb(context, &TlsCertificate::on_handshake, this);
}

int TlsCertificate::on_handshake(SSL* ssl, void* self) {
  const auto pair = static_cast<TlsCertificate*>(self)->newest();
  return SSL_use_cert_and_key(ssl, pair->certificate, pair->key, pair->chain, 1);
}

std::shared_ptr<const TlsCertificate::Pair> TlsCertificate::newest() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_at_ < kLookInterval) return pair_;
  looked_at_ = now;
  auto stamp = std::make_shared<const Stamp>(files_);
  if (*stamp == *stamp_) return pair_;
  stamp_ = std::move(stamp);
  if (auto fresh = read(files_)) {
    pair_ = std::move(fresh).value();
    log_info("telemetry", "certificate '" + files_.cert_file + "' was replaced");
  } else {
    log_warn("telemetry", fresh.error().text() + ", keeping the certificate in use");
  }
  return pair_;
}

}  // namespace containerpilot::telemetry
