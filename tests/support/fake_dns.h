#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::test {

/// A DNS server on a UDP socket of the loop that answers what the test says, and says "no such
/// name" to everything else.
class FakeDns {
 public:
  enum class Type : std::uint16_t { kA = 1, kAaaa = 28, kSrv = 33 };
  struct Srv {
    std::uint16_t priority, weight, port;
    std::string target;
  };

  explicit FakeDns(Reactor& reactor);
  /// "127.0.0.1:<port>".
  [[nodiscard]] const std::string& address() const { return address_; }

  void set(const std::string& name, const std::vector<std::string>& ips);
  void set_srv(const std::string& name, const std::vector<Srv>& records);
  /// Questions of that type (or all) get no answer from now on.
  void be_silent() { silent_all_ = true; }
  void be_silent(Type type) { silent_.push_back(type); }
  /// "Server failure" to questions of that type (or all) from now on.
  void fail() { failing_all_ = true; }
  void fail(Type type) { failing_.push_back(type); }
  [[nodiscard]] const std::vector<std::string>& questions() const { return questions_; }

 private:
  void answer();

  UniqueFd fd_;
  std::string address_;
  Watch watch_;
  std::map<std::pair<std::string, Type>, std::vector<std::string>> records_;  // rdata
  std::map<std::string, bool> names_;
  std::vector<Type> silent_;
  bool silent_all_ = false;
  std::vector<Type> failing_;
  bool failing_all_ = false;
  std::vector<std::string> questions_;  // "A web.test"
};

}  // namespace containerpilot::test
