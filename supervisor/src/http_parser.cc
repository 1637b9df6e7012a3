#include "http_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <optional>
#include <string>

#include "http_message.h"

namespace containerpilot {

namespace http = boost::beast::http;
using boost::beast::error_code;

namespace {

using Refusal = HttpRequestParser::Refusal;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

Refusal refusal_of(error_code ec) {
  if (ec == http::error::header_limit) return {431, "header too large"};
  if (ec == http::error::body_limit) return {413, "body too large"};
  if (ec == http::error::bad_version) return {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
  if (ec == http::error::bad_method) return {400, "bad method"};
  if (ec == http::error::bad_target) return {400, "bad request target"};
  if (ec == http::error::bad_content_length) return {400, "bad Content-Length"};
  if (ec == http::error::bad_transfer_encoding) return {400, "bad Transfer-Encoding"};
  if (ec == http::error::bad_chunk || ec == http::error::bad_chunk_extension) {
    return {400, "bad chunk"};
  }
  return {400, "bad header"};
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_host(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._~%!$&'()*+;=:[]").find(c) != std::string_view::npos;
  });
}

/// Beast's parser with the checks it leaves to its user. It calls back for every element.
class BeastParser : public http::basic_parser<true> {
 public:
  BeastParser(const HttpServerLimits& limits, HttpRequestParser::Host host)
      : host_required_(host == HttpRequestParser::Host::kRequired) {
    header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(limits.max_header, UINT32_MAX)));
    body_limit(limits.max_body);
  }

  HttpServerRequest request;
  std::optional<Refusal> refusal;
  bool http_1_0 = false;
  bool expects_continue = false;
  bool asks_to_stay = false;

 private:
  void refuse(Refusal why, error_code& ec) {
    refusal = why;
    ec = http::error::bad_value;
  }

  void on_request_impl(http::verb, boost::beast::string_view method,
                       boost::beast::string_view target, int version, error_code& ec) override {
    http_1_0 = version == 10;
    request.method = view(method);
    request.target = view(target);
    // Methods are case-sensitive; all registered ones are upper case.
    if (!std::all_of(method.begin(), method.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; })) {
      return refuse({400, "bad method"}, ec);
    }
    std::optional<HttpTarget> parsed = parse_http_target(request.target);
    if (!parsed || (parsed->path == "*" && request.method != "OPTIONS")) {
      return refuse({400, "bad request target"}, ec);
    }
    request.path = std::move(parsed->path);
    request.query = std::move(parsed->query);
  }

  void on_field_impl(http::field field, boost::beast::string_view name,
                     boost::beast::string_view value, error_code& ec) override {
    if (in_body_) return;  // a trailer: it must not become a header after the fact
    switch (field) {
      case http::field::host:
        if (++hosts_ > 1) return refuse({400, "two Host headers"}, ec);
        if (!is_host(view(value))) return refuse({400, "bad Host"}, ec);
        break;
      case http::field::content_length:
        if (++lengths_ > 1) return refuse({400, "two Content-Length headers"}, ec);
        if (!is_digits(view(value))) return refuse({400, "bad Content-Length"}, ec);
        break;
      case http::field::transfer_encoding:
        // "identity", "gzip, chunked" and friends: nobody needs them, proxies disagree about them.
        if (!equal_ignoring_case(view(value), "chunked") || http_1_0) {
          return refuse({400, "bad Transfer-Encoding"}, ec);
        }
        break;
      case http::field::connection:
        asks_to_stay = asks_to_stay || http::token_list(value).exists("keep-alive");
        break;
      case http::field::expect:
        expects_continue = !http_1_0 && equal_ignoring_case(view(value), "100-continue");
        break;
      default:
        break;
    }
    request.headers.emplace_back(view(name), view(value));
  }

  void on_header_impl(error_code& ec) override {
    in_body_ = true;
    if (hosts_ == 0 && host_required_ && !http_1_0) refuse({400, "no Host header"}, ec);
  }

  std::size_t append_body(boost::beast::string_view data) {
    request.body.append(data.data(), data.size());
    return data.size();
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(boost::beast::string_view data, error_code&) override {
    return append_body(data);
  }
  void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view data,
                                 error_code&) override {
    return append_body(data);
  }
  void on_finish_impl(error_code&) override {}
  // Responses only.
  void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}

  bool host_required_;
  bool in_body_ = false;
  int hosts_ = 0;
  int lengths_ = 0;
};

/// Looks at the raw bytes of a header as they come: what Beast tolerates (folded lines) or would
/// see only once the header is complete (the first byte of a TLS hello) ends here.
class HeaderScan {
 public:
  enum class State { kNeedMore, kBad, kComplete };
  /// `data` is the header so far; only what is new is looked at.
  State scan(std::string_view data) {
    for (; size_ < data.size(); ++size_) {
      const auto c = static_cast<unsigned char>(data[size_]);
      const char before = size_ > 0 ? data[size_ - 1] : '\0';
      if ((before == '\r') != (c == '\n')) return State::kBad;
      if ((c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f) return State::kBad;
      if (before == '\n' && (c == ' ' || c == '\t')) return State::kBad;
      if (c == '\n' && size_ >= 3 && data[size_ - 2] == '\n') {
        ++size_;
        return State::kComplete;
      }
    }
    return State::kNeedMore;
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

}  // namespace

struct HttpRequestParser::Impl {
  Impl(const HttpServerLimits& l, Host h) : limits(l), host(h), beast(std::in_place, l, h) {}

  Progress refuse(Refusal why) {
    refusal = why;
    return {State::kRefused, 0};
  }

  /// The header is handed over whole, so that Beast never has to look at a part of it twice.
  Progress feed_header(std::string_view data) {
    switch (scan.scan(data.substr(0, limits.max_header))) {
      case HeaderScan::State::kBad:
        return refuse({400, "bad header"});
      case HeaderScan::State::kNeedMore:
        if (data.size() >= limits.max_header) return refuse({431, "header too large"});
        return {State::kNeedMore, 0};
      case HeaderScan::State::kComplete:
        break;
    }
    error_code ec;
    beast->put({data.data(), scan.size()}, ec);
    if (ec || !beast->is_header_done()) {
      return refuse(beast->refusal.value_or(refusal_of(ec)));
    }
    return {beast->is_done() ? State::kComplete : State::kNeedMore, scan.size()};
  }

  Progress feed_body(std::string_view data) {
    std::size_t consumed = 0;
    // The shortest end of a chunked body is "0\r\n\r\n". Beast 1.74 asserts that it never sees less
    // of it twice, so it gets nothing shorter; nobody waits longer for that.
    const std::size_t least = beast->chunked() ? 5 : 1;
    while (data.size() - consumed >= least && !beast->is_done()) {
      error_code ec;
      consumed += beast->put({data.data() + consumed, data.size() - consumed}, ec);
      if (ec == http::error::need_more) break;
      if (ec) return refuse(beast->refusal.value_or(refusal_of(ec)));
    }
    if (beast->is_done()) return {State::kComplete, consumed};
    // What Beast does not consume is the head of a chunk or the trailer: neither may grow for ever.
    if (data.size() - consumed > limits.max_header) return refuse({400, "bad chunk"});
    return {State::kNeedMore, consumed};
  }

  const HttpServerLimits limits;
  const Host host;
  HeaderScan scan;
  std::optional<BeastParser> beast;
  Refusal refusal;
};

HttpRequestParser::HttpRequestParser(const HttpServerLimits& limits, Host host)
    : impl_(std::make_unique<Impl>(limits, host)) {}
HttpRequestParser::~HttpRequestParser() = default;

HttpRequestParser::Progress HttpRequestParser::feed(std::string_view data) {
  if (impl_->beast->is_header_done()) return impl_->feed_body(data);
  const Progress header = impl_->feed_header(data);
  if (header.state != State::kNeedMore || !header_done()) return header;
  const Progress body = impl_->feed_body(data.substr(header.consumed));
  return {body.state, header.consumed + body.consumed};
}

bool HttpRequestParser::header_done() const { return impl_->beast->is_header_done(); }
bool HttpRequestParser::expects_continue() const { return impl_->beast->expects_continue; }
Refusal HttpRequestParser::refusal() const { return impl_->refusal; }
bool HttpRequestParser::keep_alive() const {
  return impl_->beast->keep_alive() &&
         (impl_->limits.keep_alive_unasked || impl_->beast->asks_to_stay);
}
bool HttpRequestParser::http_1_0() const { return impl_->beast->http_1_0; }

HttpServerRequest HttpRequestParser::take() {
  HttpServerRequest request = std::move(impl_->beast->request);
  impl_->beast.emplace(impl_->limits, impl_->host);
  impl_->scan = {};
  return request;
}

std::string_view http_reason(int status) {
  if (status < 100 || status > 999) return "Unknown";
  const auto text = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return text.empty() ? "Unknown" : view(text);
}

}  // namespace containerpilot
