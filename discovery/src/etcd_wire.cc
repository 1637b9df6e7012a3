#include "etcd_wire.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "json_node.h"

namespace containerpilot::discovery {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kKeyEnd = "/service";

template <class T>
Result<T> answer(const JsonDocument& document, T value) {
  if (document.problem()) return Error(*document.problem());
  return value;
}

std::string base64_member(const JsonNode& node, std::string_view key) {
  auto bytes = base64_decode(node.text(key));
  if (bytes) return std::move(*bytes);
  node.member(key).fail("base64");
  return {};
}

EtcdPair decode_pair(const JsonNode& node) {
  return {base64_member(node, "key"), base64_member(node, "value")};
}

std::vector<EtcdPair> decode_pairs(const JsonNode& owner) {
  std::vector<EtcdPair> pairs;
  const JsonNode list = owner.member("kvs");
  list.each_element([&](const JsonNode& node) {
    if (node.expect_object()) pairs.push_back(decode_pair(node));
  });
  return pairs;
}

/// The first key after all that begin with `prefix`/: '0' follows '/'.
Json prefix_range(std::string_view prefix) {
  return {{"key", base64_encode(std::string(prefix) + "/")},
          {"range_end", base64_encode(std::string(prefix) + "0")}};
}

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j) {
      group = (group << 8) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= count ? kAlphabet[(group >> (18 - 6 * j)) & 63] : '=';
    }
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  while (text.ends_with('=') && text.size() % 4 != 2) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    group = (group << 6) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>((group >> bits) & 0xff);
  }
  return bytes;
}

std::string etcd_key(std::string_view prefix, std::string_view name, std::string_view id) {
  return std::string(prefix) + "/" + std::string(name) + "/" + std::string(id) +
         std::string(kKeyEnd);
}

std::optional<EtcdKeyParts> parse_etcd_key(std::string_view prefix, std::string_view key) {
  if (!key.starts_with(prefix) || !key.ends_with(kKeyEnd)) return std::nullopt;
  if (key.size() < prefix.size() + kKeyEnd.size() + 1 || key[prefix.size()] != '/')
    return std::nullopt;
  key = key.substr(prefix.size() + 1, key.size() - prefix.size() - 1 - kKeyEnd.size());
  const auto slash = key.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == key.size()) return std::nullopt;
  return EtcdKeyParts{std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

std::string encode_etcd_value(const ServiceSpec& service) {
  const Json value = {{"id", service.id},
                      {"name", service.name},
                      {"address", service.address},
                      {"port", service.port},
                      {"tags", service.tags}};
  std::string text = to_json_line(value);
  text.pop_back();  // a value is not a line
  return text;
}

Result<ServiceSpec> decode_etcd_value(std::string_view value) {
  JsonDocument document(value);
  const JsonNode root(document);
  ServiceSpec service;
  if (root.expect_object()) {
    service.id = root.text("id");
    service.name = root.text("name");
    service.address = root.text("address");
    service.port = root.integer("port");
    service.tags = root.texts("tags");
  }
  return answer(document, std::move(service));
}

std::string encode_lease_grant(Duration ttl) {
  const auto seconds =
      std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(ttl).count());
  return to_json_line({{"TTL", std::to_string(seconds)}});
}

std::string encode_lease(std::uint64_t lease) {
  return to_json_line({{"ID", std::to_string(lease)}});
}

std::string encode_put(std::string_view key, std::string_view value, std::uint64_t lease) {
  return to_json_line({{"key", base64_encode(key)},
                       {"value", base64_encode(value)},
                       {"lease", std::to_string(lease)}});
}

std::string encode_delete(std::string_view key) {
  return to_json_line({{"key", base64_encode(key)}});
}

std::string encode_range(std::string_view prefix) { return to_json_line(prefix_range(prefix)); }

std::string encode_count(std::string_view prefix) {
  Json request = prefix_range(prefix);
  request["count_only"] = true;
  return to_json_line(request);
}

std::string encode_get_all(const std::vector<std::string>& keys) {
  Json operations = Json::array();
  for (const std::string& key : keys) {
    operations.push_back({{"request_range", {{"key", base64_encode(key)}}}});
  }
  return to_json_line({{"success", std::move(operations)}});
}

std::string encode_watch(std::string_view prefix, std::uint64_t start_revision) {
  Json request = prefix_range(prefix);
  request["start_revision"] = std::to_string(start_revision);
  return to_json_line({{"create_request", std::move(request)}});
}

std::string encode_authenticate(std::string_view user, std::string_view password) {
  return to_json_line({{"name", user}, {"password", password}});
}

Result<std::uint64_t> decode_lease_grant(std::string_view body) {
  JsonDocument document(body);
  const JsonNode root(document);
  std::uint64_t lease = 0;
  if (root.expect_object()) {
    lease = root.quoted_number("ID");
    if (lease == 0) root.member("ID").fail("a lease");
  }
  return answer(document, lease);
}

Result<std::uint64_t> decode_keepalive(std::string_view body) {
  JsonDocument document(body);
  const JsonNode root(document);
  const JsonNode result = root.member("result");
  std::uint64_t ttl = 0;
  if (root.expect_object() && result.expect_object()) ttl = result.quoted_number("TTL");
  return answer(document, ttl);
}

Status decode_done(std::string_view body) {
  JsonDocument document(body);
  const JsonNode root(document);
  static_cast<void>(root.expect_object() && root.member("header").expect_object());
  if (document.problem()) return Error(*document.problem());
  return ok();
}

Result<std::string> decode_token(std::string_view body) {
  JsonDocument document(body);
  const JsonNode root(document);
  std::string token;
  if (root.expect_object()) {
    token = root.text("token");
    if (token.empty()) root.member("token").fail("a token");
  }
  return answer(document, std::move(token));
}

Result<EtcdRange> decode_range(std::string_view body) {
  JsonDocument document(body);
  const JsonNode root(document);
  EtcdRange range;
  if (root.expect_object()) {
    const JsonNode header = root.member("header");
    if (header.expect_object()) range.revision = header.quoted_number("revision");
    range.pairs = decode_pairs(root);
  }
  return answer(document, std::move(range));
}

Result<std::vector<EtcdPair>> decode_get_all(std::string_view body) {
  JsonDocument document(body);
  const JsonNode root(document);
  std::vector<EtcdPair> pairs;
  if (root.expect_object()) {
    const JsonNode responses = root.member("responses");
    responses.each_element([&](const JsonNode& response) {
      if (!response.expect_object()) return;
      const JsonNode range = response.member("response_range");
      for (EtcdPair& pair : decode_pairs(range)) pairs.push_back(std::move(pair));
    });
  }
  return answer(document, std::move(pairs));
}

Result<EtcdWatchMessage> decode_watch_message(std::string_view line) {
  JsonDocument document(line);
  const JsonNode root(document);
  EtcdWatchMessage message;
  const JsonNode result = root.member("result");
  if (root.expect_object() && result.expect_object()) {
    message.created = result.flag("created");
    message.canceled = result.flag("canceled");
    message.compact_revision = result.quoted_number("compact_revision");
    message.cancel_reason = result.text("cancel_reason");
    const JsonNode events = result.member("events");
    events.each_element([&](const JsonNode& event) {
      if (!event.expect_object()) return;
      const JsonNode pair = event.member("kv");
      if (!pair.expect_object()) return;
      message.events.push_back({event.text("type") == "DELETE", decode_pair(pair)});
    });
  }
  return answer(document, std::move(message));
}

std::optional<EtcdRefusal> decode_refusal(std::string_view body) {
  JsonDocument document(body);
  const JsonNode root(document);
  // Streams wrap it once more, and tell the HTTP code besides.
  const JsonNode stream_error = root.member("error");
  EtcdRefusal refusal;
  if (stream_error.has("message")) {
    refusal = {stream_error.number("grpc_code", UINT32_MAX), stream_error.text("message")};
  } else if (root.has("message") || root.has("error")) {
    refusal = {root.number("code", UINT32_MAX),
               root.text(root.has("message") ? "message" : "error")};
  } else {
    return std::nullopt;
  }
  if (document.problem()) return std::nullopt;
  return refusal;
}

}  // namespace containerpilot::discovery
