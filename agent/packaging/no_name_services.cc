// For the static file. glibc cannot look up names of hosts, services and users in a static program
// without the shared libraries of the machine it was built on, and none of it is asked for: names
// of hosts are resolved by c-ares, users read from their files. The libraries we link still refer
// to these functions. That they are here keeps glibc's own out of the file: all but the text of an
// address, which civetweb asks for, fail.

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>

#include <cerrno>
#include <cstdio>

extern "C" {

int getnameinfo(const sockaddr* address, socklen_t, char* host, socklen_t host_size, char* service,
                socklen_t service_size, int) {
  const void* bytes = nullptr;
  in_port_t port = 0;
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    bytes = &v4->sin_addr;
    port = v4->sin_port;
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    bytes = &v6->sin6_addr;
    port = v6->sin6_port;
  } else {
    return EAI_FAMILY;
  }
  if (host != nullptr && inet_ntop(address->sa_family, bytes, host, host_size) == nullptr)
    return EAI_OVERFLOW;
  if (service != nullptr) std::snprintf(service, service_size, "%d", int{ntohs(port)});
  return 0;
}

int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) { return EAI_FAIL; }
void freeaddrinfo(addrinfo*) noexcept {}

hostent* gethostbyname(const char*) {
  h_errno = NO_RECOVERY;
  return nullptr;
}

servent* getservbyname(const char*, const char*) { return nullptr; }

int getservbyport_r(int, const char*, servent*, char*, size_t, servent** result) {
  *result = nullptr;
  return ENOENT;
}

passwd* getpwnam(const char*) {
  errno = ENOENT;
  return nullptr;
}
}
