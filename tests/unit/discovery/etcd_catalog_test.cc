#include "etcd_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "etcd_wire.h"
#include "support/fake_http.h"
#include "support/log_capture.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class EtcdCatalogTest : public testing::Test {
 protected:
  void make(std::vector<std::string> endpoints = {"http://one:2379"},
            const std::string& user = "") {
    EtcdSpec spec;
    spec.endpoints = std::move(endpoints);
    spec.prefix = "cp/";
    spec.user = user;
    spec.password = user.empty() ? "" : "s3cr3t";
    catalog.emplace(loop, spec, "etcd", calls, polls);
  }
  ServiceSpec web() {
    ServiceSpec spec;
    spec.id = "web-h";
    spec.name = "web";
    spec.address = "192.0.2.1";
    spec.port = 80;
    spec.ttl = 10s;
    return spec;
  }
  Catalog::Done keep() {
    return [this](Status status) { result.emplace(std::move(status)); };
  }
  Catalog::QueryDone keep_snapshot() {
    return [this](Result<Snapshot> s) { snapshot.emplace(std::move(s)); };
  }
  /// What a comparison is told of web-h, whose key is there.
  std::optional<Health> health_when_there() {
    std::optional<Result<std::vector<OwnEntry>>> entries;
    const Watch list = catalog->own_entries([&](auto e) { entries.emplace(std::move(e)); });
    calls.answer(calls.last("POST", "/v3/kv/txn"), 200,
                 R"({"responses":[{"response_range":{"kvs":[)" + pair("web-h", 80) + "]}}]}");
    EXPECT_EQ(entries->value().size(), 1u);
    return entries->value().at(0).health;
  }
  void register_web() {
    call = catalog->register_service(web(), Health::kPassing, keep());
    calls.answer(calls.last("POST", "/v3/lease/grant"), 200, R"({"ID":"77","TTL":"10"})");
    calls.answer(calls.last("POST", "/v3/kv/put"), 200, R"({"header":{}})");
    ASSERT_TRUE(result.value());
    result.reset();
  }
  static std::string pair(const std::string& id, int port) {
    return R"({"key":")" + base64_encode("/cp/web/" + id + "/service") + R"(","value":")" +
           base64_encode(R"({"id":"x","name":"web","address":"192.0.2.1","port":)" +
                         std::to_string(port) + "}") +
           "\"}";
  }
  static std::string range(const std::string& pairs) {
    return R"({"header":{"revision":"41"},"kvs":[)" + pairs + "]}";
  }
  static std::string event(const std::string& kv, bool removed = false) {
    return std::string(R"({"result":{"events":[{)") + (removed ? R"("type":"DELETE",)" : "") +
           R"("kv":)" + kv + "}]}}\n";
  }
  void open_view() {
    call = catalog->query({"web", "", ""}, 0, 60s, keep_snapshot());
    calls.answer(calls.last("POST", "/v3/kv/range"), 200, range(pair("web-1", 80)));
    ASSERT_TRUE(snapshot.has_value());
    ASSERT_TRUE(snapshot->has_value()) << snapshot->error().text();
    snapshot_index = snapshot->value().index;
  }
  /// etcd is alive, and leaves the rest to the test.
  void answer_pulses() {
    calls.handle([](const auto& asked) -> std::optional<Result<HttpResponse>> {
      if (asked.request.body.find("count_only") == std::string::npos) return std::nullopt;
      return HttpResponse{200, {}, R"({"header":{},"count":"1"})"};
    });
  }

  test::LogCapture log;
  test::SimReactor loop;
  test::FakeHttpClient calls{loop}, polls{loop};
  std::optional<EtcdCatalog> catalog;
  std::optional<Status> result;
  std::optional<Result<Snapshot>> snapshot;
  std::uint64_t snapshot_index = 0;
  Watch call;
};

TEST_F(EtcdCatalogTest, RegistersAKeyWithALease) {
  make();
  register_web();
  EXPECT_EQ(json::parse(calls.last("POST", "/v3/lease/grant").request.body)["TTL"], "10");
  const json put = json::parse(calls.last("POST", "/v3/kv/put").request.body);
  EXPECT_EQ(base64_decode(put["key"].get<std::string>()), "/cp/web/web-h/service");
  EXPECT_EQ(put["lease"], "77");
  EXPECT_EQ(base64_decode(put["value"].get<std::string>()),
            R"({"id":"web-h","name":"web","address":"192.0.2.1","port":80,"tags":[]})");
}

TEST_F(EtcdCatalogTest, BeatsByKeepingTheLeaseAlive) {
  make();
  register_web();
  call = catalog->update(web(), Health::kPassing, "ok", keep());
  auto& beat = calls.last("POST", "/v3/lease/keepalive");
  EXPECT_EQ(json::parse(beat.request.body)["ID"], "77");
  calls.answer(beat, 200, R"({"result":{"ID":"77","TTL":"10"}})");
  EXPECT_TRUE(result.value());
}

TEST_F(EtcdCatalogTest, ADeadLeaseIsALostEntry) {
  make();
  register_web();
  call = catalog->update(web(), Health::kPassing, "ok", keep());
  calls.answer(calls.last("POST", "/v3/lease/keepalive"), 200, R"({"result":{"ID":"77"}})");
  EXPECT_EQ(result->error().code(), Errc::kNotFound);
}

TEST_F(EtcdCatalogTest, ACriticalEntryIsTakenOutAndComesBack) {
  make();
  register_web();
  call = catalog->update(web(), Health::kCritical, "no", keep());
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 200, R"({"header":{}})");
  EXPECT_TRUE(result.value());
  std::optional<Result<std::vector<OwnEntry>>> entries;
  const Watch list = catalog->own_entries([&](auto e) { entries.emplace(std::move(e)); });
  calls.answer(calls.last("POST", "/v3/kv/txn"), 200, R"({"header":{}})");
  EXPECT_EQ(entries->value().size(), 1u);  // as it should be: away
  call = catalog->update(web(), Health::kPassing, "ok", keep());
  calls.answer(calls.last("POST", "/v3/lease/grant"), 200, R"({"ID":"78","TTL":"10"})");
  calls.answer(calls.last("POST", "/v3/kv/put"), 200, R"({"header":{}})");
  EXPECT_TRUE(result.value());
}

TEST_F(EtcdCatalogTest, FindsACriticalEntryThatIsStillThere) {
  make();
  register_web();
  call = catalog->update(web(), Health::kCritical, "no", keep());
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 200, R"({"header":{}})");
  EXPECT_EQ(health_when_there(), Health::kPassing);
}

/// A comparison took it for one that is said to be better than it is, each time.
TEST_F(EtcdCatalogTest, AnEntryInWarningIsThereAndThatIsAll) {
  make();
  call = catalog->register_service(web(), Health::kWarning, keep());
  calls.answer(calls.last("POST", "/v3/lease/grant"), 200, R"({"ID":"77","TTL":"10"})");
  calls.answer(calls.last("POST", "/v3/kv/put"), 200, R"({"header":{}})");
  EXPECT_EQ(health_when_there(), std::nullopt);
}

TEST_F(EtcdCatalogTest, AnAnswerOfSomebodyElseIsNoSuccess) {
  make();
  call = catalog->deregister(web(), keep());
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 200, R"([{"Service":7}])");
  ASSERT_FALSE(result.value());
  EXPECT_THAT(result.value().error().text(), HasSubstr("/kv/deleterange"));
  call = catalog->register_service(web(), Health::kPassing, keep());
  calls.answer(calls.last("POST", "/v3/lease/grant"), 200, R"({"ID":"77","TTL":"10"})");
  calls.answer(calls.last("POST", "/v3/kv/put"), 200, "{}");
  ASSERT_FALSE(result.value());
  EXPECT_THAT(result.value().error().text(), HasSubstr("/header"));
}

TEST_F(EtcdCatalogTest, ReadsOwnEntriesByTheirKeys) {
  make();
  register_web();
  const auto list = [&](const std::string& answer) {
    std::optional<Result<std::vector<OwnEntry>>> entries;
    const Watch watch = catalog->own_entries([&](auto e) { entries.emplace(std::move(e)); });
    calls.answer(calls.last("POST", "/v3/kv/txn"), 200, answer);
    return std::move(entries->value());
  };
  EXPECT_TRUE(list(R"({"succeeded":true,"responses":[{"response_range":{}}]})").empty());
  const auto found =
      list(R"({"responses":[{"response_range":{"kvs":[)" + pair("web-h", 81) + "]}}]}");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].service.id, "web-h");
  EXPECT_EQ(found[0].service.port, 81);
  EXPECT_EQ(list(R"({"responses":[{"response_range":{"kvs":[)" + pair("web-h", 99999) + "]}}]}")
                .at(0)
                .service.port,
            99999);
}

TEST_F(EtcdCatalogTest, TriesTheNextEndpoint) {
  make({"http://one:2379", "two:2379"});
  call = catalog->deregister(web(), keep());
  calls.fail(calls.last("POST", "/v3/kv/deleterange"), Error(Errc::kUnavailable, "cannot connect"));
  EXPECT_EQ(calls.calls().back().request.url, "http://two:2379/v3/kv/deleterange");
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 200, R"({"header":{}})");
  EXPECT_TRUE(result.value());
  call = catalog->deregister(web(), keep());
  EXPECT_EQ(calls.calls().back().request.url,
            "http://two:2379/v3/kv/deleterange");  // stays with what works
}

/// The second call that failed at the first endpoint went back to it.
TEST_F(EtcdCatalogTest, CallsThatFailTogetherMoveOnOnce) {
  make({"http://one:2379", "http://two:2379"});
  ServiceSpec db = web();
  db.id = "db-h";
  std::optional<Status> other_result;
  call = catalog->deregister(web(), keep());
  auto& first = calls.last("POST", "/v3/kv/deleterange");
  const Watch other =
      catalog->deregister(db, [&](Status s) { other_result.emplace(std::move(s)); });
  auto& second = calls.last("POST", "/v3/kv/deleterange");
  for (auto* failed : {&first, &second}) {
    calls.fail(*failed, Error(Errc::kUnavailable, "cannot connect"));
    auto& again = calls.last("POST", "/v3/kv/deleterange");
    EXPECT_EQ(again.request.url, "http://two:2379/v3/kv/deleterange");
    calls.answer(again, 200, R"({"header":{}})");
  }
  EXPECT_TRUE(result.value());
  EXPECT_TRUE(other_result.value());
}

TEST_F(EtcdCatalogTest, GivesUpWhenNoEndpointAnswers) {
  make({"http://one:2379", "http://two:2379"});
  call = catalog->deregister(web(), keep());
  calls.fail(calls.last("POST", "/v3/kv/deleterange"), Error(Errc::kUnavailable, "cannot connect"));
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 503,
               R"({"message":"etcdserver: no leader","code":14})");
  EXPECT_EQ(result->error().code(), Errc::kUnavailable);
  EXPECT_THAT(result->error().text(), HasSubstr("no leader"));
}

TEST_F(EtcdCatalogTest, AsksAnotherEndpointWhereOneCannotNow) {
  const auto refusal = [](int code) {
    return R"({"message":"grpc: the client connection is closing","code":)" + std::to_string(code) +
           "}";
  };
  const std::vector<std::pair<int, std::string>> answers = {
      {408, refusal(1)},  {504, refusal(4)},  {400, refusal(4)}, {429, refusal(8)},
      {400, refusal(13)}, {503, refusal(14)}, {408, refusal(2)}, {408, ""},
      {429, "slow down"}, {502, "<html>"}};
  for (const auto& [status, body] : answers) {
    make({"http://one:2379", "http://two:2379"});
    call = catalog->deregister(web(), keep());
    for (const char* host : {"one", "two"}) {
      auto& asked = calls.last("POST", "/v3/kv/deleterange");
      EXPECT_THAT(asked.request.url, HasSubstr(host)) << status << ' ' << body;
      calls.answer(asked, status, body);
    }
    EXPECT_EQ(result->error().code(), Errc::kUnavailable) << status << ' ' << body;
  }
  for (const int status : {400, 405}) {
    make({"http://one:2379", "http://two:2379"});
    call = catalog->deregister(web(), keep());
    calls.answer(calls.last("POST", "/v3/kv/deleterange"), status, refusal(3));
    EXPECT_EQ(result->error().code(), Errc::kInvalid) << status;
  }
}

TEST_F(EtcdCatalogTest, FindsTheVersionOfOlderServers) {
  make();
  call = catalog->deregister(web(), keep());
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 404, "404 page not found\n");
  calls.answer(calls.last("POST", "/v3beta/kv/deleterange"), 404, "Not Found\n");
  calls.answer(calls.last("POST", "/v3alpha/kv/deleterange"), 200, R"({"header":{}})");
  EXPECT_TRUE(result.value());
}

/// Each of them went one version further, and the last past the end.
TEST_F(EtcdCatalogTest, CallsThatGoTogetherFindTheVersionToo) {
  make();
  std::vector<Watch> watches;
  std::vector<test::FakeHttpClient::Call*> asked_first;
  int done = 0;
  for (int i = 0; i < 4; ++i) {
    watches.push_back(catalog->deregister(web(), [&](const Status& s) { done += s ? 1 : 100; }));
    asked_first.push_back(&calls.last("POST", "/v3/kv/deleterange"));
  }
  calls.handle([](const auto& asked) -> std::optional<Result<HttpResponse>> {
    if (asked.path == "/v3beta/kv/deleterange") return HttpResponse{200, {}, R"({"header":{}})"};
    return HttpResponse{404, {}, "404 page not found\n"};
  });
  for (auto* asked : asked_first) calls.answer(*asked, 404, "404 page not found\n");
  loop.advance(0s);
  EXPECT_EQ(done, 4);
}

TEST_F(EtcdCatalogTest, SaysClearlyThatAServerIsTooOld) {
  make();
  call = catalog->deregister(web(), keep());
  for (const char* version : {"/v3", "/v3beta", "/v3alpha"}) {
    calls.answer(calls.last("POST", std::string(version) + "/kv/deleterange"), 404,
                 "404 page not found\n");
  }
  EXPECT_EQ(result->error().code(), Errc::kInvalid);
  EXPECT_THAT(result->error().text(), HasSubstr("v2-only server"));
}

TEST_F(EtcdCatalogTest, LogsInAndAgainWhenTheTokenIsTooOld) {
  make({"http://one:2379"}, "agent");
  call = catalog->deregister(web(), keep());
  auto& login = calls.last("POST", "/v3/auth/authenticate");
  EXPECT_EQ(json::parse(login.request.body)["password"], "s3cr3t");
  calls.answer(login, 200, R"({"token":"T1"})");
  auto& first = calls.last("POST", "/v3/kv/deleterange");
  EXPECT_EQ(*find_header(first.request.headers, "Authorization"), "T1");
  calls.answer(first, 200, R"({"header":{}})");
  EXPECT_TRUE(result.value());

  call = catalog->deregister(web(), keep());
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 401,
               R"({"message":"etcdserver: invalid auth token","code":16})");
  calls.answer(calls.last("POST", "/v3/auth/authenticate"), 200, R"({"token":"T2"})");
  EXPECT_EQ(*find_header(calls.calls().back().request.headers, "Authorization"), "T2");
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 200, R"({"header":{}})");
  EXPECT_TRUE(result.value());
}

/// etcd was wiped, and nobody had switched authentication on again: it refuses logins.
TEST_F(EtcdCatalogTest, GoesOnWithoutATokenWhereAuthenticationIsOff) {
  make({"http://one:2379"}, "agent");
  ServiceSpec db = web();
  db.id = "db-h";
  call = catalog->deregister(web(), keep());
  auto& first = calls.last("POST", "/v3/auth/authenticate");
  std::optional<Status> other_result;
  const Watch other =
      catalog->deregister(db, [&](Status s) { other_result.emplace(std::move(s)); });
  auto& second = calls.last("POST", "/v3/auth/authenticate");
  for (auto* login : {&first, &second}) {
    calls.answer(*login, 412,
                 R"({"message":"etcdserver: authentication is not enabled","code":9})");
    auto& sent = calls.last("POST", "/v3/kv/deleterange");
    EXPECT_EQ(find_header(sent.request.headers, "Authorization"), nullptr);
    calls.answer(sent, 200, R"({"header":{}})");
  }
  EXPECT_TRUE(result.value());
  EXPECT_TRUE(other_result.value());

  call = catalog->deregister(web(), keep());
  EXPECT_EQ(calls.count("POST", "/v3/auth/authenticate"), 2);  // it is known
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 400,
               R"({"message":"etcdserver: user name is empty","code":3})");
  ASSERT_EQ(calls.count("POST", "/v3/auth/authenticate"), 3);
  calls.answer(calls.last("POST", "/v3/auth/authenticate"), 200, R"({"token":"T1"})");
  auto& sent = calls.last("POST", "/v3/kv/deleterange");
  EXPECT_EQ(*find_header(sent.request.headers, "Authorization"), "T1");
  calls.answer(sent, 200, R"({"header":{}})");
  EXPECT_TRUE(result.value());
}

TEST_F(EtcdCatalogTest, LogsInAgainWhenTheUsersWereChanged) {
  make({"http://one:2379"}, "agent");
  call = catalog->deregister(web(), keep());
  calls.answer(calls.last("POST", "/v3/auth/authenticate"), 200, R"({"token":"T1"})");
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 200, R"({"header":{}})");
  call = catalog->deregister(web(), keep());
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 400,
               R"({"message":"etcdserver: revision of auth store is old","code":3})");
  EXPECT_EQ(calls.count("POST", "/v3/auth/authenticate"), 2);
}

TEST_F(EtcdCatalogTest, NeverTellsThePassword) {
  make({"http://one:2379"}, "agent");
  call = catalog->deregister(web(), keep());
  calls.answer(
      calls.last("POST", "/v3/auth/authenticate"), 400,
      R"({"message":"etcdserver: authentication failed, invalid user ID or password","code":3})");
  EXPECT_EQ(result->error().code(), Errc::kDenied);
  EXPECT_THAT(result->error().text(), Not(HasSubstr("s3cr3t")));
}

TEST_F(EtcdCatalogTest, NeverTellsThePasswordInAnAddress) {
  const auto told = [this] {
    EXPECT_THAT(result->error().text(), HasSubstr("one:2379"));
    return result->error().text();
  };
  for (const auto& [status, body] : std::vector<std::pair<int, std::string>>{
           {503, ""}, {503, R"({"message":"etcdserver: no leader","code":14})"}}) {
    make({"http://agent:sekrit@one:2379"});
    call = catalog->deregister(web(), keep());
    calls.answer(calls.last("POST", "/v3/kv/deleterange"), status, body);
    EXPECT_THAT(told(), Not(HasSubstr("sekrit")));
  }
  make({"agent:sekrit@one:2379"}, "agent");
  call = catalog->deregister(web(), keep());
  calls.answer(calls.last("POST", "/v3/auth/authenticate"), 200, "{]");
  EXPECT_THAT(told(), Not(HasSubstr("sekrit")));
  make({"http://agent:sekrit@one:2379"});
  call = catalog->deregister(web(), keep());
  for (const char* version : {"/v3", "/v3beta", "/v3alpha"})
    calls.answer(calls.last("POST", std::string(version) + "/kv/deleterange"), 404, "no\n");
  EXPECT_THAT(told(), Not(HasSubstr("sekrit")));
}

TEST_F(EtcdCatalogTest, AnswersQueriesFromOneReadAndOneStream) {
  make();
  open_view();
  EXPECT_EQ(snapshot->value().instances.at(0).id, "web-1");
  auto& stream = polls.last("POST", "/v3/watch");
  EXPECT_EQ(json::parse(stream.request.body)["create_request"]["start_revision"], "42");
  const std::uint64_t index = snapshot->value().index;
  EXPECT_GT(index, 0u);
  snapshot.reset();
  call = catalog->query({"web", "", ""}, index, 60s, keep_snapshot());
  std::optional<Result<Snapshot>> other;
  const Watch second = catalog->query({"db", "", ""}, 0, 60s,
                                      [&](Result<Snapshot> s) { other.emplace(std::move(s)); });
  loop.advance(1s);
  EXPECT_FALSE(snapshot.has_value());
  EXPECT_TRUE(other->value().instances.empty());
  // A change comes in pieces.
  const std::string change = event(pair("web-2", 81));
  polls.data(stream, "{\"result\":{\"created\":true}}\n" + change.substr(0, 20));
  polls.data(stream, change.substr(20));
  loop.advance(0s);
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_GT(snapshot->value().index, index);
  ASSERT_EQ(snapshot->value().instances.size(), 2u);
  EXPECT_EQ(snapshot->value().instances[1], (Instance{"web-2", "web", "192.0.2.1", 81, {}, {}}));
  snapshot.reset();
  call = catalog->query({"web", "", ""}, 0, 60s, keep_snapshot());
  polls.data(stream, event(R"({"key":")" + base64_encode("/cp/web/web-1/service") + "\"}", true));
  loop.advance(0s);
  EXPECT_EQ(snapshot->value().instances.size(), 1u);
  EXPECT_EQ(calls.count("POST", "/v3/kv/range"), 1);
}

TEST_F(EtcdCatalogTest, AWaitingQueryEndsAtItsTime) {
  make();
  open_view();
  const std::uint64_t index = snapshot->value().index;
  snapshot.reset();
  call = catalog->query({"web", "", ""}, index, 60s, keep_snapshot());
  answer_pulses();
  loop.advance(60s);
  EXPECT_EQ(snapshot->value().index, index);
  EXPECT_EQ(polls.count("POST", "/v3/watch"), 1);
  EXPECT_LE(calls.count("POST", "/v3/kv/range"), 1 + 3);
}

/// Its server was frozen, or a firewall forgot the connection: nothing closes it.
TEST_F(EtcdCatalogTest, NoticesAStreamThatDiedWithoutAWord) {
  make();
  open_view();
  snapshot.reset();
  call = catalog->query({"web", "", ""}, 2, 60s, keep_snapshot());
  loop.advance(30s);  // nobody answers
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->error().code(), Errc::kTimeout);
  EXPECT_FALSE(polls.last("POST", "/v3/watch").open);
}

TEST_F(EtcdCatalogTest, TheStreamFollowsTheCallsToAnotherEndpoint) {
  make({"http://one:2379", "http://two:2379"});
  open_view();
  EXPECT_EQ(polls.last("POST", "/v3/watch").request.url, "http://one:2379/v3/watch");
  snapshot.reset();
  call = catalog->query({"web", "", ""}, snapshot_index, 60s, keep_snapshot());
  const Watch other = catalog->deregister(web(), keep());
  calls.fail(calls.last("POST", "/v3/kv/deleterange"), Error(Errc::kTimeout, "no answer"));
  calls.answer(calls.last("POST", "/v3/kv/deleterange"), 200, R"({"header":{}})");
  answer_pulses();
  loop.advance(21s);
  calls.answer(calls.last("POST", "/v3/kv/range"), 200, range(pair("web-2", 80)));
  loop.advance(0s);
  EXPECT_EQ(polls.last("POST", "/v3/watch").request.url, "http://two:2379/v3/watch");
  EXPECT_EQ(snapshot->value().instances.at(0).id, "web-2");
}

TEST_F(EtcdCatalogTest, ReadsAgainAfterTheStreamBroke) {
  make();
  open_view();
  const std::uint64_t index = snapshot->value().index;
  snapshot.reset();
  call = catalog->query({"web", "", ""}, index, 60s, keep_snapshot());
  polls.fail(polls.last("POST", "/v3/watch"), Error(Errc::kIo, "connection reset"));
  EXPECT_EQ(snapshot->error().code(), Errc::kIo);
  snapshot.reset();
  call = catalog->query({"web", "", ""}, 0, 60s, keep_snapshot());
  calls.answer(calls.last("POST", "/v3/kv/range"), 200, range(pair("web-1", 80)));
  EXPECT_EQ(snapshot->value().index, index);  // nothing changed meanwhile
}

TEST_F(EtcdCatalogTest, ReadsAgainAfterCompactionAndNonsense) {
  make();
  for (const char* line :
       {"{\"result\":{\"canceled\":true,\"compact_revision\":\"99\"}}\n", "nonsense\n",
        "{\"result\":7}\n", "{\"error\":{\"grpc_code\":14,\"message\":\"gone\"}}\n"}) {
    open_view();
    snapshot.reset();
    call = catalog->query({"web", "", ""}, 2, 60s, keep_snapshot());
    polls.data(polls.last("POST", "/v3/watch"), line);
    ASSERT_TRUE(snapshot.has_value()) << line;
    EXPECT_EQ(snapshot->error().code(), Errc::kUnavailable) << line;
    snapshot.reset();
  }
  open_view();
}

TEST_F(EtcdCatalogTest, SaysWhyEtcdCanceledTheWatch) {
  make();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("compact_revision":"99")", "the revision was compacted away, the oldest left is 99"},
      {R"("created":true,"cancel_reason":"etcdserver: permission denied")",
       "cannot watch etcd: etcdserver: permission denied"},
      {R"("watch_id":"-1")", "cannot watch etcd: it was canceled"}};
  for (const auto& [fields, reason] : cases) {
    open_view();
    snapshot.reset();
    call = catalog->query({"web", "", ""}, 2, 60s, keep_snapshot());
    polls.data(polls.last("POST", "/v3/watch"), R"({"result":{"canceled":true,)" + fields + "}}\n");
    ASSERT_TRUE(snapshot.has_value()) << fields;
    EXPECT_THAT(snapshot->error().text(), HasSubstr(reason));
  }
}

TEST_F(EtcdCatalogTest, SkipsValuesItCannotRead) {
  make();
  call = catalog->query({"web", "", ""}, 0, 60s, keep_snapshot());
  calls.answer(
      calls.last("POST", "/v3/kv/range"), 200,
      range(R"({"key":")" + base64_encode("/cp/web/bad/service") + R"(","value":")" +
            base64_encode("{]") + "\"}," + pair("web-1", 80) + "," + pair("web-2", 99999)));
  EXPECT_EQ(snapshot->value().instances.size(), 1u);
  EXPECT_TRUE(log.contains("'/cp/web/web-2/service': 99999 is no TCP port"));
  EXPECT_TRUE(log.contains("ignoring the value of etcd key '/cp/web/bad/service'"));
}

}  // namespace
}  // namespace containerpilot::discovery
