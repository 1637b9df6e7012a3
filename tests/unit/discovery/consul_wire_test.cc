#include "consul_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mutate.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

ServiceSpec web() {
  ServiceSpec spec;
  spec.id = "web-host1";
  spec.name = "web";
  spec.address = "192.0.2.1";
  spec.port = 8080;
  spec.tags = {"a", "b"};
  spec.enable_tag_override = true;
  spec.ttl = 5s;
  spec.deregister_critical_after = "10m";
  return spec;
}

// The body 3.8.0 was seen to send (spec v3, section 5.2), with real values.
TEST(ConsulRegistration, IsTheBodyOfTheOldProgram) {
  EXPECT_EQ(
      encode_registration(web(), Health::kPassing),
      R"({"ID":"web-host1","Name":"web","Tags":["a","b"],"Port":8080,"Address":"192.0.2.1",)"
      R"("EnableTagOverride":true,"Check":{"TTL":"5s","Status":"passing",)"
      R"("Notes":"TTL for web set by containerpilot","DeregisterCriticalServiceAfter":"10m"},)"
      R"("Checks":null})"
      "\n");
}

TEST(ConsulRegistration, NamesTheCheckIfAsked) {  // 2.x named it as the entry
  ServiceSpec spec = web();
  EXPECT_FALSE(json::parse(encode_registration(spec, Health::kPassing))["Check"].contains("Name"));
  spec.check_id = "web-host1";
  const auto check = json::parse(encode_registration(spec, Health::kPassing))["Check"];
  EXPECT_EQ(check["CheckID"], "web-host1");
  EXPECT_EQ(check["Name"], "web-host1");
}

TEST(ConsulBeat, PassesANamedCheckAs2xDid) {
  ServiceSpec spec = web();
  spec.id = "my web-host1";
  const Beat plain = encode_beat(spec, Health::kPassing, "ok");
  EXPECT_EQ(plain.target, "/v1/agent/check/update/service:my%20web-host1");
  EXPECT_EQ(json::parse(plain.body)["Status"], "passing");
  spec.check_id = spec.id;
  const Beat named = encode_beat(spec, Health::kPassing, "ok then");
  EXPECT_EQ(named.target, "/v1/agent/check/pass/my%20web-host1?note=ok%20then");
  EXPECT_EQ(named.body, "");
  const Beat critical = encode_beat(spec, Health::kCritical, "exit 1");
  EXPECT_EQ(critical.target, "/v1/agent/check/update/my%20web-host1");
  EXPECT_EQ(json::parse(critical.body)["Output"], "exit 1");
}

TEST(ConsulRegistration, LeavesEmptyMembersOut) {
  ServiceSpec spec;
  spec.id = spec.name = "w";
  spec.ttl = 1s;
  const auto body = json::parse(encode_registration(spec, Health::kCritical));
  for (const char* member : {"Tags", "Port", "Address", "EnableTagOverride", "Meta"}) {
    EXPECT_FALSE(body.contains(member)) << member;
  }
  EXPECT_EQ(body["Check"]["Status"], "critical");
  EXPECT_EQ(body["Check"]["DeregisterCriticalServiceAfter"], "1h");  // leftovers of a crash go away
}

TEST(ConsulRegistration, CarriesMetaAndNotesWhenThereAreAny) {
  ServiceSpec spec = web();
  spec.meta = {{"version", "4"}};
  spec.notes = "mine";
  const auto body = json::parse(encode_registration(spec, Health::kWarning));
  EXPECT_EQ(body["Meta"]["version"], "4");
  EXPECT_EQ(body["Check"]["Notes"], "mine");
  EXPECT_EQ(body["Check"]["Status"], "warning");
}

TEST(ConsulCheckUpdate, IsTheBodyOfTheOldProgram) {
  EXPECT_EQ(encode_check_update(Health::kPassing, "ok"),
            "{\"Status\":\"passing\",\"Output\":\"ok\"}\n");
}

TEST(ConsulCheckUpdate, SurvivesOutputThatIsNotText) {
  const std::string body = encode_check_update(Health::kCritical, "bad \xff\xfe\x01 bytes");
  EXPECT_EQ(json::parse(body)["Output"], "bad \xEF\xBF\xBD\xEF\xBF\xBD\x01 bytes");
}

TEST(HealthQuery, IsTheOldProgramsUntilItWaits) {
  EXPECT_EQ(health_query_target({"web", "", ""}, 0, 60s), "/v1/health/service/web?passing=1");
  EXPECT_EQ(health_query_target({"web", "dc2", "x&y"}, 0, 60s),
            "/v1/health/service/web?dc=dc2&passing=1&tag=x%26y");
  EXPECT_EQ(health_query_target({"a b", "", ""}, 7, 60s),
            "/v1/health/service/a%20b?passing=1&stale=&index=7&wait=60s");
}

// From the documentation of Consul's HTTP API, shortened.
constexpr const char* kHealthAnswer = R"([
  {"Node": {"ID": "40e4a748", "Node": "foobar", "Address": "10.1.10.12", "Datacenter": "dc1"},
   "Service": {"ID": "redis2", "Service": "redis", "Tags": ["primary"], "Address": "", "Meta": {"v": "4.0"}, "Port": 8000},
   "Checks": []},
  {"Node": {"Node": "foobar", "Address": "10.1.10.12"},
   "Service": {"ID": "redis1", "Service": "redis", "Tags": null, "Address": "10.1.10.13", "Port": 8001}}])";

TEST(DecodeHealthService, ReadsInstancesSortedById) {
  const auto answer = decode_health_service(kHealthAnswer);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_THAT(
      answer.value().instances,
      ElementsAre(Instance{"redis1", "redis", "10.1.10.13", 8001, {}, {}},
                  Instance{"redis2", "redis", "10.1.10.12", 8000, {"primary"}, {{"v", "4.0"}}}));
}

TEST(DecodeHealthService, TakesNullAndEmptyForNoInstances) {
  EXPECT_TRUE(decode_health_service("[]").value().instances.empty());
  EXPECT_TRUE(decode_health_service("null").value().instances.empty());
}

TEST(DecodeHealthService, NamesThePathOfTheBadField) {
  const auto instances = decode_health_service(R"([{"Service":{"ID":"a","Port":"80"}}])");
  ASSERT_FALSE(instances);
  EXPECT_EQ(instances.error().text(), "'/0/Service/Port' is a string, expected a whole number");
  EXPECT_THAT(decode_health_service("[{}]").error().text(), HasSubstr("'/0/Service' is missing"));
  EXPECT_THAT(decode_health_service("<html>").error().text(), HasSubstr("not JSON"));
  EXPECT_THAT(decode_health_service("").error().text(), HasSubstr("empty"));
}

TEST(DecodeHealthService, LeavesInstancesOutWhosePortIsNoTcpPort) {
  const auto answer = decode_health_service(R"([{"Service":{"ID":"b","Port":65536}},
    {"Service":{"ID":"c","Port":65535}}, {"Service":{"ID":"a","Port":-1}}, {"Service":{"ID":"d"}}])");
  ASSERT_TRUE(answer) << answer.error().text();
  ASSERT_EQ(answer.value().instances.size(), 2u);
  EXPECT_EQ(answer.value().instances[0].port, 65535);
  EXPECT_EQ(answer.value().instances[1].id, "d");
  EXPECT_THAT(answer.value().left_out, ElementsAre("a (-1)", "b (65536)"));
}

template <class T>
void expect_value_or_path(const Result<T>& result, const std::string& text) {
  if (result) return;
  EXPECT_THAT(result.error().text(), HasSubstr("expected")) << text.substr(0, 300);
  EXPECT_LT(result.error().text().size(), 1000u);
}

constexpr const char* kServicesAnswer =
    R"({"web-h":{"ID":"web-h","Service":"web","Tags":["a"],"Meta":{"m":"v"},"Port":80,"Address":"1.2.3.4","EnableTagOverride":false}})";
constexpr const char* kChecksAnswer =
    R"({"service:web-h":{"Node":"n","CheckID":"service:web-h","Name":"c","Status":"critical","Notes":"TTL for web set by containerpilot","Output":"TTL expired","ServiceID":"web-h","ServiceName":"web"}})";

TEST(ConsulDecoders, GiveAValueOrAPathForEveryMutation) {
  int count = 0;
  mutate(json::parse(kHealthAnswer), [&](const std::string& text) {
    ++count;
    expect_value_or_path(decode_health_service(text), text);
  });
  mutate(json::parse(kServicesAnswer),
         [&](const std::string& text) { expect_value_or_path(decode_agent_services(text), text); });
  mutate(json::parse(kChecksAnswer),
         [&](const std::string& text) { expect_value_or_path(decode_agent_checks(text), text); });
  EXPECT_GT(count, 300);
}

TEST(ConsulDecoders, SurviveEveryTruncationAndDepth) {
  const std::string text = kHealthAnswer;
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(decode_health_service(text.substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_health_service(std::string(20000, '[')));
  EXPECT_FALSE(decode_health_service(std::string(20000, '[') + std::string(20000, ']')));
}

TEST(OwnEntries, KnowAnExpiredEntryOfOursFromOthers) {
  const auto services = decode_agent_services(kServicesAnswer).value();
  const auto entry = [&](const char* status, const char* notes, const char* output) {
    json checks = json::parse(kChecksAnswer);
    checks["service:web-h"]["Status"] = status;
    checks["service:web-h"]["Notes"] = notes;
    checks["service:web-h"]["Output"] = output;
    return merge_own_entries(services, decode_agent_checks(checks.dump()).value()).at(0);
  };
  constexpr const char* kOurs = "TTL for web set by containerpilot";
  EXPECT_TRUE(entry("critical", kOurs, "TTL expired").expired);
  EXPECT_FALSE(entry("critical", kOurs, "exit 1").expired);
  EXPECT_FALSE(entry("passing", kOurs, "TTL expired").expired);
  EXPECT_FALSE(entry("critical", "somebody else's", "TTL expired").expired);
  EXPECT_FALSE(merge_own_entries(services, {}).at(0).has_check);
  EXPECT_TRUE(entry("passing", kOurs, "ok").has_check);
}

TEST(OwnEntries, KnowTheirCheckByEitherName) {
  OwnEntry web;
  web.service.id = "web-h";
  const auto has_check = [&](const std::string& id) {
    return merge_own_entries({web}, {{id, "web-h", "", "passing", "ok"}}).at(0).has_check;
  };
  EXPECT_TRUE(has_check("service:web-h"));
  EXPECT_TRUE(has_check("web-h"));
  EXPECT_FALSE(has_check("somebody-elses"));
  const AgentCheck given{"service:web-h", "web-h", "", "passing", "ok"};
  const AgentCheck named{"web-h", "web-h", "", "passing", "ok"};
  EXPECT_EQ(unnamed_checks({given}), std::set<std::string>{"web-h"});
  EXPECT_TRUE(unnamed_checks({given, named}).empty());
}

TEST(OwnEntries, TellWhetherTheCatalogKeepsMeta) {
  EXPECT_TRUE(decode_agent_services(kServicesAnswer).value().at(0).keeps_meta);
  json of_consul_1_0_4 = json::parse(kServicesAnswer);
  of_consul_1_0_4["web-h"].erase("Meta");
  EXPECT_FALSE(decode_agent_services(of_consul_1_0_4.dump()).value().at(0).keeps_meta);
}

}  // namespace
}  // namespace containerpilot::discovery
