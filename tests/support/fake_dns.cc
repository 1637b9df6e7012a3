#include "support/fake_dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

namespace containerpilot::test {

namespace {

void append16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8 & 0xff);
  out += static_cast<char>(value & 0xff);
}

std::string encode_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return out + '\0';
}

}  // namespace

FakeDns::FakeDns(Reactor& reactor)
    : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd_.get(), any, size) != 0 || ::getsockname(fd_.get(), any, &size) != 0) std::abort();
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  watch_ = reactor.on_fd(fd_.get(), EPOLLIN, [this](std::uint32_t) { answer(); });
}

void FakeDns::set(const std::string& name, const std::vector<std::string>& ips) {
  names_[name] = true;
  records_[{name, Type::kA}].clear();
  records_[{name, Type::kAaaa}].clear();
  for (const std::string& ip : ips) {
    std::array<char, 16> bytes{};
    const bool six = ip.find(':') != ip.npos;
    if (inet_pton(six ? AF_INET6 : AF_INET, ip.c_str(), bytes.data()) != 1) std::abort();
    records_[{name, six ? Type::kAaaa : Type::kA}].emplace_back(bytes.data(), six ? 16u : 4u);
  }
}

void FakeDns::set_srv(const std::string& name, const std::vector<Srv>& records) {
  names_[name] = true;
  std::vector<std::string>& datas = records_[{name, Type::kSrv}];
  datas.clear();
  for (const Srv& record : records) {
    std::string data;
    append16(data, record.priority);
    append16(data, record.weight);
    append16(data, record.port);
    datas.push_back(data + encode_name(record.target));
  }
}

void FakeDns::answer() {
  std::array<char, 2048> buffer;
  sockaddr_storage from{};
  socklen_t from_size = sizeof from;
  const ssize_t n = ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0,
                               reinterpret_cast<sockaddr*>(&from), &from_size);
  if (n < 17) return;
  const std::string_view query(buffer.data(), static_cast<std::size_t>(n));
  std::string name;
  std::size_t at = 12;
  while (at < query.size() && query[at] != 0) {
    const auto length = static_cast<unsigned char>(query[at]);
    name += (name.empty() ? "" : ".") + std::string(query.substr(at + 1, length));
    at += 1u + length;
  }
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string_view question = query.substr(12, at + 5 - 12);
  const auto type = static_cast<Type>(static_cast<unsigned char>(query[at + 1]) * 256 +
                                      static_cast<unsigned char>(query[at + 2]));
  questions_.push_back((type == Type::kA ? "A " : type == Type::kAaaa ? "AAAA " : "SRV ") + name);
  const auto holds = [type](const std::vector<Type>& types) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  if (silent_all_ || holds(silent_)) return;
  const bool failing = failing_all_ || holds(failing_);

  const auto& datas = records_[{name, type}];
  std::string reply(query.substr(0, 2));
  append16(reply, failing ? 0x8182u : names_.contains(name) ? 0x8180u : 0x8183u);
  append16(reply, 1);
  append16(reply, static_cast<unsigned>(datas.size()));
  append16(reply, 0);
  append16(reply, 0);
  reply += question;
  for (const std::string& data : datas) {
    append16(reply, 0xc00c);  // the name of the question
    append16(reply, static_cast<unsigned>(type));
    append16(reply, 1);
    append16(reply, 0);
    append16(reply, 60);
    append16(reply, static_cast<unsigned>(data.size()));
    reply += data;
  }
  ::sendto(fd_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), from_size);
}

}  // namespace containerpilot::test
