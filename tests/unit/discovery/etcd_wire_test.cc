#include "etcd_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mutate.h"

namespace containerpilot::discovery {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

TEST(Base64, IsThatOfRfc4648) {
  for (const auto& [bytes, text] :
       std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg=="},
                                                        {"fooba", "Zm9vYmE="},
                                                        {"foobar", "Zm9vYmFy"},
                                                        {std::string("\xff\xfe\x00", 3), "//4A"}}) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
}

TEST(Base64, RefusesWhatIsNot) {
  for (const char* text : {"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9v!mFy", "Zm 9"}) {
    EXPECT_EQ(base64_decode(text), std::nullopt) << text;
  }
}

TEST(EtcdKey, HasTheLayoutOfGeneration2) {
  EXPECT_EQ(etcd_key("/containerpilot", "web", "web-h"), "/containerpilot/web/web-h/service");
  const auto parts = parse_etcd_key("/cp", "/cp/web/web-h/service");
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->name, "web");
  EXPECT_EQ(parts->id, "web-h");
  for (const char* key :
       {"", "/cp", "/cp/service", "/cp/web/service", "/cp/web/", "/cp//x/service",
        "/cp/web//service", "/other/web/x/service", "/cpx/web/x/service", "/cp/web/x/lock"}) {
    EXPECT_FALSE(parse_etcd_key("/cp", key)) << key;
  }
}

TEST(EtcdValue, HasExactlyTheFieldsOldReadersKnow) {
  ServiceSpec spec;
  spec.id = "web-h";
  spec.name = "web";
  spec.address = "192.0.2.1";
  spec.port = 80;
  spec.tags = {"a"};
  EXPECT_EQ(encode_etcd_value(spec),
            R"({"id":"web-h","name":"web","address":"192.0.2.1","port":80,"tags":["a"]})");
  EXPECT_EQ(decode_etcd_value(encode_etcd_value(spec)).value(), spec);
  // As 2.7 wrote it.
  EXPECT_TRUE(decode_etcd_value(R"({"id":"a","name":"b","address":"c","port":1,"tags":null})"));
}

TEST(EtcdLease, AsksForWholeSeconds) {
  EXPECT_EQ(json::parse(encode_lease_grant(5s))["TTL"], "5");
  EXPECT_EQ(json::parse(encode_lease_grant(1500ms))["TTL"], "2");
  EXPECT_EQ(json::parse(encode_lease_grant(0s))["TTL"], "1");
}

// Answers as Debian's etcd 3.4.23 gave them.
constexpr const char* kGrant =
    R"({"header":{"cluster_id":"324952591200643719","revision":"1","raft_term":"2"},"ID":"2324035555246112517","TTL":"5"})";
constexpr const char* kAlive =
    R"({"result":{"header":{"revision":"2"},"ID":"2324035555246112519","TTL":"5"}})";
constexpr const char* kDead = R"({"result":{"header":{"revision":"2"},"ID":"123"}})";
constexpr const char* kRange =
    R"({"header":{"revision":"2"},"kvs":[{"key":"L2NwL3dlYi93ZWItMS9zZXJ2aWNl","create_revision":"2","mod_revision":"2","version":"1","value":"eyJpZCI6IngifQ==","lease":"2324035555246112519"}],"count":"1"})";
constexpr const char* kEvent =
    R"({"result":{"header":{"revision":"2"},"events":[{"kv":{"key":"L2NwL3dlYi93ZWItMS9zZXJ2aWNl","mod_revision":"2","value":"eyJpZCI6IngifQ=="}}]}})";
constexpr const char* kRemoved =
    R"({"result":{"header":{"revision":"3"},"events":[{"type":"DELETE","kv":{"key":"L2NwL3dlYi93ZWItMS9zZXJ2aWNl","mod_revision":"3"}}]}})";

TEST(EtcdDecoders, ReadRealAnswers) {
  EXPECT_EQ(decode_lease_grant(kGrant).value(), 2324035555246112517u);
  EXPECT_EQ(decode_keepalive(kAlive).value(), 5u);
  EXPECT_EQ(decode_keepalive(kDead).value(), 0u);
  const auto range = decode_range(kRange);
  ASSERT_TRUE(range) << range.error().text();
  EXPECT_EQ(range.value().revision, 2u);
  EXPECT_EQ(range.value().pairs.at(0).key, "/cp/web/web-1/service");
  EXPECT_EQ(range.value().pairs.at(0).value, R"({"id":"x"})");
  EXPECT_TRUE(decode_watch_message(R"({"result":{"header":{"revision":"2"},"created":true}})")
                  .value()
                  .created);
  EXPECT_FALSE(decode_watch_message(kEvent).value().events.at(0).removed);
  EXPECT_TRUE(decode_watch_message(kRemoved).value().events.at(0).removed);
  const auto compacted =
      decode_watch_message(R"({"result":{"canceled":true,"compact_revision":"7"}})");
  EXPECT_TRUE(compacted.value().canceled);
  EXPECT_EQ(compacted.value().compact_revision, 7u);
}

TEST(EtcdDecoders, KnowARefusalFromAnAnswer) {
  const auto refusal = decode_refusal(
      R"({"error":"etcdserver: requested lease not found","message":"etcdserver: requested lease not found","code":5})");
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->code, 5u);
  EXPECT_EQ(
      decode_refusal(R"({"error":{"grpc_code":14,"http_code":503,"message":"unavailable"}})")->code,
      14u);
  for (const char* text :
       {"Not Found\n", "404 page not found\n", "", "{}", "[]", kGrant, kEvent, R"({"error":7})"}) {
    EXPECT_FALSE(decode_refusal(text)) << text;
  }
}

TEST(EtcdDecoders, GiveAValueOrAPathForEveryMutation) {
  const auto check = [](const auto& result, const std::string& text) {
    if (result) return;
    EXPECT_THAT(result.error().text(), HasSubstr("expected")) << text.substr(0, 300);
    EXPECT_LT(result.error().text().size(), 1000u);
  };
  mutate(json::parse(kGrant),
         [&](const std::string& text) { check(decode_lease_grant(text), text); });
  mutate(json::parse(kAlive),
         [&](const std::string& text) { check(decode_keepalive(text), text); });
  mutate(json::parse(kRange), [&](const std::string& text) { check(decode_range(text), text); });
  mutate(json::parse(kRemoved),
         [&](const std::string& text) { check(decode_watch_message(text), text); });
  mutate(json::parse(R"({"token":"x"})"),
         [&](const std::string& text) { check(decode_token(text), text); });
  mutate(json::parse(R"({"responses":[{"response_range":{"kvs":[{"key":"","value":""}]}}]})"),
         [&](const std::string& text) { check(decode_get_all(text), text); });
  mutate(json::parse(R"({"id":"a","name":"b","address":"c","port":1,"tags":["t"]})"),
         [&](const std::string& text) { check(decode_etcd_value(text), text); });
}

}  // namespace
}  // namespace containerpilot::discovery
