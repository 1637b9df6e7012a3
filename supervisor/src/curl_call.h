#pragma once

#include <curl/curl.h>

#include <string>
#include <utility>
#include <vector>

#include "containerpilot/supervisor/http.h"

namespace containerpilot {

/// The parts of a request's url the client needs itself.
struct HttpUrl {
  std::string url;   ///< as curl shall see it (its host is tls.server_name if that is set)
  std::string host;  ///< to be resolved; IPv6 without brackets
  std::uint16_t port = 0;
  std::string shown;  ///< for messages: without user, password and query
};
/// Errors: kInvalid.
Result<HttpUrl> parse_http_url(const HttpRequest& request);

/// One call as curl sees it: an easy handle with everything it points to. Collects what comes;
/// calls nobody back, because inside curl's callbacks nothing may be ended.
class CurlCall {
 public:
  /// `ca_certificates` (PEM) stand for request.tls.ca_file and ca_path if there are any.
  CurlCall(const HttpRequest& request, const HttpUrl& url, const std::vector<Address>& addresses,
           const std::string& ca_certificates = {});
  ~CurlCall();
  CurlCall(const CurlCall&) = delete;
  CurlCall& operator=(const CurlCall&) = delete;

  [[nodiscard]] CURL* easy() const { return easy_; }
  /// Not CURLE_OK: an option was refused; outcome() says which way.
  [[nodiscard]] CURLcode setup() const { return setup_; }
  /// The request went out, or could have.
  [[nodiscard]] bool connected() const;
  [[nodiscard]] bool has_data() const { return !data_.empty(); }
  /// What arrived since the last time, for calls with on_data.
  std::string take_data() { return std::exchange(data_, {}); }
  /// What the end of the transfer means.
  Result<HttpResponse> outcome(CURLcode code);

 private:
  static std::size_t on_header(char* data, std::size_t size, std::size_t n, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t n, void* self);
  void set_basics(const HttpUrl& url);
  void set_method();
  void set_headers(const HttpUrl& url);
  void set_route(const HttpUrl& url, const std::vector<Address>& addresses);
  void set_tls(const std::string& ca_certificates);
  template <class T>
  void set(CURLoption option, T value) {
    if (setup_ == CURLE_OK) setup_ = curl_easy_setopt(easy_, option, value);
  }
  void append(curl_slist*& list, const std::string& text);
  [[nodiscard]] std::string cause(CURLcode code) const;

  const HttpRequest& request_;  // of the client's call, which owns this
  const std::string shown_;
  CURL* easy_ = nullptr;
  CURLcode setup_ = CURLE_OK;  // first failure of a setopt
  curl_slist* headers_ = nullptr;
  curl_slist* resolve_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char error_[CURL_ERROR_SIZE] = "";
  HttpResponse response_;             // of a long body the last piece
  std::vector<std::string> earlier_;  // the others: growing one string copies it again and again
  std::size_t header_size_ = 0;
  std::string data_;
  bool body_begun_ = false;
  bool too_long_ = false;
};

}  // namespace containerpilot
