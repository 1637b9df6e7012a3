#pragma once

#include <string>
#include <vector>

#include "containerpilot/supervisor/process.h"
#include "user_db.h"

namespace containerpilot::detail {

/// The shim: this program's own binary under a private argv[0]. Started where the child shall be,
/// it does what a plain start cannot (set limits, change user, …), step by step, and executes the
/// child in its place. A failing step is reported over fd kShimReportFd, which closes
/// with the exec.
inline constexpr int kShimReportFd = 3;

struct ShimStep {
  std::string argument;  ///< what the shim is told: "uid=1000"
  std::string purpose;   ///< what people are told if it fails: "set user 'app' (uid 1000)"
};

/// What the shim has to do for `spec`, in the order it has to be done (privileges go last); empty
/// when a plain start suffices.
/// Errors: kInvalid for an unknown limit.
Result<std::vector<ShimStep>> shim_steps(const ProcessSpec& spec, const Identity& identity);

/// argv that makes run_shim_if_asked() do `steps` and then execute `path` with `argv`.
std::vector<std::string> shim_argv(const std::vector<ShimStep>& steps, const std::string& path,
                                   const std::vector<std::string>& argv);

/// What arrives on the report pipe: which step failed (steps.size(): the exec itself) and why.
struct ShimFailure {
  int step = 0;
  int error = 0;
};

}  // namespace containerpilot::detail
