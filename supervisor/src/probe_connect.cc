#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <deque>

#include "errno_text.h"
#include "probe_task.h"
#include "socket_address.h"
#include "text.h"

namespace containerpilot {

namespace {

std::string text_of(int sys_errno) {
  switch (sys_errno) {
    case ECONNREFUSED:
      return "connection refused";
    case ENOENT:
      return "no such socket";
    case EAGAIN:
      return "its queue of waiting connections is full";
    default:
      return detail::errno_text(sys_errno);
  }
}

/// Connects to the addresses of one place, one after the other, until one takes the connection.
class ConnectProbe : public ProbeTask {
 public:
  ConnectProbe(Reactor& reactor, Duration timeout, ProbeDone done)
      : ProbeTask(reactor, std::move(done)), timeout_(timeout) {}

  void start(Resolver& resolver, const TcpProbe& probe) {
    limit();
    lookup_ = resolver.resolve(
        probe.host, probe.port, timeout_,
        [this](const Result<std::vector<Address>>& addresses) { resolved(addresses); });
  }

  void start(const UnixProbe& probe) {
    limit();
    Result<SocketAddress> address = unix_address(probe.path);
    if (!address) return finish_later(failed(address.error().text()));
    addresses_.push_back(address.value());
    lookup_ = reactor_.after(Duration(0), [this] { try_next(); });
  }

 private:
  static ProbeResult failed(std::string reason) {
    return {.kind = ProbeResult::Kind::kFailed, .reason = std::move(reason)};
  }

  void limit() {
    timer_ = reactor_.after(timeout_, [this] {
      end({.kind = ProbeResult::Kind::kTimeout,
           .reason = where_.empty() ? "name not resolved within " + format_seconds(timeout_)
                                    : "not connected within " + format_seconds(timeout_) + " (" +
                                          where_ + ")"});
    });
  }

  void resolved(const Result<std::vector<Address>>& found) {
    if (!found) return end(failed(found.error().text()));
    for (const Address& address : found.value()) {
      if (auto usable = ip_address(address.ip, address.port)) addresses_.push_back(*usable);
    }
    try_next();
  }

  void try_next() {
    if (addresses_.empty()) return end(failed(last_failure_));
    const SocketAddress address = addresses_.front();
    addresses_.pop_front();
    where_ = to_string(address);
    fd_.reset(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_.valid()) return failed_here(errno);
    if (connect(fd_.get(), address.get(), address.length) == 0) return connected();
    if (errno != EINPROGRESS) return failed_here(errno);
    writable_ = reactor_.on_fd(fd_.get(), EPOLLOUT, [this](std::uint32_t) { outcome(); });
  }

  void outcome() {
    const auto self = shared_from_this();
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return failed_here(error);
    connected();
  }

  void connected() {
    // A connection to a free local port can meet itself when that port is drawn as its own.
    const SocketAddress own = local_address(fd_.get());
    if (own.family() != AF_UNIX && to_string(own) == where_) return failed_here(ECONNREFUSED);
    end({});
  }

  void failed_here(int sys_errno) {
    last_failure_ = text_of(sys_errno) + " (" + where_ + ")";
    close();
    try_next();
  }

  void close() {
    writable_ = Watch();
    fd_.reset();
  }

  void end(ProbeResult result) {
    close();
    timer_ = Watch();
    lookup_ = Watch();
    finish(std::move(result));
  }

  const Duration timeout_;
  std::deque<SocketAddress> addresses_;
  std::string where_;
  std::string last_failure_ = "no address";
  UniqueFd fd_;
  Watch writable_;
  Watch lookup_;
  Watch timer_;
};

}  // namespace

Watch run_tcp_probe(Reactor& reactor, Resolver& resolver, const TcpProbe& probe, Duration timeout,
                    ProbeDone done) {
  auto task = std::make_shared<ConnectProbe>(reactor, timeout, std::move(done));
  task->start(resolver, probe);
  return watch_of(std::move(task));
}

Watch run_unix_probe(Reactor& reactor, const UnixProbe& probe, Duration timeout, ProbeDone done) {
  auto task = std::make_shared<ConnectProbe>(reactor, timeout, std::move(done));
  task->start(probe);
  return watch_of(std::move(task));
}

}  // namespace containerpilot
