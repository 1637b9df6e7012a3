#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace containerpilot {

/// Holds back what is said word by word for the 11th time within 10 s, so that a broken thing that
/// is retried all the time does not drown the rest. Not thread-safe.
class RepeatGuard {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr unsigned kBurst = 10;
  static constexpr Clock::duration kWindow = std::chrono::seconds(10);
  static constexpr std::size_t kMaxMessages = 256;

  struct Verdict {
    bool pass = true;
    std::uint64_t held_back = 0;  ///< of the same text since it last passed; to be told now
  };
  Verdict ask(std::string_view message, Clock::time_point now) {
    if (seen_.size() >= kMaxMessages && !seen_.contains(hash(message))) seen_.clear();
    Seen& seen = seen_[hash(message)];
    if (seen.count == 0 || now - seen.since >= kWindow) {
      const Verdict verdict{true, seen.held_back};
      seen = {now, 1, 0};
      return verdict;
    }
    if (++seen.count <= kBurst) return {};
    ++seen.held_back;
    ++total_;
    return {false, 0};
  }
  [[nodiscard]] std::uint64_t held_back() const { return total_; }

 private:
  struct Seen {
    Clock::time_point since;
    unsigned count = 0;
    std::uint64_t held_back = 0;
  };
  static std::size_t hash(std::string_view message) {
    return std::hash<std::string_view>()(message);
  }

  std::unordered_map<std::size_t, Seen> seen_;
  std::uint64_t total_ = 0;
};

}  // namespace containerpilot
