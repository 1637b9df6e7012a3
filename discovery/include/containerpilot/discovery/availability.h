#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "containerpilot/discovery/backoff.h"
#include "containerpilot/supervisor/reactor.h"
#include "containerpilot/supervisor/result.h"

namespace containerpilot::discovery {

/// Whether a catalog answers, shared by everybody who calls it. While it does not, one call at a
/// time is let through, after a growing delay; everybody else waits. Warns once when the catalog is
/// lost and says once when it is back. Loop thread only.
class Availability {
 public:
  static constexpr Duration kFirstDelay = std::chrono::milliseconds(100);
  static constexpr Duration kMaxDelay = std::chrono::seconds(2);
  /// Cap while the catalog is expected to be down: it should be noticed the moment it answers.
  static constexpr Duration kMaxDelayExpected = std::chrono::milliseconds(250);

  /// Leave to make one call, and the duty to say how it went. Dropped without a word: it was
  /// cancelled.
  class [[nodiscard]] Call {
   public:
    Call() = default;
    Call(Call&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          round_(other.round_),
          probe_(other.probe_) {}
    Call& operator=(Call&& other) noexcept;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();
    /// The catalog answered, whatever it said about the matter.
    void answered();
    /// The catalog did not answer, or only to say that it cannot.
    void failed(const Error& error);
    /// It answered, only to say that it cannot do this now: neither an outage, nor the end of one.
    void refused(const Error& error);
    /// One of the above, by the error's code: kUnavailable, kTimeout and kIo are no answers,
    /// kInternal is a refusal, everything else an answer.
    void finished(const Error* error);

   private:
    friend class Availability;
    Call(Availability& owner, std::uint64_t round, bool probe)
        : owner_(&owner), round_(round), probe_(probe) {}
    Availability* owner_ = nullptr;
    std::uint64_t round_ = 0;
    bool probe_ = false;
  };

  /// `name` is how people know the catalog: "consul at 127.0.0.1:8500".
  Availability(Reactor& reactor, std::string name);
  Availability(const Availability&) = delete;
  Availability& operator=(const Availability&) = delete;
  ~Availability() = default;

  /// nullopt: not now; on_chance() tells when to ask again.
  [[nodiscard]] std::optional<Call> begin();
  /// `fn` runs whenever begin() may give leave after having refused it. Waiters take turns in being
  /// first.
  Watch on_chance(std::function<void()> fn);
  /// Forgets the delay: the next begin() gives leave unless a probe is under way.
  void retry_now();
  /// The catalog is not there yet, or about to go, and nobody needs to be told (it is a job of this
  /// very agent): no warnings and short delays, until it answers.
  void expect_down();

  /// False from the first failure until the next answer.
  [[nodiscard]] bool up() const { return failures_ == 0; }
  /// True in an outage that people were told of, or know of.
  [[nodiscard]] bool lost() const { return failures_ > 0 && (warned_ || expected_down_); }
  /// How many there were, the one under way included.
  [[nodiscard]] std::uint64_t outages() const { return outages_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

 private:
  struct Waiter {
    std::uint64_t id;
    std::function<void()> fn;
  };
  void succeed();
  void fail(std::uint64_t round, const Error& error);
  void wake_later(Duration delay);
  void wake();

  Reactor& reactor_;
  std::string name_;
  Backoff backoff_{kFirstDelay, kMaxDelay};
  std::vector<Waiter> waiters_;
  Watch timer_;
  TimePoint retry_at_{};
  std::string last_error_;
  std::uint64_t next_waiter_ = 1;
  std::uint64_t round_ = 0;  ///< calls begun before a counted failure do not count again
  std::uint64_t outages_ = 0;
  unsigned failures_ = 0;  ///< in a row
  bool probing_ = false;
  bool warned_ = false;
  bool expected_down_ = false;
  bool ever_answered_ = false;
};

}  // namespace containerpilot::discovery
