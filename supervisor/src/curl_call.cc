#include "curl_call.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string_view>

#include "errno_text.h"
#include "socket_address.h"

namespace containerpilot {

namespace {

constexpr std::size_t kMaxHeader = 64 * 1024;

long milliseconds(Duration d) {
  return static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(d).count());
}

constexpr std::size_t kPiece = 256 * 1024;  // of a body

/// curl's own socket() forgets close-on-exec.
curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int refuse_to_resolve(void*, void*, void*) { return 1; }

std::string bracketed(const std::string& host) {
  return host.find(':') == host.npos ? host : "[" + host + "]";
}

Errc kind_of(CURLcode code, bool answer_begun) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Errc::kTimeout;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_GOT_NOTHING:
      return Errc::kUnavailable;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return answer_begun ? Errc::kIo : Errc::kUnavailable;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_NOT_BUILT_IN:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return Errc::kInvalid;
    default:
      return Errc::kIo;
  }
}

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string url_part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string result = text;
  curl_free(text);
  return result;
}

bool has_line_break(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != text.npos;
}

}  // namespace

Result<HttpUrl> parse_http_url(const HttpRequest& request) {
  const auto invalid = [&](const std::string& what, const std::string& why) {
    return Error(Errc::kInvalid, "cannot " + request.method + " '" + what + "': " + why);
  };
  const std::unique_ptr<CURLU, UrlDeleter> url(curl_url());
  const CURLUcode code =
      curl_url_set(url.get(), CURLUPART_URL, request.url.c_str(), CURLU_PATH_AS_IS);
  if (code != CURLUE_OK) {
    // Not the url itself: what is malformed cannot be rid of its password either.
    return Error(Errc::kInvalid, "cannot " + request.method + " a url that cannot be read (" +
                                     curl_url_strerror(code) +
                                     "): it must look like 'http://host:port/path'");
  }
  const std::string scheme = url_part(url.get(), CURLUPART_SCHEME);
  HttpUrl result;
  result.host = url_part(url.get(), CURLUPART_HOST);
  const std::string authority =
      result.host + ":" + url_part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  result.shown = scheme + "://" + authority + url_part(url.get(), CURLUPART_PATH);
  if (scheme != "http" && scheme != "https") {
    return invalid(result.shown, "only http:// and https:// are spoken");
  }
  const std::string port = authority.substr(result.host.size() + 1);
  std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (result.host.size() > 2 && result.host.front() == '[') {
    result.host = result.host.substr(1, result.host.size() - 2);
  }
  if (!request.tls.server_name.empty() &&
      curl_url_set(url.get(), CURLUPART_HOST, request.tls.server_name.c_str(), 0) != CURLUE_OK) {
    return invalid(result.shown, "'" + request.tls.server_name + "' is not a server name");
  }
  // As it came, where nothing was changed: to write a url anew is the dearest part of a call.
  result.url = request.tls.server_name.empty() ? request.url : url_part(url.get(), CURLUPART_URL);

  if (!request.unix_socket.empty()) {
    if (Result<SocketAddress> path = unix_address(request.unix_socket); !path) {
      return std::move(path).error().during("cannot " + request.method + " '" + result.shown + "'");
    }
    result.shown += "' on '" + request.unix_socket;
  }
  if (request.method.empty() ||
      request.method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != std::string::npos) {
    return invalid(result.shown, "bad method");
  }
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || has_line_break(name) || has_line_break(value)) {
      return invalid(result.shown, "header '" + (has_line_break(name) ? "" : name) +
                                       "' is empty or contains a line break");
    }
  }
  return result;
}

CurlCall::CurlCall(const HttpRequest& request, const HttpUrl& url,
                   const std::vector<Address>& addresses, const std::string& ca_certificates)
    : request_(request), shown_(url.shown), easy_(curl_easy_init()) {
  if (easy_ == nullptr) {
    setup_ = CURLE_OUT_OF_MEMORY;
    return;
  }
  set_basics(url);
  set_method();
  set_headers(url);
  set_route(url, addresses);
  set_tls(ca_certificates);
}

CurlCall::~CurlCall() {
  if (easy_ != nullptr) curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(resolve_);
  curl_slist_free_all(connect_to_);
}

void CurlCall::append(curl_slist*& list, const std::string& text) {
  curl_slist* const longer = curl_slist_append(list, text.c_str());
  if (longer == nullptr) {
    setup_ = CURLE_OUT_OF_MEMORY;
  } else {
    list = longer;
  }
}

void CurlCall::set_basics(const HttpUrl& url) {
  set(CURLOPT_URL, url.url.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PROXY,
      "");  // the agent's own calls go where the config says, whatever http_proxy says
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(request_.connect_timeout));
  set(CURLOPT_USERAGENT, "containerpilot");
  set(CURLOPT_ERRORBUFFER, error_);
  set(CURLOPT_HEADERFUNCTION, &CurlCall::on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &CurlCall::on_body);
  set(CURLOPT_WRITEDATA, this);
  // curl reads a hundred of these in one go, from each connection that has as much.
  set(CURLOPT_BUFFERSIZE, 4096L);
  if (!request_.on_data) set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(request_.max_body));
}

void CurlCall::set_method() {
  if (request_.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
    return;
  }
  const bool sends_body = !request_.body.empty() || request_.method == "POST" ||
                          request_.method == "PUT" || request_.method == "PATCH";
  if (sends_body) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.c_str());  // not copied
  }
  if (request_.method != (sends_body ? "POST" : "GET")) {
    set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
}

void CurlCall::set_headers(const HttpUrl& url) {
  append(headers_, "Expect:");  // no second of waiting for "100 Continue"
  if (find_header(request_.headers, "Content-Type") == nullptr) append(headers_, "Content-Type:");
  for (const auto& [name, value] : request_.headers) {
    // "Name;" is curl's way to say a header without a value.
    std::string line = name;
    append(headers_, line.append(value.empty() ? ";" : ": ").append(value));
  }
  if (!request_.tls.server_name.empty() && find_header(request_.headers, "Host") == nullptr) {
    append(headers_, "Host: " + bracketed(url.host) + ":" + std::to_string(url.port));
  }
  set(CURLOPT_HTTPHEADER, headers_);
}

/// Where to connect. The addresses are given, so that curl never resolves a name itself: its
/// resolver starts a thread per name and can block.
void CurlCall::set_route(const HttpUrl& url, const std::vector<Address>& addresses) {
  if (!request_.unix_socket.empty()) {
    set(CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket.c_str());
    return;
  }
  const std::string where = bracketed(url.host) + ":" + std::to_string(url.port);
  if (!request_.tls.server_name.empty()) {
    append(connect_to_, "::" + where);
    set(CURLOPT_CONNECT_TO, connect_to_);
  }
  if (addresses.empty()) return;  // a literal
  std::string list;
  for (const Address& address : addresses) {
    list += (list.empty() ? "" : ",") + bracketed(address.ip);
  }
  append(resolve_, where + ":" + list);
  set(CURLOPT_RESOLVE, resolve_);
  // Should curl ever look for another name than the one it was given, it shall fail, not block.
  set(CURLOPT_RESOLVER_START_FUNCTION, &refuse_to_resolve);
}

void CurlCall::set_tls(const std::string& ca_certificates) {
  const HttpTls& tls = request_.tls;
  // The handshake says whether this server's connections can be shared (HTTP/2): worth waiting for.
  // Without TLS only an answer would tell, and that may be held back for a minute.
  if (request_.url.compare(0, 6, "https:") == 0) set(CURLOPT_PIPEWAIT, 1L);
  set(CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  if (!ca_certificates.empty()) {
    curl_blob blob{};
    blob.data = const_cast<char*>(ca_certificates.data());  // curl copies it
    blob.len = ca_certificates.size();
    blob.flags = CURL_BLOB_COPY;
    set(CURLOPT_CAINFO, static_cast<const char*>(nullptr));
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    set(CURLOPT_CAINFO_BLOB, &blob);
  } else if (!tls.ca_file.empty() || !tls.ca_path.empty()) {
    // A CA given by the user replaces those of the system; null switches curl's default off.
    set(CURLOPT_CAINFO, tls.ca_file.empty() ? nullptr : tls.ca_file.c_str());
    set(CURLOPT_CAPATH, tls.ca_path.empty() ? nullptr : tls.ca_path.c_str());
  }
  if (!tls.client_cert.empty()) set(CURLOPT_SSLCERT, tls.client_cert.c_str());
  if (!tls.client_key.empty()) set(CURLOPT_SSLKEY, tls.client_key.c_str());
}

bool CurlCall::connected() const {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &microseconds);
  return microseconds > 0;
}

std::size_t CurlCall::on_header(char* data, std::size_t size, std::size_t n, void* self) {
  auto* const call = static_cast<CurlCall*>(self);
  std::string_view line(data, size * n);
  call->header_size_ += line.size();
  if (call->header_size_ > kMaxHeader) {
    call->too_long_ = true;
    return 0;
  }
  if (call->body_begun_) return size * n;  // trailers
  if (line.substr(0, 5) == "HTTP/") {
    call->response_.headers.clear();  // after "100 Continue" comes the real one
    return size * n;
  }
  const std::size_t colon = line.find(':');
  if (colon != line.npos) {
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value = value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
    call->response_.headers.emplace_back(line.substr(0, colon), value);
  }
  return size * n;
}

std::size_t CurlCall::on_body(char* data, std::size_t size, std::size_t n, void* self) {
  auto* const call = static_cast<CurlCall*>(self);
  call->body_begun_ = true;
  if (call->request_.on_data) {
    call->data_.append(data, size * n);
    return size * n;
  }
  std::string& piece = call->response_.body;
  if (call->earlier_.size() * kPiece + piece.size() + size * n > call->request_.max_body) {
    call->too_long_ = true;
    return 0;
  }
  const std::size_t fits = std::min(size * n, kPiece - piece.size());
  piece.append(data, fits);
  if (piece.size() == kPiece) {
    call->earlier_.push_back(std::move(piece));
    piece.assign(data + fits, size * n - fits);
  }
  return size * n;
}

std::string CurlCall::cause(CURLcode code) const {
  long sys_errno = 0;
  char* ip = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &sys_errno);
  curl_easy_getinfo(easy_, CURLINFO_PRIMARY_IP, &ip);
  std::string text = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
  if (sys_errno != 0 &&
      (code == CURLE_COULDNT_CONNECT || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR)) {
    text = detail::errno_text(static_cast<int>(sys_errno));
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    text = "not connected within " + std::to_string(milliseconds(request_.connect_timeout)) + "ms";
  } else if (code == CURLE_GOT_NOTHING) {
    text = "connection closed without an answer";
  } else if (code == CURLE_PARTIAL_FILE) {
    text = "connection closed in the middle of the answer";
  }
  if (ip != nullptr && *ip != '\0' && shown_.find(ip) == shown_.npos) {
    text += " (at " + std::string(ip) + ")";
  }
  return text;
}

Result<HttpResponse> CurlCall::outcome(CURLcode code) {
  const std::string cannot = "cannot " + request_.method + " '" + shown_ + "': ";
  if (setup_ != CURLE_OK) code = setup_;
  const bool said_too_long = code == CURLE_FILESIZE_EXCEEDED;
  if (too_long_ || said_too_long) {
    return Error(Errc::kIo, cannot + (body_begun_ || said_too_long
                                          ? "the answer is longer than " +
                                                std::to_string(request_.max_body) + " bytes"
                                          : "the answer's header is too long"));
  }
  if (code != CURLE_OK) {
    long sys_errno = 0;
    curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &sys_errno);
    return Error(kind_of(code, header_size_ > 0), cannot + cause(code),
                 static_cast<int>(sys_errno));
  }
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  long version = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_VERSION, &version);
  response_.multiplexed = version >= CURL_HTTP_VERSION_2_0;
  if (!earlier_.empty()) {
    std::string whole;
    whole.reserve(earlier_.size() * kPiece + response_.body.size());
    for (const std::string& piece : earlier_) whole += piece;
    response_.body = std::move(whole += response_.body);
  }
  return std::move(response_);
}

}  // namespace containerpilot
