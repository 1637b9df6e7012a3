#include "program.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace containerpilot::detail {
namespace {

// What cannot be brought about at will in a test of real processes.
TEST(ExecFailure, OfAHostThatHasNoMore) {
  const Error memory = explain_exec_failure("/bin/app", ENOMEM);
  EXPECT_EQ(memory.text(), "not enough memory");
  EXPECT_EQ(memory.code(), Errc::kUnavailable);
  const Error files = explain_exec_failure("/bin/app", ENFILE);
  EXPECT_EQ(files.text(), "no file descriptors are left: Too many open files in system");
  EXPECT_EQ(files.code(), Errc::kUnavailable);
}

}  // namespace
}  // namespace containerpilot::detail
