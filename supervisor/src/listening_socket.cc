#include "listening_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "errno_text.h"
#include "socket_address.h"

namespace containerpilot {

namespace {

Error cannot_listen(const std::string& address, int sys_errno) {
  Errc code = Errc::kIo;
  std::string why = detail::errno_text(sys_errno);
  if (sys_errno == EADDRINUSE) {
    code = Errc::kUnavailable;
    why = "another process listens there";
  } else if (sys_errno == EACCES || sys_errno == EPERM) {
    code = Errc::kDenied;
  } else if (sys_errno == EADDRNOTAVAIL) {
    why = "this machine has no such address";
  }
  return Error(code, "cannot listen on '" + address + "': " + why, sys_errno);
}

/// Removes the socket file a dead process left at `path`; nothing else is ever deleted.
Status clear_stale_socket(const std::string& path, const SocketAddress& address) {
  struct stat file;
  if (lstat(path.c_str(), &file) != 0) {
    if (errno == ENOENT) return ok();
    return cannot_listen(path, errno);
  }
  if (!S_ISSOCK(file.st_mode)) {
    return Error(Errc::kInvalid, "cannot listen on '" + path +
                                     "': a file that is not a socket is in the way; remove it or "
                                     "choose another path");
  }
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return cannot_listen(path, errno);
  // Only "nobody listens" makes it stale. EAGAIN is a live one whose queue is full, EACCES a live
  // one of somebody else.
  if (connect(probe.get(), address.get(), address.length) == 0 || errno != ECONNREFUSED) {
    return cannot_listen(path, EADDRINUSE);
  }
  struct stat again;
  if (lstat(path.c_str(), &again) != 0 || again.st_ino != file.st_ino ||
      again.st_dev != file.st_dev) {
    return cannot_listen(path, EADDRINUSE);  // replaced meanwhile: by one that lives
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return cannot_listen(path, errno);
  return ok();
}

}  // namespace

Result<ListeningSocket> ListeningSocket::tcp(const std::string& address) {
  Result<SocketAddress> parsed = parse_ip_port(address);
  if (!parsed) return std::move(parsed).error().during("cannot listen");
  const SocketAddress& where = parsed.value();

  ListeningSocket result;
  result.fd_.reset(socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = result.fd_.get();
  const int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      (where.family() == AF_INET6 &&
       setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
      bind(fd, where.get(), where.length) != 0 || listen(fd, SOMAXCONN) != 0) {
    return cannot_listen(address, errno);
  }
  const SocketAddress bound = local_address(fd);
  result.address_ = to_string(bound);
  result.port_ = port_of(bound);
  return result;
}

Result<ListeningSocket> ListeningSocket::unix_path(const std::string& path, unsigned mode) {
  Result<SocketAddress> address = unix_address(path);
  if (!address) return std::move(address).error().during("cannot listen");
  if (Status cleared = clear_stale_socket(path, address.value()); !cleared) {
    return std::move(cleared).error();
  }
  ListeningSocket result;
  result.fd_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = result.fd_.get();
  // The mode of the unbound socket is what bind() gives the file (less the umask), so there is no
  // moment in which the file is open to more people than `mode` says. chmod then undoes the umask.
  if (fd < 0 || fchmod(fd, mode) != 0 ||
      bind(fd, address.value().get(), address.value().length) != 0) {
    return cannot_listen(path, errno);
  }
  struct stat file;
  if (lstat(path.c_str(), &file) != 0) return cannot_listen(path, errno);
  result.address_ = path;
  result.device_ = file.st_dev;
  result.inode_ = file.st_ino;
  if (chmod(path.c_str(), mode) != 0 || listen(fd, SOMAXCONN) != 0) {
    return cannot_listen(path, errno);
  }
  return result;
}

ListeningSocket::~ListeningSocket() {
  if (!fd_.valid() || !is_unix()) return;
  struct stat file;
  if (lstat(address_.c_str(), &file) == 0 && file.st_dev == device_ && file.st_ino == inode_) {
    unlink(address_.c_str());
  }
}

}  // namespace containerpilot
