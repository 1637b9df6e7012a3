#include <unistd.h>

#include <array>
#include <string>
#include <utility>

#include "config/coerce.h"
#include "config/plan_context.h"

namespace containerpilot::agent {

namespace {

using discovery::CatalogSpec;
using discovery::ConsulSpec;
using discovery::TlsSpec;

constexpr const char* kFourChoices =
    R"(one of consul: "host:port", etcd: {endpoints: […]}, catalog: "embedded", catalog: "none")";

bool take_prefix(std::string& text, std::string_view prefix) {
  if (text.compare(0, prefix.size(), prefix) != 0) return false;
  text.erase(0, prefix.size());
  return true;
}

/// Scheme in front of an address: "https://host", "unix:///path". Reports other schemes.
void split_address(PlanContext& context, ConsulSpec& spec, const Node& at) {
  if (take_prefix(spec.address, "unix://")) {
    spec.unix_socket = true;
  } else if (take_prefix(spec.address, "https://")) {
    spec.scheme = "https";
  } else if (!take_prefix(spec.address, "http://") &&
             spec.address.find("://") != std::string::npos) {
    context.problems.error(at, "found the address \"" + spec.address + "\" with an unknown scheme",
                           "host:port, http://host:port, https://host:port or unix:///path");
  }
  while (!spec.unix_socket && spec.address.ends_with('/')) spec.address.pop_back();
}

std::string or_env(const Value<std::string>& value, std::string_view env) {
  return std::string(env.empty() ? std::string_view(*value) : env);
}

void check_readable(PlanContext& context, const std::string& path, const Node& at) {
  if (path.empty() || ::access(path.c_str(), R_OK) == 0) return;
  const std::string message = "cannot read '" + path + "'";
  if (context.options.check) {
    context.problems.warning(at, message);
  } else {
    context.problems.error(at, message);
  }
}

/// Consul's variables override what the file says.
TlsSpec make_consul_tls(PlanContext& context, const TlsConfig& config, const Node& at) {
  TlsSpec tls;
  tls.ca_file = or_env(config.ca_file, context.env("CONSUL_CACERT"));
  tls.ca_path = or_env(config.ca_path, context.env("CONSUL_CAPATH"));
  tls.client_cert = or_env(config.client_cert, context.env("CONSUL_CLIENT_CERT"));
  tls.client_key = or_env(config.client_key, context.env("CONSUL_CLIENT_KEY"));
  tls.server_name = or_env(config.server_name, context.env("CONSUL_TLS_SERVER_NAME"));
  if (const std::size_t colon = tls.server_name.rfind(':'); colon != std::string::npos) {
    tls.server_name.erase(colon);
  }
  tls.verify = !config.verify || *config.verify;
  const std::string verify = lower_case(context.env("CONSUL_HTTP_SSL_VERIFY"));
  if (verify == "1" || verify == "true") tls.verify = true;
  if (verify == "0" || verify == "false") tls.verify = false;
  if (tls.client_cert.empty() || tls.client_key.empty()) tls.client_cert = tls.client_key = "";
  for (const std::string* file : {&tls.ca_file, &tls.ca_path, &tls.client_cert, &tls.client_key}) {
    check_readable(context, *file, at);
  }
  return tls;
}

bool is_true_word(std::string_view word) {
  static constexpr std::array<std::string_view, 6> kWords = {"1", "t", "T", "TRUE", "true", "True"};
  for (const std::string_view known : kWords) {
    if (word == known) return true;
  }
  return false;
}

void make_builtin(PlanContext& context, const Value<CatalogValue>& value, CatalogSpec& out) {
  if (const auto* object = std::get_if<CatalogObjectConfig>(&*value)) {
    out.kind = CatalogSpec::Kind::kEmbedded;
    if (object->embedded->listen) out.embedded.listen = *object->embedded->listen;
    return;
  }
  const auto& word = std::get<std::string>(*value);
  if (word == "embedded") {
    out.kind = CatalogSpec::Kind::kEmbedded;
  } else if (word != "none") {
    context.problems.error(*value.node, "found " + describe(*value.node),
                           R"("embedded", "none" or {embedded: {listen: "127.0.0.1:8500"}})");
  }
}

}  // namespace

ConsulSpec make_consul(PlanContext& context, const Value<ConsulValue>& value) {
  ConsulSpec spec;
  const Node& at = *value.node;
  std::string address;
  ConsulConfig config;
  if (const auto* text = std::get_if<std::string>(&*value)) {
    address = *text;
  } else {
    config = std::get<ConsulConfig>(*value);
    address = *config.address;
    spec.token = *config.token;
    spec.token_file = *config.token_file;
    if (config.scheme && *config.scheme != "http" && *config.scheme != "https" &&
        !config.scheme->empty()) {
      context.problems.error(*config.scheme.node, "found " + describe(*config.scheme.node),
                             R"("http" or "https")");
    }
    spec.scheme = *config.scheme;
    if (spec.scheme.empty())
      spec.scheme = is_true_word(context.env("CONSUL_HTTP_SSL")) ? "https" : "http";
  }
  if (address.empty()) {
    address = context.env("CONSUL_HTTP_ADDR");
    if (is_true_word(context.env("CONSUL_HTTP_SSL")) && !config.scheme) spec.scheme = "https";
  }
  if (!address.empty()) spec.address = address;
  split_address(context, spec, at);
  if (const std::string_view token = context.env("CONSUL_HTTP_TOKEN"); !token.empty())
    spec.token = token;
  if (const std::string_view file = context.env("CONSUL_HTTP_TOKEN_FILE"); !file.empty())
    spec.token_file = file;
  spec.http_auth = context.env("CONSUL_HTTP_AUTH");
  spec.name_space = context.env("CONSUL_NAMESPACE");
  spec.partition = context.env("CONSUL_PARTITION");
  spec.tls = make_consul_tls(context, *config.tls, config.tls ? *config.tls.node : at);
  return spec;
}

discovery::EtcdSpec make_etcd(PlanContext& context, const EtcdConfig& config) {
  discovery::EtcdSpec spec;
  spec.endpoints = *config.endpoints;
  if (config.endpoints && spec.endpoints.empty()) {
    context.problems.error(*config.endpoints.node, "found no endpoint", "at least one URL");
  }
  for (const std::string& endpoint : spec.endpoints) {
    if (endpoint.compare(0, 7, "http://") == 0 || endpoint.compare(0, 8, "https://") == 0) continue;
    context.problems.error(*config.endpoints.node, "the endpoint \"" + endpoint + "\" is not a URL",
                           R"(URLs like "http://etcd:2379")");
  }
  if (!config.prefix->empty()) spec.prefix = *config.prefix;
  spec.user = *config.user;
  spec.password = *config.password;
  const TlsConfig& tls = *config.tls;
  spec.tls = {*tls.ca_file,    *tls.ca_path,     *tls.client_cert,
              *tls.client_key, *tls.server_name, true};
  if (tls.verify) spec.tls.verify = *tls.verify;
  return spec;
}

CatalogSpec make_v3_catalog(PlanContext& context, const V3Config& config) {
  CatalogSpec out;
  const int given = (config.consul ? 1 : 0) + (config.etcd ? 1 : 0) + (config.catalog ? 1 : 0);
  // A value of the wrong type was reported where it stands.
  bool attempted = false;
  for (const char* key : {"consul", "etcd", "catalog"}) {
    const Node* node = config.node->find(key);
    attempted = attempted || (node != nullptr && !node->is(Node::Kind::kNull));
  }
  if (given == 0 && !attempted) {
    context.problems.error(*config.node, "no catalog is chosen", kFourChoices);
  }
  if (given > 1) {
    context.problems.error(*config.node, "more than one catalog is chosen", kFourChoices);
    return out;
  }
  if (config.consul) {
    out.kind = CatalogSpec::Kind::kConsul;
    out.consul = make_consul(context, config.consul);
  } else if (config.etcd) {
    out.kind = CatalogSpec::Kind::kEtcd;
    out.etcd = make_etcd(context, *config.etcd);
  } else if (config.catalog) {
    make_builtin(context, config.catalog, out);
  }
  return out;
}

}  // namespace containerpilot::agent
