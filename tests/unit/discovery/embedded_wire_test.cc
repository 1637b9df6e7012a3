#include "embedded_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "consul_wire.h"
#include "support/sim_reactor.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(EmbeddedRegistration, UnderstandsWhatOurDriverSends) {
  ServiceSpec spec;
  spec.id = "web-h";
  spec.name = "web";
  spec.address = "192.0.2.1";
  spec.port = 80;
  spec.tags = {"a"};
  spec.meta = {{"k", "v"}};
  spec.enable_tag_override = true;
  spec.ttl = 1500ms;
  spec.deregister_critical_after = "10m";
  const auto registration = decode_registration(encode_registration(spec, Health::kWarning));
  ASSERT_TRUE(registration) << registration.error().text();
  ServiceSpec known = spec;
  known.ttl = 0s;  // the check's
  known.deregister_critical_after.clear();
  EXPECT_EQ(registration.value().service, known);
  const CheckDefinition& check = registration.value().checks.at(0);
  EXPECT_EQ(check.id, "service:web-h");
  EXPECT_EQ(check.ttl, 1500ms);
  EXPECT_EQ(check.deregister_after, 10min);
  EXPECT_EQ(check.status, Health::kWarning);
}

TEST(EmbeddedRegistration, TakesTheLowerCaseOfPythonClients) {
  const auto registration =
      decode_registration(R"({"name":"web","port":80,"check":{"ttl":"10s"}})");
  ASSERT_TRUE(registration);
  EXPECT_EQ(registration.value().service.id, "web");
  EXPECT_EQ(registration.value().checks.at(0).ttl, 10s);
}

TEST(EmbeddedRegistration, NumbersSeveralChecksAsConsulDoes) {
  const auto registration = decode_registration(
      R"({"Name":"web","Checks":[{"TTL":"1s"},{"CheckID":"mine","TTL":"1s"}]})");
  ASSERT_TRUE(registration);
  EXPECT_EQ(registration.value().checks.at(0).id, "service:web:1");
  EXPECT_EQ(registration.value().checks.at(1).id, "mine");
}

TEST(EmbeddedRegistration, SaysWhatIsWrong) {
  const auto problem = [](const char* body) { return decode_registration(body).error().text(); };
  EXPECT_THAT(problem("{}"), HasSubstr("'/Name' is missing, expected the service's name"));
  EXPECT_THAT(problem("[]"), HasSubstr("'/' is an array, expected an object"));
  EXPECT_THAT(problem(""), HasSubstr("empty"));
  EXPECT_THAT(problem(R"({"Name":"a","Check":{"HTTP":"http://x"}})"),
              HasSubstr("'/Check/HTTP' is a string, expected a TTL"));
  EXPECT_THAT(problem(R"({"Name":"a","Check":{"TTL":"soon"}})"),
              HasSubstr("expected a duration like '10s'"));
  EXPECT_THAT(problem(R"({"Name":"a","Check":{"TTL":"1s","Status":"fine"}})"),
              HasSubstr("'passing', 'warning' or 'critical'"));
  EXPECT_THAT(problem(R"({"Name":"a","Port":"80"})"),
              HasSubstr("'/Port' is a string, expected a whole number"));
  EXPECT_THAT(problem(R"({"Name":"a","Port":80.5})"), HasSubstr("'/Port' is a fraction"));
  EXPECT_THAT(problem(R"({"Name":"a","Port":18446744073709551615})"), HasSubstr("'/Port'"));
}

TEST(EmbeddedRegistration, TakesAnyWholeNumberForAPortAsConsulDoes) {
  for (const std::int64_t port : {std::int64_t{99999}, std::int64_t{-1}, INT64_MAX, INT64_MIN}) {
    ServiceSpec spec;
    spec.id = spec.name = "web";
    spec.port = port;
    const auto registration = decode_registration(encode_registration(spec, Health::kPassing));
    ASSERT_TRUE(registration) << registration.error().text();
    EXPECT_EQ(registration.value().service.port, port);
  }
}

TEST(EmbeddedCheckUpdate, DemandsAKnownStatus) {
  EXPECT_EQ(decode_check_update("{\"Status\":\"passing\",\"Output\":\"ok\"}\n").value().output,
            "ok");
  EXPECT_FALSE(decode_check_update(R"({"Output":"ok"})"));
  EXPECT_FALSE(decode_check_update(R"({"Status":"pass"})"));
}

class EmbeddedAnswers : public testing::Test {
 protected:
  EmbeddedAnswers() {
    add("web-1", {"blue"}, Health::kPassing);
    add("web-2", {"blue", "big"}, Health::kCritical);
    add("web-3", {}, Health::kPassing);
  }
  void add(const std::string& id, std::vector<std::string> tags, Health health,
           std::int64_t port = 80) {
    Registration registration;
    registration.service.id = id;
    registration.service.name = "web";
    registration.service.address = "192.0.2.1";
    registration.service.port = port;
    registration.service.tags = std::move(tags);
    CheckDefinition check;
    check.id = "service:" + id;
    check.status = health;
    check.ttl = 10s;
    registration.checks.push_back(check);
    ASSERT_TRUE(store.register_service(registration));
  }
  std::vector<std::string> ids(const ServiceFilter& filter) {
    std::vector<std::string> result;
    const auto answer =
        decode_health_service(encode_health_service(node, store.services(), filter));
    for (const Instance& instance : answer.value().instances) result.push_back(instance.id);
    return result;
  }

  test::SimReactor loop;
  CatalogStore store{loop, [](const std::string&) {}};
  NodeIdentity node{"host", "127.0.0.1", "127.0.0.1:8500"};
};

TEST_F(EmbeddedAnswers, FilterByHealthAndTags) {
  EXPECT_THAT(ids({"web", {}, false}), ElementsAre("web-1", "web-2", "web-3"));
  EXPECT_THAT(ids({"web", {}, true}), ElementsAre("web-1", "web-3"));
  EXPECT_THAT(ids({"web", {"blue"}, true}), ElementsAre("web-1"));
  EXPECT_THAT(ids({"web", {"blue", "big"}, false}), ElementsAre("web-2"));
  EXPECT_THAT(ids({"db", {}, false}), ElementsAre());
}

TEST_F(EmbeddedAnswers, AreUnderstoodByOurDriver) {
  const auto services = decode_agent_services(encode_agent_services(store.services()));
  ASSERT_TRUE(services) << services.error().text();
  const auto checks = decode_agent_checks(encode_agent_checks(node, store.services()));
  ASSERT_TRUE(checks) << checks.error().text();
  const auto entries = merge_own_entries(services.value(), checks.value());
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_TRUE(entries[0].has_check);
  EXPECT_EQ(entries[1].service.tags, (std::vector<std::string>{"blue", "big"}));
}

TEST_F(EmbeddedAnswers, ShowAPortAsItIs) {
  add("web-4", {}, Health::kPassing, 99999);
  EXPECT_EQ(json::parse(encode_agent_services(store.services()))["web-4"]["Port"], 99999);
  EXPECT_EQ(
      decode_agent_services(encode_agent_services(store.services())).value().at(3).service.port,
      99999);
}

TEST_F(EmbeddedAnswers, HaveConsulsShapes) {
  EXPECT_EQ(json::parse(encode_catalog_services(store.services())),
            (json{{"web", {"big", "blue"}}}));
  const json service =
      json::parse(encode_catalog_service(node, store.services(), {"web", {"big"}, false}));
  EXPECT_EQ(service.at(0).at("ServiceID"), "web-2");
  EXPECT_EQ(service.at(0).at("Address"), "127.0.0.1");
  EXPECT_EQ(json::parse(encode_health_state(node, store.services(), "critical")).size(), 1u);
  EXPECT_EQ(json::parse(encode_health_checks(node, store.services(), "web")).size(), 3u);
  EXPECT_EQ(json::parse(encode_agent_self(node, "1"))["Config"]["Datacenter"], "dc1");
  EXPECT_EQ(json::parse(encode_catalog_nodes(node)).at(0)["Node"], "host");
}

}  // namespace
}  // namespace containerpilot::discovery
