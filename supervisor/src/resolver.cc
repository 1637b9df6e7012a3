#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "containerpilot/supervisor/http.h"
#include "containerpilot/supervisor/unique_fd.h"
#include "dns_lookup.h"
#include "hosts_file.h"
#include "socket_address.h"

namespace containerpilot {

namespace {

/// More of a hosts file than this is not looked at.
constexpr std::size_t kMaxHostsFile = 1024 * 1024;

class AresResolver : public Resolver {
 public:
  AresResolver(Reactor& reactor, ResolverOptions options)
      : reactor_(reactor), options_(std::move(options)) {}

  Watch resolve(const std::string& host, std::uint16_t port, Duration timeout,
                Callback done) override {
    return resolve(host, port, timeout, DnsLookup::Want::kSome, std::move(done));
  }

  Watch resolve_all(const std::string& host, std::uint16_t port, Duration timeout,
                    Callback done) override {
    return resolve(host, port, timeout, DnsLookup::Want::kAll, std::move(done));
  }

  Watch resolve_srv(const std::string& name, Duration timeout, Callback done) override {
    const auto lookup =
        std::make_shared<DnsLookup>(reactor_, name, DnsLookup::Want::kAll, std::move(done));
    lookup->start_srv(options_.servers, timeout);
    return owning(lookup);
  }

 private:
  Watch resolve(const std::string& host, std::uint16_t port, Duration timeout, DnsLookup::Want want,
                Callback done) {
    if (std::vector<std::string> known = known_addresses(host); !known.empty()) {
      std::vector<Address> addresses;
      addresses.reserve(known.size());
      for (std::string& ip : known) addresses.push_back({std::move(ip), port});
      return reactor_.after(Duration(0), [addresses = std::move(addresses),
                                          done = std::move(done)] { done(addresses); });
    }
    const auto lookup = std::make_shared<DnsLookup>(reactor_, host, want, std::move(done));
    lookup->start_addresses(options_.servers, port, timeout);
    return owning(lookup);
  }

  /// The lookup lives as long as somebody waits for it.
  static Watch owning(std::shared_ptr<DnsLookup> lookup) {
    return Watch([lookup = std::move(lookup)]() mutable { lookup.reset(); });
  }

  /// What needs no DNS.
  [[nodiscard]] std::vector<std::string> known_addresses(const std::string& host) const {
    if (ip_address(host, 0)) return {host};
    std::vector<std::string> found = find_in_hosts(read_hosts_file(), host);
    if (found.empty() && is_localhost(host)) found = {"127.0.0.1", "::1"};
    return found;
  }

  /// Small and local, so read in place. A missing file is an empty one.
  [[nodiscard]] std::string read_hosts_file() const {
    const UniqueFd fd(open(options_.hosts_file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat file;
    if (!fd.valid() || fstat(fd.get(), &file) != 0 || !S_ISREG(file.st_mode)) return "";
    std::string text(std::min(static_cast<std::size_t>(file.st_size), kMaxHostsFile), '\0');
    const ssize_t n = read(fd.get(), text.data(), text.size());
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }

  Reactor& reactor_;
  const ResolverOptions options_;
};

}  // namespace

Result<std::unique_ptr<Resolver>> make_resolver(Reactor& reactor, ResolverOptions options) {
  for (const std::string& server : options.servers) {
    if (auto address = parse_ip_port(server); !address) {
      return std::move(address).error().during("cannot ask DNS server");
    }
  }
  return std::unique_ptr<Resolver>(std::make_unique<AresResolver>(reactor, std::move(options)));
}

}  // namespace containerpilot
