#include "containerpilot/supervisor/line_reader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/fd_leak.h"
#include "support/sim_reactor.h"

namespace containerpilot {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Lines : public ::testing::Test {
 protected:
  Lines() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_number = ends[0];
    write_end.reset(ends[1]);
    reader = make(UniqueFd(ends[0]));
  }
  std::unique_ptr<LineReader> make(UniqueFd fd) {
    return std::make_unique<LineReader>(
        loop, std::move(fd), [this](std::string_view line) { lines.emplace_back(line); },
        [this] { ++ends_seen; });
  }
  void write(std::string_view text) {
    ASSERT_EQ(::write(write_end.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  void readable() { loop.trigger(read_number, EPOLLIN); }
  void close_writer() {
    write_end.reset();
    loop.trigger(read_number, EPOLLHUP);
  }

  test::SimReactor loop;
  int read_number = -1;
  UniqueFd write_end;
  std::vector<std::string> lines;
  int ends_seen = 0;
  std::unique_ptr<LineReader> reader;
};

TEST_F(Lines, ComeWholeHoweverTheyArrive) {
  write("on");
  readable();
  EXPECT_THAT(lines, IsEmpty());
  write("e\ntwo\n\nth");
  readable();
  EXPECT_THAT(lines, ElementsAre("one", "two", ""));
  write("ree\n");
  readable();
  EXPECT_THAT(lines, ElementsAre("one", "two", "", "three"));
}

TEST_F(Lines, EndWithTheLastOneEvenWithoutNewline) {
  write("one\nlast");
  readable();
  close_writer();
  EXPECT_THAT(lines, ElementsAre("one", "last"));
  EXPECT_EQ(ends_seen, 1);
}

TEST_F(Lines, KeepCarriageReturnsAndZeros) {
  write(std::string_view("a\r\nb\0c\n", 7));
  readable();
  EXPECT_THAT(lines, ElementsAre("a\r", std::string("b\0c", 3)));
}

TEST_F(Lines, OfTheGreatestLengthStayWholeAndLongerOnesComeInPieces) {
  const std::string chunk(32 * 1024, 'x');
  for (std::size_t sent = 0; sent < LineReader::kMaxLine; sent += chunk.size()) {
    write(chunk);
    readable();
  }
  write("\n");
  readable();
  ASSERT_THAT(lines, ElementsAre(SizeIs(LineReader::kMaxLine)));
  lines.clear();
  for (std::size_t sent = 0; sent < LineReader::kMaxLine; sent += chunk.size()) {
    write(chunk);
    readable();
  }
  write("rest\n");
  readable();
  EXPECT_THAT(lines, ElementsAre(SizeIs(LineReader::kMaxLine), "rest"));
}

TEST_F(Lines, AreReadUpWhenFinishedThoughSomebodyHoldsThePipe) {
  write("one\nunfinished");
  reader->finish();
  EXPECT_THAT(lines, ElementsAre("one", "unfinished"));
  EXPECT_EQ(ends_seen, 1);
  EXPECT_EQ(loop.fds(), 0u);
  reader->finish();
  EXPECT_EQ(ends_seen, 1) << "the end comes once";
}

TEST_F(Lines, StopWhenACallbackDestroysTheReader) {
  reader = std::make_unique<LineReader>(
      loop, UniqueFd(::dup(read_number)),
      [this](std::string_view line) {
        lines.emplace_back(line);
        reader.reset();
      },
      [this] { ++ends_seen; });
  write("one\ntwo\nrest");
  for (int fd = 0; fd < 1024; ++fd) {
    if (loop.interest(fd) != 0) loop.trigger(fd, EPOLLIN);
  }
  EXPECT_THAT(lines, ElementsAre("one"));
  EXPECT_EQ(ends_seen, 0);
}

TEST_F(Lines, OfNoPipeAtAllEndLater) {
  const auto none = make(UniqueFd());
  EXPECT_EQ(ends_seen, 0);
  loop.settle();
  EXPECT_EQ(ends_seen, 1);
}

TEST(LineReaders, LeaveNothingOpen) {
  test::SimReactor loop;
  const test::FdLeakCheck no_leak;
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd writer(ends[1]);
  LineReader(loop, UniqueFd(ends[0]), nullptr, nullptr);
  EXPECT_EQ(loop.fds() + loop.timers(), 0u);
}

}  // namespace
}  // namespace containerpilot
