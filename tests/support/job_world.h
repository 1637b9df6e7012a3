#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace containerpilot::test {

/// One life of a supervisor in a world of chance under a virtual clock: random jobs, exits, hangs,
/// signals, checks, reloads, maintenance, catalog answers and clock jumps, then a shutdown.
///
/// Watched all the while: never two runs of one job at a time; no start without a cause its trigger
/// knows; every start has exactly one end; no restart beyond the limit; only what runs is healthy;
/// the shutdown ends within the sum of all it may wait for; nothing is left behind.
/// Returns the first violation, or "". The same seed is the same life; `log` is told about it.
std::string live_one_life(std::uint64_t seed,
                          const std::function<void(std::string_view)>& log = nullptr);

}  // namespace containerpilot::test
