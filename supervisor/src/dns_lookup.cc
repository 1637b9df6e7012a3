#include "dns_lookup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include <algorithm>
#include <mutex>

namespace containerpilot {

namespace {

/// First wait for a server; doubled with each round.
constexpr int kTryMilliseconds = 1000;
constexpr int kTries = 3;
/// How long an address of one family waits for those of the other (RFC 8305 says 50 ms).
constexpr Duration kGrace = std::chrono::milliseconds(300);
constexpr std::size_t kMaxTargets = 512;
constexpr int kClassIn = 1;
constexpr int kTypeSrv = 33;

bool is_not_found(int status) { return status == ARES_ENOTFOUND || status == ARES_ENODATA; }

std::string text_of(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  } else if (address->sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text,
              sizeof text);
  }
  return text;
}

}  // namespace

SrvAnswer decode_srv(const unsigned char* answer, int length) {
  SrvAnswer decoded;
  ares_srv_reply* reply = nullptr;
  decoded.status = ares_parse_srv_reply(answer, length, &reply);
  const std::unique_ptr<ares_srv_reply, decltype(&ares_free_data)> owner(reply, &ares_free_data);
  if (decoded.status != ARES_SUCCESS) return decoded;
  for (const ares_srv_reply* one = reply; one != nullptr; one = one->next) {
    const std::string host = one->host;
    if (!host.empty() && host != ".") {
      decoded.records.push_back({host, one->port, one->priority, one->weight});
    }
  }
  std::stable_sort(
      decoded.records.begin(), decoded.records.end(), [](const SrvRecord& a, const SrvRecord& b) {
        return a.priority != b.priority ? a.priority < b.priority : a.weight > b.weight;
      });
  if (decoded.records.size() > kMaxTargets) decoded.records.resize(kMaxTargets);
  if (decoded.records.empty()) decoded.status = ARES_ENODATA;
  return decoded;
}

DnsLookup::DnsLookup(Reactor& reactor, std::string name, Want want, Resolver::Callback done)
    : reactor_(reactor), name_(std::move(name)), want_(want), done_(std::move(done)) {}

DnsLookup::~DnsLookup() {
  closing_ = true;  // c-ares calls back for everything that is still open
  if (channel_ != nullptr) ares_destroy(channel_);
}

bool DnsLookup::open(const std::vector<std::string>& servers, Duration timeout) {
  static std::once_flag once;
  std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });

  timeout_ = timeout;
  deadline_ = reactor_.after(timeout, [this] { on_deadline(); });
  ares_options options{};
  char dns_only[] = "b";  // the hosts file was looked at before
  options.lookups = dns_only;
  options.timeout = kTryMilliseconds;
  options.tries = kTries;
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int read, int write) {
    static_cast<DnsLookup*>(self)->on_socket_state(fd, read != 0, write != 0);
  };
  int status = ares_init_options(
      &channel_, &options,
      ARES_OPT_LOOKUPS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (status == ARES_SUCCESS && !servers.empty()) {
    std::string list;
    for (const std::string& server : servers) list += (list.empty() ? "" : ",") + server;
    status = ares_set_servers_ports_csv(channel_, list.c_str());
  }
  if (status == ARES_SUCCESS) return true;
  failure_ = status;
  return false;
}

void DnsLookup::start_addresses(const std::vector<std::string>& servers, std::uint16_t port,
                                Duration timeout) {
  if (open(servers, timeout)) add_target(name_, port);
  after_ares();
}

void DnsLookup::start_srv(const std::vector<std::string>& servers, Duration timeout) {
  if (open(servers, timeout)) {
    ++pending_;
    ares_search(
        channel_, name_.c_str(), kClassIn, kTypeSrv,
        [](void* self, int status, int, unsigned char* answer, int length) {
          static_cast<DnsLookup*>(self)->on_srv(status, answer, length);
        },
        this);
  }
  after_ares();
}

/// Asks for both families apart: what one server or path does to AAAA must not cost us the A
/// record.
void DnsLookup::add_target(std::string host, std::uint16_t port) {
  Target& target = targets_.emplace_back(Target{this, std::move(host), port, {}, ARES_SUCCESS});
  for (const int family : {AF_INET, AF_INET6}) {
    ares_addrinfo_hints hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    ++pending_;
    ares_getaddrinfo(
        channel_, target.host.c_str(), nullptr, &hints,
        [](void* t, int status, int, ares_addrinfo* answer) {
          auto* const of = static_cast<Target*>(t);
          of->lookup->on_addresses(*of, status, answer);
        },
        &target);
  }
}

void DnsLookup::on_addresses(Target& target, int status, ares_addrinfo* answer) {
  const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owner(answer,
                                                                           &ares_freeaddrinfo);
  if (closing_) return;
  --pending_;
  if (status != ARES_SUCCESS) {
    if (target.failure == ARES_SUCCESS || is_not_found(target.failure)) target.failure = status;
    return;
  }
  for (const ares_addrinfo_node* node = answer->nodes; node != nullptr; node = node->ai_next) {
    const Address address{text_of(node->ai_addr), target.port};
    if (std::find(target.addresses.begin(), target.addresses.end(), address) ==
        target.addresses.end()) {
      target.addresses.push_back(address);
    }
  }
}

void DnsLookup::on_srv(int status, unsigned char* answer, int length) {
  if (closing_) return;
  --pending_;
  SrvAnswer decoded;
  decoded.status = status;
  if (status == ARES_SUCCESS) decoded = decode_srv(answer, length);
  failure_ = decoded.status;
  for (SrvRecord& record : decoded.records) add_target(std::move(record.host), record.port);
}

void DnsLookup::on_socket_state(int fd, bool read, bool write) {
  sockets_.erase(fd);
  if (!read && !write) return;
  const std::uint32_t events = (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u);
  sockets_[fd] = reactor_.on_fd(fd, events, [this, fd](std::uint32_t got) {
    const auto self = shared_from_this();
    const bool broken = (got & (EPOLLERR | EPOLLHUP)) != 0;
    ares_process_fd(channel_, (got & EPOLLIN) != 0 || broken ? fd : ARES_SOCKET_BAD,
                    (got & EPOLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
    after_ares();
  });
}

void DnsLookup::after_ares() {
  if (pending_ == 0) {
    // Not from inside the call that started it, and not while c-ares is on the stack.
    finish_ = reactor_.after(Duration(0), [this] { finish(outcome()); });
    return;
  }
  if (enough() && !grace_.active()) {
    grace_ = reactor_.after(kGrace, [this] { finish(outcome()); });
  }
  timeval storage{};
  if (const timeval* const left = ares_timeout(channel_, nullptr, &storage)) {
    const Duration wait =
        std::chrono::seconds(left->tv_sec) + std::chrono::microseconds(left->tv_usec);
    // c-ares reads its own clock: a little more, so that its deadline has passed on it, too.
    retry_ = reactor_.after(wait + std::chrono::milliseconds(1), [this] {
      const auto self = shared_from_this();
      ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      after_ares();
    });
  }
}

void DnsLookup::on_deadline() {
  if (enough()) return finish(outcome());
  finish(error(ARES_ETIMEOUT));
}

bool DnsLookup::enough() const {
  return want_ == Want::kSome && !targets_.empty() &&
         std::all_of(targets_.begin(), targets_.end(),
                     [](const Target& target) { return !target.addresses.empty(); });
}

Result<std::vector<Address>> DnsLookup::outcome() const {
  if (failure_ != ARES_SUCCESS) return error(failure_);
  std::vector<Address> all;
  for (const Target& target : targets_) {
    const bool failed = target.failure != ARES_SUCCESS && !is_not_found(target.failure);
    if (failed && (want_ == Want::kAll || target.addresses.empty())) return error(target.failure);
    all.insert(all.end(), target.addresses.begin(), target.addresses.end());
  }
  if (all.empty()) return error(ARES_ENOTFOUND);
  return all;
}

Error DnsLookup::error(int status) const {
  const std::string cannot = "cannot resolve '" + name_ + "': ";
  switch (status) {
    case ARES_ENOTFOUND:
      return Error(Errc::kNotFound, cannot + "no such name");
    case ARES_ENODATA:
      return Error(Errc::kNotFound, cannot + "the name has no address");
    case ARES_EBADNAME:
      return Error(Errc::kInvalid, cannot + "that is not a host name");
    case ARES_ETIMEOUT: {
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout_);
      return Error(Errc::kTimeout,
                   cannot + "no DNS server answered within " + std::to_string(ms.count()) + "ms");
    }
    default:
      return Error(Errc::kUnavailable, cannot + ares_strerror(status));
  }
}

void DnsLookup::finish(Result<std::vector<Address>> result) {
  const auto self = shared_from_this();
  finish_ = Watch();
  grace_ = Watch();
  deadline_ = Watch();
  retry_ = Watch();
  closing_ = true;
  ares_destroy(channel_);
  channel_ = nullptr;
  const Resolver::Callback done = std::exchange(done_, nullptr);
  done(std::move(result));
}

}  // namespace containerpilot
