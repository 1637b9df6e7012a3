#include "support/fake_http.h"

#include <arpa/inet.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace containerpilot::test {

namespace {

std::string path_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t slash = url.find('/', scheme == url.npos ? 0 : scheme + 3);
  return slash == url.npos ? "/" : url.substr(slash);
}

bool matches(const FakeHttpClient::Call& call, std::string_view method, std::string_view path) {
  return call.request.method == method && call.path.substr(0, call.path.find('?')) == path;
}

bool is_ip(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

struct FakeHttpClient::Live {
  Callback done;
  Watch timeout;
};

FakeHttpClient::~FakeHttpClient() = default;

Watch FakeHttpClient::request(HttpRequest request, Callback done) {
  Call& call = calls_.emplace_back();
  call.path = path_of(request.url);
  call.request = std::move(request);
  call.started_at = loop_.now();

  auto live = std::make_shared<Live>();
  live->done = std::move(done);
  live_[&call] = live;
  if (call.request.timeout > Duration(0)) {
    live->timeout = loop_.after(call.request.timeout, [this, &call] {
      end(call, Error(Errc::kTimeout, "cannot " + call.request.method + " '" + call.request.url +
                                          "': no answer in time"));
    });
  }
  if (handler_) {
    if (auto result = handler_(call)) end(call, std::move(*result));
  }
  return Watch([this, &call, weak = std::weak_ptr(live)] {
    const auto kept = weak.lock();
    if (!kept) return;  // over; perhaps the client is gone, too
    kept->done = nullptr;
    kept->timeout = Watch();
    call.cancelled = call.open;
    call.open = false;
    live_.erase(&call);
  });
}

std::size_t FakeHttpClient::open_calls() const {
  std::size_t n = 0;
  for (const Call& call : calls_) n += call.open ? 1 : 0;
  return n;
}

FakeHttpClient::Call& FakeHttpClient::last(std::string_view method, std::string_view path) {
  for (auto it = calls_.rbegin(); it != calls_.rend(); ++it) {
    if (matches(*it, method, path)) return *it;
  }
  std::fprintf(stderr, "no call %s %s among:\n", std::string(method).c_str(),
               std::string(path).c_str());
  for (const Call& call : calls_) {
    std::fprintf(stderr, "  %s %s\n", call.request.method.c_str(), call.path.c_str());
  }
  std::abort();
}

int FakeHttpClient::count(std::string_view method, std::string_view path) const {
  int n = 0;
  for (const Call& call : calls_) n += matches(call, method, path) ? 1 : 0;
  return n;
}

void FakeHttpClient::end(Call& call, Result<HttpResponse> result) {
  if (!call.open) return;
  call.open = false;
  loop_.post([this, &call, kept = std::move(result)]() mutable {
    const auto it = live_.find(&call);
    if (it == live_.end()) return;  // cancelled since
    const auto live = it->second;
    live_.erase(it);
    live->timeout = Watch();
    if (live->done) live->done(std::move(kept));
  });
  loop_.settle();
}

void FakeHttpClient::answer(Call& call, HttpResponse response) { end(call, std::move(response)); }

void FakeHttpClient::answer(Call& call, int status, std::string body, Headers headers) {
  end(call, HttpResponse{status, std::move(headers), std::move(body)});
}

void FakeHttpClient::fail(Call& call, Error error) { end(call, std::move(error)); }

void FakeHttpClient::data(Call& call, std::string_view piece) {
  loop_.post([this, &call, text = std::string(piece)] {
    if (!call.open || call.request.on_data(text)) return;
    end(call, Error(Errc::kUnavailable,
                    "cannot " + call.request.method + " '" + call.request.url + "': ended here"));
  });
  loop_.settle();
}

Watch FakeResolver::answer(const std::string& name, Answer answer, Duration timeout,
                           Callback done) {
  ++lookups_[name];
  if (!answer) {
    return loop_.after(timeout, [name, done = std::move(done)] {
      done(Error(Errc::kTimeout, "cannot resolve '" + name + "': no answer in time"));
    });
  }
  return loop_.after(Duration(0),
                     [answer = std::move(*answer), done = std::move(done)] { done(answer); });
}

Watch FakeResolver::resolve(const std::string& host, std::uint16_t port, Duration timeout,
                            Callback done) {
  if (is_ip(host)) {
    return answer(host, Answer(std::vector<Address>{{host, port}}), timeout, std::move(done));
  }
  Answer found = Answer(Error(Errc::kNotFound, "cannot resolve '" + host + "': no such name"));
  if (const auto it = answers_.find(host); it != answers_.end()) found = it->second;
  if (found && *found) {
    for (Address& address : found->value()) address.port = port;
  }
  return answer(host, std::move(found), timeout, std::move(done));
}

Watch FakeResolver::resolve_all(const std::string& host, std::uint16_t port, Duration timeout,
                                Callback done) {
  if (const auto it = half_failed_.find(host); it != half_failed_.end()) {
    return answer(host, Answer(it->second), timeout, std::move(done));
  }
  return resolve(host, port, timeout, std::move(done));
}

Watch FakeResolver::resolve_srv(const std::string& name, Duration timeout, Callback done) {
  Answer found = Answer(Error(Errc::kNotFound, "cannot resolve '" + name + "': no such name"));
  if (const auto it = answers_.find(name); it != answers_.end()) found = it->second;
  return answer(name, std::move(found), timeout, std::move(done));
}

void FakeResolver::set(const std::string& host, std::vector<std::string> ips) {
  std::vector<Address> addresses;
  for (std::string& ip : ips) addresses.push_back({std::move(ip), 0});
  answers_.insert_or_assign(host, Answer(std::move(addresses)));
  half_failed_.erase(host);
}

void FakeResolver::set_half(const std::string& host, std::vector<std::string> ips, Error error) {
  set(host, std::move(ips));
  half_failed_.insert_or_assign(host, std::move(error));
}

void FakeResolver::set_srv(const std::string& name, std::vector<Address> addresses) {
  answers_.insert_or_assign(name, Answer(std::move(addresses)));
}

void FakeResolver::fail(const std::string& name, Error error) {
  answers_.insert_or_assign(name, Answer(std::move(error)));
}

void FakeResolver::hang(const std::string& name) { answers_.insert_or_assign(name, std::nullopt); }

int FakeResolver::lookups(const std::string& name) const {
  const auto it = lookups_.find(name);
  return it == lookups_.end() ? 0 : it->second;
}

}  // namespace containerpilot::test
