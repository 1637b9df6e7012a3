#include "notify_socket.h"

#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "containerpilot/supervisor/log.h"
#include "errno_text.h"

namespace containerpilot::detail {

namespace {

constexpr std::size_t kMaxMessage = 4096;
constexpr std::size_t kMaxStatus = 1024;
constexpr int kMaxMessagesAtOnce = 64;  // a child that talks without end must not keep the loop

std::string random_name() {
  std::array<unsigned char, 16> bytes{};
  // Not a secret (/proc/net/unix shows it), only unlike any other.
  static_cast<void>(::getrandom(bytes.data(), bytes.size(), GRND_NONBLOCK));
  std::string name = "containerpilot/notify/";
  for (const unsigned char byte : bytes) {
    name += "0123456789abcdef"[byte >> 4U];
    name += "0123456789abcdef"[byte & 15U];
  }
  return name;
}

struct Control {
  pid_t sender = 0;
  std::vector<UniqueFd> fds;  // BARRIER=1 waits until they are closed
};

Control read_control(msghdr& message) {
  Control result;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    const std::size_t size = part->cmsg_len - CMSG_LEN(0);
    if (part->cmsg_type == SCM_RIGHTS) {
      for (std::size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
        result.fds.emplace_back(fd);
      }
    } else if (part->cmsg_type == SCM_CREDENTIALS && size >= sizeof(ucred)) {
      ucred credentials{};
      std::memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
      result.sender = credentials.pid;
    }
  }
  return result;
}

}  // namespace

Notification parse_notification(std::string_view text) {
  Notification result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line == "READY=1") result.ready = true;
    if (line == "STOPPING=1") result.stopping = true;
    if (line == "WATCHDOG=1") result.alive = true;
    if (line == "WATCHDOG=trigger") result.failed = true;
    if (line.starts_with("STATUS=")) result.status = line.substr(7, kMaxStatus);
  }
  return result;
}

Result<std::unique_ptr<NotifySocket>> NotifySocket::open(
    Reactor& reactor, std::function<bool(pid_t)> from_child,
    std::function<void(const Notification&)> on_notify) {
  const auto failed = [](const char* what) {
    const int error = errno;
    return Error(error == EMFILE || error == ENFILE ? Errc::kUnavailable : Errc::kIo,
                 std::string("cannot ") + what + " a NOTIFY_SOCKET: " + errno_text(error), error);
  };
  std::unique_ptr<NotifySocket> result(new NotifySocket);
  result->fd_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!result->fd_.valid()) return failed("open");
  const int on = 1;
  if (::setsockopt(result->fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
    return failed("prepare");
  const std::string name = random_name();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, name.size());  // a leading NUL: the abstract name space
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(result->fd_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    return failed("bind");
  result->address_ = "@" + name;
  result->from_child_ = std::move(from_child);
  result->on_notify_ = std::move(on_notify);
  result->watch_ = reactor.on_fd(result->fd_.get(), EPOLLIN,
                                 [raw = result.get()](std::uint32_t) { raw->drain(); });
  return result;
}

void NotifySocket::drain() {
  for (int i = 0; i < kMaxMessagesAtOnce && read_one(); ++i) {
  }
}

bool NotifySocket::read_one() {
  std::array<char, kMaxMessage> text{};
  alignas(cmsghdr) std::array<char, 1024> control{};
  iovec buffer{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  if (size < 0) return errno == EINTR;
  // While the descriptors of a barrier are open its sender waits, and can be looked at.
  const Control came = read_control(message);
  if ((message.msg_flags & MSG_TRUNC) != 0) return true;
  if (came.sender == 0 || !from_child_(came.sender)) {
    log_debug("supervisor", "ignoring a notification of process " + std::to_string(came.sender) +
                                ", which is not of this job");
    return true;
  }
  on_notify_(parse_notification(std::string_view(text.data(), static_cast<std::size_t>(size))));
  return true;
}

}  // namespace containerpilot::detail
