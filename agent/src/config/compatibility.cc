#include "config/compatibility.h"

#include <string>
#include <string_view>

#include "config/coerce.h"
#include "config/key_walk.h"
#include "config/schema.h"

namespace containerpilot::agent {

namespace {

enum class Era : std::uint8_t { kOld, kV3 };  // generations 1 and 2, or 3

struct Entry {
  Era era;
  std::string_view path;                   ///< of the key, lower case; a list's elements are "[]"
  std::string_view title;                  ///< as in CHANGELOG.md
  std::string_view keep;                   ///< how to keep the old behaviour
  bool (*applies)(const Node&) = nullptr;  ///< looks at the value; null: always
};

const Node* find_any_case(const Node& node, std::string_view key) {
  for (const Node& member : node) {
    if (lower_case(member.key) == key) return &member;
  }
  return nullptr;
}

std::string_view text_of(const Node* node) {
  return node != nullptr && node->is(Node::Kind::kString) ? node->text : std::string_view();
}

/// Over https, and not told whether to check the certificate.
bool is_https(const Node& consul) {
  if (consul.is(Node::Kind::kString)) return consul.text.substr(0, 8) == "https://";
  const Node* tls = find_any_case(consul, "tls");
  if (tls != nullptr && find_any_case(*tls, "verify") != nullptr) return false;
  return text_of(find_any_case(consul, "scheme")) == "https" ||
         text_of(find_any_case(consul, "address")).substr(0, 8) == "https://";
}

/// Go never used a proxy for the machine itself.
bool is_elsewhere(const Node& consul) {
  std::string_view address =
      consul.is(Node::Kind::kString) ? consul.text : text_of(find_any_case(consul, "address"));
  if (const std::size_t scheme = address.find("://"); scheme != std::string_view::npos)
    address.remove_prefix(scheme + 3);
  return !address.empty() && address.substr(0, 9) != "localhost" && address.substr(0, 4) != "127.";
}

bool has_no_threshold(const Node& health) {
  return health.is(Node::Kind::kObject) && find_any_case(health, "failurethreshold") == nullptr;
}

bool is_text_format(const Node& format) {
  return format.is(Node::Kind::kString) && lower_case(format.text) == "text";
}
bool has_default_format(const Node& logging) {
  const Node* format = find_any_case(logging, "format");
  return format == nullptr || !format->is(Node::Kind::kString) ||
         lower_case(format->text) == "default";
}

bool has_no_probe(const Node& health) {
  for (const char* probe : {"exec", "http", "tcp", "unix"}) {
    if (find_any_case(health, probe) != nullptr) return false;
  }
  return true;
}

bool has_no_interfaces(const Node& telemetry) {
  return find_any_case(telemetry, "interfaces") == nullptr;
}

bool has_one_without_interfaces(const Node& list) {
  for (const Node& one : list) {
    if (find_any_case(one, "port") != nullptr && has_no_interfaces(one)) return true;
  }
  return false;
}

bool is_error_event(const Node& event) { return text_of(&event) == "error"; }

bool has_large_number(const Node& argv) {
  for (const Node& word : argv) {
    if (word.is(Node::Kind::kNumber) && word.number >= 1e6) return true;
  }
  return false;
}

constexpr std::string_view kRestartTitle =
    "A crashed job that fails again and again waits before it is restarted";
constexpr std::string_view kReloadTitle = "Reload leaves unchanged jobs running";
constexpr std::string_view kHttpsTitle = "`https` to Consul checks the certificate";
constexpr std::string_view kHealthTitle = "A failing check makes the service critical";
constexpr std::string_view kLeftoverTitle =
    "An entry without `deregisterCriticalServiceAfter` gets one of an hour";
constexpr std::string_view kAddressTitle =
    "Without `interfaces` no virtual or link-local address is chosen";
constexpr std::string_view kEndTitle = "A job has ended when its process has";
constexpr std::string_view kNoProbeTitle = "A service whose `health` has no probe is `healthy`";
constexpr std::string_view kWatchTitle = "A watch also sees that ids, tags or metadata changed";
constexpr std::string_view kErrorTitle = "`error` events come from the job by its name";
constexpr std::string_view kFirstCheckTitle = "The first check runs right after the start";
constexpr std::string_view kNumbersTitle = "Large whole numbers in commands print as digits";
constexpr std::string_view kGoMetricsTitle = "No `go_*` metrics";
constexpr std::string_view kOpenMetricsTitle = "A Prometheus that prefers OpenMetrics gets it.";
constexpr std::string_view kPushTitle =
    "A push to a metric that is not declared, or of what is no number, is an error";
constexpr std::string_view kSocketTitle = "The control socket has mode 0600";
constexpr std::string_view kDeadSocketTitle = "Only a dead control socket is replaced";
constexpr std::string_view kProxyTitle = "Proxies of the environment";
constexpr std::string_view kMethodsTitle = "`/metrics` answers GET and HEAD only";
constexpr std::string_view kMillionTitle = "Numbers of a million and more are written out";
constexpr std::string_view kMetaTitle = "The telemetry entry in the catalog has `Meta`";
constexpr std::string_view kTextLogTitle = "The text log format escapes";
constexpr std::string_view kDefaultLogTitle =
    "Lines of the default log format begin with the time of 3.x";
constexpr std::string_view kEtcdTitle = "etcd is spoken to by its v3 API";
constexpr std::string_view kSensorTitle = "What a sensor prints to stderr is logged";
constexpr std::string_view kSignalTitle =
    "An application killed by a signal ends the agent with 128 + signal";

constexpr std::string_view kKeepHttps = "consul: {address: …, tls: {verify: false}}";
constexpr std::string_view kKeepRestarts = R"(restarts: {limit: "unlimited", delay: "0s"})";
constexpr std::string_view kKeepThreshold =
    "health: {failureThreshold: …} sets how many failures it takes";
constexpr std::string_view kKeepPlainText = "scrape_protocols: [PrometheusText0.0.4] in Prometheus";
constexpr std::string_view kKeepProxy = "the proxy's address in place of the catalog's";
constexpr std::string_view kKeepExponent = "write the argument as a string";
constexpr std::string_view kKeepLeftovers = "consul: {deregisterCriticalServiceAfter: \"8760h\"}";
constexpr std::string_view kKeepAddress = R"(interfaces: ["eth0:inet", "inet"])";
constexpr std::string_view kKeepOldAddress = R"("interfaces": "eth0:inet")";
constexpr std::string_view kNoWayBack = "there is no switch for it";

constexpr Entry kEntries[] = {
    {Era::kV3, "consul", kHttpsTitle, kKeepHttps, is_https},
    {Era::kV3, "consul", kProxyTitle, kKeepProxy, is_elsewhere},
    {Era::kV3, "jobs", kReloadTitle, "restart the agent or the job instead"},
    {Era::kV3, "jobs[].restarts", kRestartTitle, kKeepRestarts},
    {Era::kV3, "jobs[].health", kHealthTitle, kKeepThreshold, has_no_threshold},
    {Era::kV3, "jobs[].health.interval", kFirstCheckTitle, kNoWayBack},
    {Era::kV3, "jobs[].health", kNoProbeTitle, kNoWayBack, has_no_probe},
    {Era::kV3, "jobs[].port", kLeftoverTitle, kKeepLeftovers},
    {Era::kV3, "jobs", kAddressTitle, kKeepAddress, has_one_without_interfaces},
    {Era::kV3, "telemetry", kAddressTitle, kKeepAddress, has_no_interfaces},
    {Era::kV3, "jobs[].when.once", kErrorTitle, kNoWayBack, is_error_event},
    {Era::kV3, "jobs[].when.each", kErrorTitle, kNoWayBack, is_error_event},
    {Era::kV3, "jobs[].exec", kEndTitle, "let the last process run in the foreground"},
    {Era::kV3, "watches", kWatchTitle, kNoWayBack},
    {Era::kV3, "jobs[].exec", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kV3, "jobs[].health.exec", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kV3, "telemetry", kGoMetricsTitle, kNoWayBack},
    {Era::kV3, "telemetry", kOpenMetricsTitle, kKeepPlainText},
    {Era::kV3, "telemetry", kMillionTitle, kNoWayBack},
    {Era::kV3, "telemetry", kMethodsTitle, kNoWayBack},
    {Era::kV3, "telemetry", kMetaTitle, kNoWayBack},
    {Era::kV3, "telemetry.metrics", kPushTitle, kNoWayBack},
    {Era::kV3, "control.socket", kSocketTitle, "run commands as the agent's user"},
    {Era::kV3, "control.socket", kDeadSocketTitle, "a path of its own for each agent"},
    {Era::kV3, "logging.format", kTextLogTitle, kNoWayBack, is_text_format},
    {Era::kOld, "services[].health", kHealthTitle, "a larger ttl forgives more failures"},
    {Era::kOld, "services[].port", kLeftoverTitle, kKeepLeftovers},
    {Era::kOld, "services", kAddressTitle, kKeepOldAddress, has_one_without_interfaces},
    {Era::kOld, "telemetry", kAddressTitle, kKeepOldAddress, has_no_interfaces},
    {Era::kOld, "backends", kWatchTitle, kNoWayBack},
    {Era::kOld, "services[].poll", kFirstCheckTitle, kNoWayBack},
    {Era::kOld, "coprocesses[].restarts", kRestartTitle, kNoWayBack},
    {Era::kOld, "coprocesses", kReloadTitle, "restart the agent or the job instead"},
    {Era::kOld, "coprocesses[].command", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "tasks[].command", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "services[].health", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "backends[].onchange", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "telemetry.sensors[].check", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "onstart", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "prestart", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "prestop", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "poststop", kNumbersTitle, kKeepExponent, has_large_number},
    {Era::kOld, "telemetry", kGoMetricsTitle, kNoWayBack},
    {Era::kOld, "telemetry", kOpenMetricsTitle, kKeepPlainText},
    {Era::kOld, "telemetry", kMillionTitle, kNoWayBack},
    {Era::kOld, "telemetry", kMethodsTitle, kNoWayBack},
    {Era::kOld, "telemetry", kMetaTitle, kNoWayBack},
    {Era::kOld, "telemetry.sensors[].check", kSensorTitle, kNoWayBack},
    {Era::kOld, "logging", kDefaultLogTitle, kNoWayBack, has_default_format},
    {Era::kOld, "logging.format", kTextLogTitle, kNoWayBack, is_text_format},
    {Era::kOld, "consul", kProxyTitle, kKeepProxy, is_elsewhere},
    {Era::kOld, "etcd", kEtcdTitle, "switch etcd's v3 API on (it is by default since 3.0)"},
    {Era::kOld, "stoptimeout", kSignalTitle, kNoWayBack},
    {Era::kOld, "poststop", kSignalTitle, kNoWayBack},
};

void note(const Tree& tree, const Entry& entry, const Node& node, std::vector<Problem>& out) {
  if (entry.applies != nullptr && !entry.applies(node)) return;
  for (const Problem& told : out) {
    if (told.message == entry.title) return;  // once is enough, at its first place
  }
  const Position at = tree.position(node.source, node.key_offset);
  out.push_back({Problem::Severity::kWarning, tree.source(node.source).name, at.line, at.column,
                 path_of(node), std::string(entry.title), std::string(entry.keep), ""});
}

}  // namespace

std::vector<Problem> compatibility_notes(const Tree& tree, const Node& top, Generation generation) {
  const Era era = generation == Generation::kV3 ? Era::kV3 : Era::kOld;
  std::vector<Problem> out;
  for_each_key(top, [&](const std::string& pattern, const Node& node) {
    for (const Entry& entry : kEntries) {
      if (entry.era == era && entry.path == pattern) note(tree, entry, node, out);
    }
  });
  return out;
}

std::vector<std::string> compatibility_titles() {
  std::vector<std::string> out;
  for (const Entry& entry : kEntries) out.emplace_back(entry.title);
  return out;
}

}  // namespace containerpilot::agent
