#include "consul_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/fake_http.h"
#include "support/log_capture.h"
#include "support/temp_dir.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class ConsulCatalogTest : public testing::Test {
 protected:
  ConsulCatalog make(ConsulSpec spec = {}) {
    return {loop, std::move(spec), "consul at 127.0.0.1:8500", calls, polls};
  }
  ServiceSpec web() {
    ServiceSpec spec;
    spec.id = "web-h";
    spec.name = "web";
    spec.ttl = 10s;
    return spec;
  }
  Catalog::Done keep() {
    return [this](Status status) { result.emplace(std::move(status)); };
  }

  test::LogCapture log;
  test::SimReactor loop;
  test::FakeHttpClient calls{loop}, polls{loop};
  std::optional<Status> result;
};

TEST_F(ConsulCatalogTest, RegistersWithOnePut) {
  auto catalog = make();
  const Watch call = catalog.register_service(web(), Health::kPassing, keep());
  auto& sent = calls.last("PUT", "/v1/agent/service/register");
  EXPECT_EQ(sent.request.url, "http://127.0.0.1:8500/v1/agent/service/register");
  EXPECT_THAT(sent.request.body, HasSubstr(R"("ID":"web-h")"));
  EXPECT_EQ(find_header(sent.request.headers, "X-Consul-Token"), nullptr);
  calls.answer(sent, 200);
  EXPECT_TRUE(result.value());
}

TEST_F(ConsulCatalogTest, SendsTheTokenButNeverTellsIt) {
  ConsulSpec spec;
  spec.token = "s3cr3t";
  auto catalog = make(spec);
  const Watch call = catalog.deregister(web(), keep());
  auto& sent = calls.last("PUT", "/v1/agent/service/deregister/web-h");
  EXPECT_EQ(sent.request.body, "");
  EXPECT_EQ(*find_header(sent.request.headers, "X-Consul-Token"), "s3cr3t");
  calls.answer(sent, 403, "Permission denied\n");
  ASSERT_FALSE(result.value());
  EXPECT_EQ(result->error().code(), Errc::kDenied);
  EXPECT_EQ(result->error().text(),
            "cannot deregister 'web-h': http://127.0.0.1:8500/v1/agent/service/deregister/web-h "
            "answered 403: "
            "Permission denied");
}

TEST_F(ConsulCatalogTest, NeverTellsThePasswordInItsAddress) {
  ConsulSpec spec;
  spec.address = "me:sekrit@consul:8500";
  auto catalog = make(spec);
  std::vector<std::string> told;
  Watch call = catalog.deregister(web(), keep());
  calls.answer(calls.last("PUT", "/v1/agent/service/deregister/web-h"), 503, "not now");
  told.push_back(result->error().text());
  call = catalog.own_entries([&](const Result<std::vector<OwnEntry>>& entries) {
    told.push_back(entries.error().text());
  });
  calls.answer(calls.last("GET", "/v1/agent/services"), 200, "{]");
  call = catalog.query({"web", "", ""}, 0, 60s,
                       [&](const Result<Snapshot>& s) { told.push_back(s.error().text()); });
  polls.answer(polls.last("GET", "/v1/health/service/web"), 200, "{]");
  ASSERT_EQ(told.size(), 3u);
  for (const std::string& text : told) {
    EXPECT_THAT(text, HasSubstr("http://consul:8500/v1/"));
    EXPECT_THAT(text, Not(HasSubstr("sekrit")));
  }
}

TEST_F(ConsulCatalogTest, SaysWhoAndWhereItIsInEachCall) {
  ConsulSpec spec;
  spec.http_auth = "me:secret";
  spec.name_space = "team";
  spec.partition = "west";
  auto catalog = make(spec);
  const Watch call = catalog.register_service(web(), Health::kPassing, keep());
  const Watch question = catalog.query({"web", "", ""}, 0, 60s, [](const Result<Snapshot>&) {});
  for (const auto& headers : {calls.last("PUT", "/v1/agent/service/register").request.headers,
                              polls.last("GET", "/v1/health/service/web").request.headers}) {
    EXPECT_EQ(*find_header(headers, "Authorization"), "Basic bWU6c2VjcmV0");
    EXPECT_EQ(*find_header(headers, "X-Consul-Namespace"), "team");
    EXPECT_EQ(*find_header(headers, "X-Consul-Partition"), "west");
  }
}

TEST_F(ConsulCatalogTest, ReadsTheTokenFileAgainWhenItChanges) {
  const test::TempDir dir;
  const std::string file = dir.path() + "/token";
  std::ofstream(file) << "first\n";
  ConsulSpec spec;
  spec.token_file = file;
  auto catalog = make(spec);
  const auto token = [&] {
    const Watch call = catalog.deregister(web(), keep());
    return *find_header(calls.calls().back().request.headers, "X-Consul-Token");
  };
  EXPECT_EQ(token(), "first");
  std::ofstream(file + ".new") << "second";
  std::rename((file + ".new").c_str(), file.c_str());
  loop.advance(2s);
  EXPECT_EQ(token(), "second");
  std::remove(file.c_str());
  loop.advance(2s);
  EXPECT_EQ(token(), "second");
}

TEST_F(ConsulCatalogTest, KeepsTheTokenWhileItsFileIsBeingWritten) {
  const test::TempDir dir;
  const std::string file = dir.path() + "/token";
  std::ofstream(file) << "first\n";
  ConsulSpec spec;
  spec.token = "inline";
  spec.token_file = file;
  auto catalog = make(spec);
  const auto token = [&] {
    loop.advance(2s);
    const Watch call = catalog.deregister(web(), keep());
    return *find_header(calls.calls().back().request.headers, "X-Consul-Token");
  };
  EXPECT_EQ(token(), "first");
  for (const char* begun : {"", "\n"}) {
    std::ofstream(file) << begun;
    EXPECT_EQ(token(), "first");
    EXPECT_EQ(token(), "first");
  }
  EXPECT_EQ(log.count("the token file is empty, going on without a new token"), 1);
  std::remove(file.c_str());
  EXPECT_EQ(token(), "first");
  std::ofstream(file) << "second\n";
  EXPECT_EQ(token(), "second");
  // In place, within a tick of the clock.
  std::ofstream(file) << "the third\n";
  EXPECT_EQ(token(), "the third");
}

TEST_F(ConsulCatalogTest, TakesAnyRefusedBeatForALostEntry) {
  auto catalog = make();
  for (const int status : {400, 403, 404, 500}) {
    const Watch call = catalog.update(web(), Health::kPassing, "ok", keep());
    calls.answer(calls.last("PUT", "/v1/agent/check/update/service:web-h"), status, "no");
    ASSERT_FALSE(result.value());
    EXPECT_EQ(result->error().code(), Errc::kNotFound) << status;
  }
}

TEST_F(ConsulCatalogTest, BeatsTheNameThatAnOldConsulGaveACheck) {
  auto catalog = make();
  ServiceSpec spec = web();
  spec.check_id = "web-h";
  Watch call = catalog.update(spec, Health::kPassing, "ok", keep());
  calls.answer(calls.last("PUT", "/v1/agent/check/pass/web-h"), 500, "unknown check");
  EXPECT_EQ(result->error().code(), Errc::kNotFound);
  call = catalog.own_entries([](const auto&) {});
  calls.answer(calls.last("GET", "/v1/agent/services"), 200, R"({"web-h": {"ID": "web-h"}})");
  calls.answer(calls.last("GET", "/v1/agent/checks"), 200,
               R"({"service:web-h": {"ServiceID": "web-h", "Status": "passing"}})");
  call = catalog.update(spec, Health::kPassing, "ok", keep());
  calls.answer(calls.last("PUT", "/v1/agent/check/update/service:web-h"), 200);
  EXPECT_TRUE(result.value());
}

TEST_F(ConsulCatalogTest, KeepsTheErrorOfABeatThatWasNotAnswered) {
  auto catalog = make();
  const Watch call = catalog.update(web(), Health::kPassing, "ok", keep());
  calls.fail(calls.last("PUT", "/v1/agent/check/update/service:web-h"),
             Error(Errc::kTimeout, "cannot reach it"));
  EXPECT_EQ(result->error().code(), Errc::kTimeout);
  EXPECT_EQ(result->error().text(), "cannot update 'web-h': cannot reach it");
}

TEST_F(ConsulCatalogTest, GivesABeatUpWhileTheNextCanSaveTheEntry) {
  auto catalog = make();
  ServiceSpec spec = web();
  for (const auto& [ttl, timeout] :
       {std::pair<Duration, Duration>{10s, 5s}, {4s, 2s}, {1s, 1s}, {60s, 5s}}) {
    spec.ttl = ttl;
    const Watch call = catalog.update(spec, Health::kPassing, "ok", keep());
    EXPECT_EQ(calls.calls().back().request.timeout, timeout);
  }
}

TEST_F(ConsulCatalogTest, IsContentWhenThereIsNothingToDeregister) {
  auto catalog = make();
  const Watch call = catalog.deregister(web(), keep());
  calls.answer(calls.last("PUT", "/v1/agent/service/deregister/web-h"), 404, "Unknown service ID");
  EXPECT_TRUE(result.value());
}

TEST_F(ConsulCatalogTest, WaitsForChangesOnAPoolOfItsOwn) {
  auto catalog = make();
  std::optional<Result<Snapshot>> snapshot;
  const Watch call = catalog.query({"web", "", ""}, 17, 60s,
                                   [&](Result<Snapshot> s) { snapshot.emplace(std::move(s)); });
  EXPECT_EQ(calls.calls().size(), 0u);
  auto& sent = polls.last("GET", "/v1/health/service/web");
  EXPECT_THAT(sent.path, HasSubstr("index=17&wait=60s"));
  EXPECT_GT(sent.request.timeout, 63750ms);  // Consul adds up to a sixteenth
  polls.answer(sent, 200, "[]", {{"x-consul-index", "18"}});
  ASSERT_TRUE(snapshot->has_value());
  EXPECT_EQ(snapshot->value().index, 18u);
}

TEST_F(ConsulCatalogTest, AnAnswerLikeTheLastIsNotReadAgain) {
  auto catalog = make();
  const std::string body = R"([{"Service":{"ID":"web-h","Service":"web"}}])";
  Query question{"web", "", ""};
  const auto ask = [&](const std::string& answer) {
    std::optional<Result<Snapshot>> snapshot;
    const Watch call = catalog.query(question, 0, 60s,
                                     [&](Result<Snapshot> s) { snapshot.emplace(std::move(s)); });
    polls.answer(polls.last("GET", "/v1/health/service/web"), 200, answer,
                 {{"X-Consul-Index", "7"}});
    return std::move(*snapshot).value();
  };
  const Snapshot first = ask(body);
  EXPECT_FALSE(first.same);
  EXPECT_EQ(first.instances.size(), 1u);
  question.known = first.content;
  const Snapshot second = ask(body);
  EXPECT_TRUE(second.same);
  EXPECT_EQ(second.index, 7u);
  EXPECT_EQ(second.content, first.content);
  const Snapshot third = ask("[]");
  EXPECT_FALSE(third.same);
  EXPECT_NE(third.content, first.content);
}

TEST_F(ConsulCatalogTest, AnswersWithoutAnIndexGetIndexZero) {
  auto catalog = make();
  std::optional<Result<Snapshot>> snapshot;
  for (const Headers& headers :
       {Headers{}, Headers{{"X-Consul-Index", "abc"}}, Headers{{"X-Consul-Index", ""}}}) {
    const Watch call = catalog.query({"web", "", ""}, 0, 60s,
                                     [&](Result<Snapshot> s) { snapshot.emplace(std::move(s)); });
    polls.answer(polls.last("GET", "/v1/health/service/web"), 200, "[]", headers);
    EXPECT_EQ(snapshot->value().index, 0u);
  }
}

TEST_F(ConsulCatalogTest, TellsAddressAndPathOfABadAnswer) {
  auto catalog = make();
  std::optional<Result<Snapshot>> snapshot;
  const Watch call = catalog.query({"web", "", ""}, 0, 60s,
                                   [&](Result<Snapshot> s) { snapshot.emplace(std::move(s)); });
  polls.answer(polls.last("GET", "/v1/health/service/web"), 200, R"([{"Service":7}])");
  ASSERT_FALSE(snapshot->has_value());
  EXPECT_EQ(snapshot->error().text(),
            "cannot watch 'web': cannot read the answer of "
            "http://127.0.0.1:8500/v1/health/service/web?passing=1: "
            "'/0/Service' is an integer, expected an object");
}

TEST_F(ConsulCatalogTest, AProxyWithoutConsulIsAnOutage) {
  auto catalog = make();
  for (const int status : {502, 503, 504}) {
    const Watch beat = catalog.update(web(), Health::kPassing, "ok", keep());
    calls.answer(calls.last("PUT", "/v1/agent/check/update/service:web-h"), status, "no");
    EXPECT_EQ(result->error().code(), Errc::kUnavailable) << status;
    std::optional<Result<std::vector<OwnEntry>>> entries;
    const Watch list = catalog.own_entries(
        [&](Result<std::vector<OwnEntry>> e) { entries.emplace(std::move(e)); });
    calls.answer(calls.last("GET", "/v1/agent/services"), status, "no");
    EXPECT_EQ(entries->error().code(), Errc::kUnavailable) << status;
  }
}

TEST_F(ConsulCatalogTest, AnAnswerThatBreaksOffIsTheTroubleOfItsQuery) {
  auto catalog = make();
  std::optional<Result<Snapshot>> snapshot;
  const Watch call = catalog.query({"web", "", ""}, 0, 60s,
                                   [&](Result<Snapshot> s) { snapshot.emplace(std::move(s)); });
  polls.fail(polls.last("GET", "/v1/health/service/web"), Error(Errc::kIo, "too long"));
  EXPECT_EQ(snapshot->error().code(), Errc::kInternal);
}

TEST_F(ConsulCatalogTest, WarnsOnceOfInstancesItLeavesOut) {
  auto catalog = make();
  const auto ask = [&](const std::string& service, const std::string& ports) {
    std::size_t found = 0;
    const Watch call = catalog.query(
        {service, "", ""}, 0, 60s, [&](Result<Snapshot> s) { found = s.value().instances.size(); });
    polls.answer(polls.last("GET", "/v1/health/service/" + service), 200, "[" + ports + "]");
    return found;
  };
  const std::string good = R"({"Service":{"ID":"good","Port":80}})";
  const std::string bad = R"({"Service":{"ID":"bad","Port":99999}})";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask("web", good + "," + bad), 1u);
    EXPECT_EQ(ask("db", bad), 0u);
  }
  EXPECT_EQ(log.count("instances of 'web' have a port that is no TCP port: bad (99999), ignoring"),
            1);
  EXPECT_EQ(log.count("no TCP port"), 2);
  ask("web", good);
  ask("web", bad);
  EXPECT_EQ(log.count("no TCP port"), 3) << "it came back";
}

TEST_F(ConsulCatalogTest, AnUnreachableDatacenterIsNoOutage) {
  auto catalog = make();
  std::optional<Result<Snapshot>> snapshot;
  const Watch call = catalog.query({"web", "mars", ""}, 0, 60s,
                                   [&](Result<Snapshot> s) { snapshot.emplace(std::move(s)); });
  auto& sent = polls.last("GET", "/v1/health/service/web");
  polls.answer(sent, 500, "No path to datacenter");
  EXPECT_EQ(snapshot->error().code(), Errc::kInternal);
  EXPECT_THAT(snapshot->error().text(), HasSubstr("No path to datacenter"));
}

TEST_F(ConsulCatalogTest, ReadsOwnEntriesInTwoSteps) {
  auto catalog = make();
  std::optional<Result<std::vector<OwnEntry>>> entries;
  const Watch call =
      catalog.own_entries([&](Result<std::vector<OwnEntry>> e) { entries.emplace(std::move(e)); });
  calls.answer(calls.last("GET", "/v1/agent/services"), 200,
               R"({"web-h":{"ID":"web-h","Service":"web"}})");
  EXPECT_FALSE(entries);
  calls.answer(calls.last("GET", "/v1/agent/checks"), 200,
               R"({"service:web-h":{"Status":"passing"}})");
  ASSERT_TRUE(entries->has_value());
  EXPECT_EQ(entries->value().at(0).service.name, "web");
  EXPECT_TRUE(entries->value().at(0).has_check);
}

TEST_F(ConsulCatalogTest, CannotTellOwnEntriesOfAServerThatDoesNotServeThem) {
  auto catalog = make();
  std::optional<Result<std::vector<OwnEntry>>> entries;
  const Watch call =
      catalog.own_entries([&](Result<std::vector<OwnEntry>> e) { entries.emplace(std::move(e)); });
  calls.answer(calls.last("GET", "/v1/agent/services"), 501, "");
  EXPECT_EQ(entries->error().code(), Errc::kNotFound);
}

TEST_F(ConsulCatalogTest, CancelsWhicheverStepIsUnderWay) {
  auto catalog = make();
  bool told = false;
  Watch call = catalog.own_entries([&](const auto&) { told = true; });
  calls.answer(calls.last("GET", "/v1/agent/services"), 200, "{}");
  call = Watch();
  EXPECT_TRUE(calls.last("GET", "/v1/agent/checks").cancelled);
  loop.advance(20s);
  EXPECT_FALSE(told);
}

TEST_F(ConsulCatalogTest, ReachesAUnixSocket) {
  ConsulSpec spec;
  spec.unix_socket = true;
  spec.address = "/run/consul.sock";
  auto catalog = make(spec);
  const Watch call = catalog.deregister(web(), keep());
  EXPECT_EQ(calls.calls().back().request.unix_socket, "/run/consul.sock");
  EXPECT_EQ(calls.calls().back().request.url, "http://localhost/v1/agent/service/deregister/web-h");
}

}  // namespace
}  // namespace containerpilot::discovery
