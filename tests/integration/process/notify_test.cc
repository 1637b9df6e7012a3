#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "harness.h"
#include "notify_socket.h"
#include "support/fd_leak.h"

namespace containerpilot::test {
namespace {

using ::testing::Contains;

class Notifying : public ProcessTest {
 protected:
  std::unique_ptr<Process> start_notifying(std::vector<std::string> argv) {
    const ProcessSpec spec{.argv = std::move(argv)};
    auto process =
        launcher->start({.spec = spec,
                         .environment = environment,
                         .output = Output::kNull,
                         .name = "notifier",
                         .on_notify = [this](const Notification& said) { said_.push_back(said); }},
                        [this](ExitStatus exit) { exit_ = exit; });
    EXPECT_TRUE(process);
    return process ? std::move(process).value() : nullptr;
  }
  std::vector<Notification> said_;
  std::optional<ExitStatus> exit_;
};

TEST_F(Notifying, AChildAndItsDescendantsAreHeard) {
  const FdLeakCheck no_leak;
  const auto process = start_notifying(child_argv("notify", {"READY=1", "STATUS=from below"}));
  ASSERT_TRUE(run_until([&] { return said_.size() == 2; }));
  EXPECT_THAT(said_, Contains(Notification{.ready = true}));
  EXPECT_THAT(said_, Contains(Notification{.status = "from below"}));
  process->kill_tree();
  ASSERT_TRUE(run_until([&] { return exit_.has_value(); }));
}

TEST_F(Notifying, StrangersAreNotHeardAndBarriersAreReleased) {
  std::vector<Notification> said;
  pid_t asked_about = 0;
  bool ours = false;
  auto socket = detail::NotifySocket::open(
      *loop,
      [&](pid_t sender) {
        asked_about = sender;
        return ours;
      },
      [&](const Notification& one) { said.push_back(one); });
  ASSERT_TRUE(socket);
  const std::string& name = socket.value()->address();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);

  ASSERT_EQ(::send(fd.get(), "READY=1", 7, 0), 7);
  ASSERT_TRUE(run_until([&] { return asked_about == ::getpid(); }));
  EXPECT_TRUE(said.empty());

  ours = true;
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  char text[] = "BARRIER=1";
  iovec buffer{text, sizeof text - 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(part), &ends[1], sizeof(int));
  ASSERT_GT(::sendmsg(fd.get(), &message, 0), 0);
  write_end.reset();
  ASSERT_TRUE(run_until([&] { return said.size() == 1; }));
  char nothing = 0;
  EXPECT_EQ(::read(read_end.get(), &nothing, 1), 0);  // closed: the barrier is passed
}

}  // namespace
}  // namespace containerpilot::test
