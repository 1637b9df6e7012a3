#pragma once

#include <ares.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "containerpilot/supervisor/http.h"

namespace containerpilot {

struct SrvRecord {
  std::string host;
  std::uint16_t port = 0;
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
};
/// The records of an answer, those to be tried first in front (RFC 2782); at most 512. Those
/// whose host is ".", decidedly no such service, are left out; without any that is ARES_ENODATA.
struct SrvAnswer {
  std::vector<SrvRecord> records;
  int status = ARES_SUCCESS;
};
SrvAnswer decode_srv(const unsigned char* answer, int length);

/// One question to DNS, with a c-ares channel of its own: dropping it really ends it, it follows a
/// changed resolv.conf, and each has its own random source port. Its sockets and timers are the
/// reactor's. Destroying it cancels.
class DnsLookup : public std::enable_shared_from_this<DnsLookup> {
 public:
  /// Which addresses of a host are an answer: those of one family, when the other is late or fails,
  /// or only those of both.
  enum class Want { kSome, kAll };

  DnsLookup(Reactor& reactor, std::string name, Want want, Resolver::Callback done);
  ~DnsLookup();
  DnsLookup(const DnsLookup&) = delete;
  DnsLookup& operator=(const DnsLookup&) = delete;

  void start_addresses(const std::vector<std::string>& servers, std::uint16_t port,
                       Duration timeout);
  void start_srv(const std::vector<std::string>& servers, Duration timeout);

 private:
  /// A host whose addresses are asked for.
  struct Target {
    DnsLookup* lookup;
    std::string host;
    std::uint16_t port;
    std::vector<Address> addresses;
    int failure = ARES_SUCCESS;  // the one that matters most
  };

  bool open(const std::vector<std::string>& servers, Duration timeout);
  void add_target(std::string host, std::uint16_t port);
  void on_addresses(Target& target, int status, ares_addrinfo* answer);
  void on_srv(int status, unsigned char* answer, int length);
  void on_socket_state(int fd, bool read, bool write);
  void after_ares();
  void on_deadline();
  /// Enough to do without what is still open.
  [[nodiscard]] bool enough() const;
  [[nodiscard]] Result<std::vector<Address>> outcome() const;
  [[nodiscard]] Error error(int status) const;
  void finish(Result<std::vector<Address>> result);

  Reactor& reactor_;
  const std::string name_;
  const Want want_;
  Resolver::Callback done_;
  ares_channel channel_ = nullptr;
  bool closing_ = false;
  std::map<int, Watch> sockets_;
  Watch retry_;
  Watch deadline_;
  Watch grace_;
  Watch finish_;
  std::deque<Target> targets_;  // c-ares holds pointers to them
  int pending_ = 0;
  int failure_ = ARES_SUCCESS;
  Duration timeout_{0};
};

}  // namespace containerpilot
