#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerpilot/discovery/catalog.h"
#include "etcd_client.h"
#include "etcd_wire.h"

namespace containerpilot::discovery {

/// All services below the prefix, kept current by one range read and one watch stream. Works only
/// while somebody asks; when the stream breaks, everybody who waits gets the error, and the next
/// question starts anew with a range read: nothing can be missed. A stream that died without a word
/// is noticed by asking its server something from time to time. Loop thread only.
class EtcdView {
 public:
  using Done = Catalog::QueryDone;
  EtcdView(Reactor& reactor, EtcdClient& client, HttpClient& streams, std::string prefix);

  /// As Catalog::query. The index counts changes seen by this view and means nothing to others.
  Watch query(const Query& query, std::uint64_t index, Duration wait, Done done);
  /// The stream is not to be trusted (etcd was away): ask everything again before the next answer.
  void distrust();

 private:
  enum class State : std::uint8_t { kIdle, kReading, kWatching };
  struct Waiter {
    Query query;
    std::uint64_t index = 0;
    Done done;
    Watch deadline;
  };
  struct Service {
    std::uint64_t index = 0;  ///< of its last change
    std::map<std::string, Instance> instances;
    friend bool operator==(const Service&, const Service&) = default;
  };

  void read();
  void replace(const EtcdRange& range);
  void watch(std::uint64_t start_revision);
  void feel_pulse();
  bool hear(std::string_view piece);
  void apply(const EtcdEvent& event);
  [[nodiscard]] std::optional<std::pair<EtcdKeyParts, Instance>> decode(const EtcdPair& pair) const;
  void fail(const Error& error);
  [[nodiscard]] std::optional<Waiter> take_waiter(std::uint64_t id);
  void answer_waiters();
  [[nodiscard]] Snapshot snapshot(const Query& query) const;
  [[nodiscard]] std::uint64_t index_of(const std::string& service) const;

  Reactor& reactor_;
  EtcdClient& client_;
  HttpClient& streams_;
  std::string prefix_;
  State state_ = State::kIdle;
  Watch step_;   ///< the read or the stream under way
  Watch pulse_;  ///< when to ask whether the stream's server is alive; then the question
  std::size_t stream_endpoint_ = 0;
  std::string partial_;  ///< of the stream's next line
  std::optional<Error> stream_error_;
  std::map<std::string, Service> services_;
  std::map<std::uint64_t, Waiter> waiters_;
  std::uint64_t next_waiter_ = 1;
  std::uint64_t changes_ = 1;
  Watch answering_;
};

}  // namespace containerpilot::discovery
