#include "config/special_kinds.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <csignal>
#include <string_view>

#include "config/coerce.h"
#include "containerpilot/agent/duration.h"

namespace containerpilot::agent {

namespace {

using NodeKind = Node::Kind;

bool wrong(Problems& problems, const Node& node, std::string_view accepted) {
  problems.error(node, "found " + describe(node), std::string(accepted));
  return false;
}

template <class T>
Kind<T> make_kind(std::string_view name, std::string_view accepted, std::string_view schema,
                  std::function<bool(Problems&, const Node&, T&)> parse) {
  Kind<T> kind;
  kind.name = name;
  kind.accepted = accepted;
  kind.schema = schema;
  kind.parse = std::move(parse);
  return kind;
}

constexpr const char* kTextSchema = R"({"type": "string"})";

// ---- restarts ----

/// Go's strconv.Atoi for numbers that are not negative.
std::optional<std::uint64_t> parse_count(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  std::uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, count);
  if (text.empty() || stop != end || code != std::errc() || count > INT64_MAX) return std::nullopt;
  return count;
}

std::optional<Limit> parse_limit(const Node& node) {
  if (node.is(NodeKind::kString)) {
    if (node.text == "unlimited") return Limit{Limit::kUnlimited};
    if (node.text == "never") return Limit{0};
    const std::optional<std::uint64_t> count = parse_count(node.text);
    return count ? std::optional(Limit{*count}) : std::nullopt;
  }
  if (!node.is(NodeKind::kNumber) || !(node.number >= 0)) return std::nullopt;
  if (node.number >= 9.2e18) return Limit{Limit::kUnlimited};  // Infinity passed, too
  return Limit{static_cast<std::uint64_t>(node.number)};
}

struct RestartsObject {
  const Node* node = nullptr;
  Value<Limit> limit;
  Value<Duration> delay, max_delay, reset_after;
};

constexpr const char* kLimitAccepted =
    R"("unlimited", "never" or a number of restarts that is not negative)";

Kind<Limit> limit_kind() {
  return make_kind<Limit>("limit", kLimitAccepted, R"({"type": ["string", "number"]})",
                          [](Problems& problems, const Node& node, Limit& out) {
                            const std::optional<Limit> limit = parse_limit(node);
                            if (!limit) return wrong(problems, node, kLimitAccepted);
                            out = *limit;
                            return true;
                          });
}

// ---- signals ----

constexpr std::array<std::pair<std::string_view, int>, 31> kSignals = {{
    {"HUP", SIGHUP},   {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"ILL", SIGILL},
    {"TRAP", SIGTRAP}, {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},
    {"KILL", SIGKILL}, {"USR1", SIGUSR1},     {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},     {"TERM", SIGTERM}, {"STKFLT", SIGSTKFLT},
    {"CHLD", SIGCHLD}, {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},
    {"IO", SIGIO},     {"PWR", SIGPWR},       {"SYS", SIGSYS},
}};

std::optional<int> parse_signal(const Node& node) {
  if (node.is(NodeKind::kNumber)) {
    const bool good =
        node.number == std::trunc(node.number) && node.number >= 1 && node.number <= 64;
    return good ? std::optional(static_cast<int>(node.number)) : std::nullopt;
  }
  if (!node.is(NodeKind::kString)) return std::nullopt;
  std::string_view name = node.text;
  if (name.substr(0, 3) == "SIG") name.remove_prefix(3);
  for (const auto& [known, number] : kSignals) {
    if (known == name) return number;
  }
  return std::nullopt;
}

// ---- resource limits ----

constexpr std::array<std::string_view, 16> kLimits = {
    "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
    "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};

std::optional<std::uint64_t> parse_limit_value(const Node& node) {
  if (node.is(NodeKind::kString) && node.text == "unlimited") return UINT64_MAX;  // RLIM_INFINITY
  const std::optional<std::int64_t> value =
      node.is(NodeKind::kBool) ? std::nullopt : to_integer(node);
  return value && *value >= 0 ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

bool read_rlimit(Problems& problems, const Node& node, ResourceLimit& out) {
  static constexpr std::string_view kAccepted = "a number, \"unlimited\", or [soft, hard]";
  const bool pair = node.is(NodeKind::kArray) && node.count == 2;
  const std::optional<std::uint64_t> soft = parse_limit_value(pair ? *node.first : node);
  const std::optional<std::uint64_t> hard = parse_limit_value(pair ? *node.first->next : node);
  if (!soft || !hard) return wrong(problems, node, kAccepted);
  if (*soft > *hard) {
    problems.error(node, "the soft limit is above the hard one", std::string(kAccepted));
    return false;
  }
  out = {*soft, *hard};
  return true;
}

// ---- probes ----

std::optional<std::pair<int, int>> parse_status_range(const Node& node) {
  const std::optional<std::string> written =
      node.is(NodeKind::kBool) ? std::nullopt : to_text(node);
  if (!written) return std::nullopt;
  const std::string_view text = *written;
  const std::size_t dash = text.find('-');
  const auto parse = [](std::string_view digits) -> std::optional<int> {
    int value = 0;
    const char* end = digits.data() + digits.size();
    if (std::from_chars(digits.data(), end, value).ptr != end || value < 100 || value > 599) {
      return std::nullopt;
    }
    return value;
  };
  const std::optional<int> low = parse(text.substr(0, dash));
  const std::optional<int> high =
      dash == std::string_view::npos ? low : parse(text.substr(dash + 1));
  if (!low || !high || *low > *high) return std::nullopt;
  return std::pair(*low, *high);
}

using StatusRanges = std::vector<std::pair<int, int>>;

Kind<StatusRanges> status_kind() {
  static constexpr std::string_view kAccepted =
      R"(a status, a range like "200-299", or a list of them)";
  return make_kind<StatusRanges>("statuses", kAccepted,
                                 R"({"type": ["integer", "string", "array"]})",
                                 [](Problems& problems, const Node& node, StatusRanges& out) {
                                   const bool list = node.is(NodeKind::kArray);
                                   for (const Node* one = list ? node.first : &node; one != nullptr;
                                        one = list ? one->next : nullptr) {
                                     const auto range = parse_status_range(*one);
                                     if (!range) return wrong(problems, *one, kAccepted);
                                     out.push_back(*range);
                                   }
                                   return !out.empty() || wrong(problems, node, kAccepted);
                                 });
}

bool is_http_url(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.substr(0, scheme.size()) == scheme && url.size() > scheme.size()) return true;
  }
  return false;
}

Kind<std::string> url_kind() {
  static constexpr std::string_view kAccepted = R"(a URL like "http://127.0.0.1:8080/health")";
  return make_kind<std::string>("URL", kAccepted, kTextSchema,
                                [](Problems& problems, const Node& node, std::string& out) {
                                  if (!node.is(NodeKind::kString) || !is_http_url(node.text)) {
                                    return wrong(problems, node, kAccepted);
                                  }
                                  out = std::string(node.text);
                                  return true;
                                });
}

struct HttpObject {
  const Node* node = nullptr;
  Value<std::string> url, match;
  Value<StatusRanges> status;
  Value<TextMap> headers;
};

}  // namespace

const Block& restarts_block() {
  static const Block block =
      BlockOf<RestartsObject>("restarts", "How often and how fast a job is started again.")
          .field("limit", &RestartsObject::limit, limit_kind(), "\"unlimited\"",
                 "Restarts after the first run.")
          .since_4()
          .field("delay", &RestartsObject::delay, duration(Duration{0}), "\"100ms\"",
                 "Wait before the second restart in a row after failures; doubled each time.")
          .since_4()
          .field("maxDelay", &RestartsObject::max_delay, duration(Duration{0}), "\"30s\"",
                 "Where the doubling ends.")
          .since_4()
          .field("resetAfter", &RestartsObject::reset_after, duration(Duration{0}), "\"10s\"",
                 "A run this long forgets earlier failures.")
          .since_4()
          .build();
  return block;
}

const Block& http_block() {
  static const Block block =
      BlockOf<HttpObject>("http", "A GET request that must succeed.")
          .field("url", &HttpObject::url, url_kind(), "", "What to ask.")
          .required()
          .since_4()
          .field("status", &HttpObject::status, status_kind(), "\"200-399\"", "Statuses that pass.")
          .since_4()
          .field("headers", &HttpObject::headers, text_map(), "", "Headers to send.")
          .since_4()
          .field("match", &HttpObject::match, text(), "", "Text the body must hold.")
          .since_4()
          .build();
  return block;
}

Kind<RestartsConfig> restarts_kind() {
  Kind<RestartsConfig> kind;
  kind.name = "limit or object";
  kind.accepted = std::string(kLimitAccepted) + ", or {limit, delay, maxDelay, resetAfter}";
  kind.schema = R"({"type": ["string", "number", "object"]})";
  kind.parse = [accepted = kind.accepted](Problems& problems, const Node& node,
                                          RestartsConfig& out) {
    if (!node.is(NodeKind::kObject)) {
      out.limit = parse_limit(node);
      return out.limit || wrong(problems, node, accepted);
    }
    RestartsObject object;
    read_block(problems, restarts_block(), node, &object);
    out.limit = object.limit ? *object.limit : Limit{Limit::kUnlimited};
    if (object.delay) out.delay = *object.delay;
    if (object.max_delay) out.max_delay = *object.max_delay;
    if (object.reset_after) out.reset_after = *object.reset_after;
    return true;
  };
  return kind;
}

Kind<int> signal_kind() {
  static constexpr std::string_view kAccepted = R"(a signal like "SIGQUIT", or its number)";
  return make_kind<int>("signal", kAccepted, R"({"type": ["string", "integer"]})",
                        [](Problems& problems, const Node& node, int& out) {
                          const std::optional<int> signal = parse_signal(node);
                          if (!signal) return wrong(problems, node, kAccepted);
                          out = *signal;
                          return true;
                        });
}

Kind<std::string> umask_kind() {
  static constexpr std::string_view kAccepted = R"(octal digits in quotes, like "022")";
  return make_kind<std::string>("octal digits", kAccepted, kTextSchema,
                                [](Problems& problems, const Node& node, std::string& out) {
                                  const bool good = node.is(NodeKind::kString) &&
                                                    !node.text.empty() && node.text.size() <= 4 &&
                                                    node.text.find_first_not_of("01234567") ==
                                                        std::string_view::npos &&
                                                    (node.text.size() < 4 || node.text[0] == '0');
                                  out = std::string(node.text);
                                  return good || wrong(problems, node, kAccepted);
                                });
}

Kind<std::map<std::string, ResourceLimit>> rlimits_kind() {
  static constexpr std::string_view kAccepted =
      "an object of limits, like {nofile: 1024, core: \"unlimited\"}";
  return make_kind<std::map<std::string, ResourceLimit>>(
      "object of limits", kAccepted, R"({"type": "object"})",
      [](Problems& problems, const Node& node, std::map<std::string, ResourceLimit>& out) {
        if (!node.is(NodeKind::kObject)) return wrong(problems, node, kAccepted);
        bool good = true;
        for (const Node& member : node) {
          if (std::find(kLimits.begin(), kLimits.end(), member.key) == kLimits.end()) {
            std::string names;
            for (const std::string_view name : kLimits)
              names += (names.empty() ? "" : ", ") + std::string(name);
            problems.key_error(member, "unknown limit '" + std::string(member.key) + "'", names);
            good = false;
          } else if (!member.is(NodeKind::kNull)) {
            good = read_rlimit(problems, member, out[std::string(member.key)]) && good;
          }
        }
        return good;
      });
}

Kind<HttpProbe> http_probe_kind() {
  Kind<HttpProbe> kind;
  kind.name = "URL or object";
  kind.accepted = url_kind().accepted + ", or {url, status, headers, match}";
  kind.schema = R"({"type": ["string", "object"]})";
  kind.parse = [](Problems& problems, const Node& node, HttpProbe& out) {
    if (!node.is(NodeKind::kObject)) return url_kind().parse(problems, node, out.url);
    HttpObject object;
    read_block(problems, http_block(), node, &object);
    if (!object.url) return false;
    out.url = *object.url;
    if (object.status) out.status = *object.status;
    out.headers = *object.headers;
    out.match = *object.match;
    return true;
  };
  return kind;
}

Kind<TcpProbe> tcp_probe_kind() {
  static constexpr std::string_view kAccepted = R"("host:port", like "127.0.0.1:5432")";
  return make_kind<TcpProbe>(
      "host:port", kAccepted, kTextSchema, [](Problems& problems, const Node& node, TcpProbe& out) {
        if (!node.is(NodeKind::kString)) return wrong(problems, node, kAccepted);
        const std::size_t colon = node.text.rfind(':');
        if (colon == std::string_view::npos || colon == 0) return wrong(problems, node, kAccepted);
        std::string_view host = node.text.substr(0, colon);
        const std::string_view port = node.text.substr(colon + 1);
        const char* end = port.data() + port.size();
        const auto [stop, code] = std::from_chars(port.data(), end, out.port);
        if (port.empty() || stop != end || code != std::errc() || out.port == 0) {
          return wrong(problems, node, kAccepted);
        }
        if (host.size() > 2 && host.front() == '[' && host.back() == ']')
          host = host.substr(1, host.size() - 2);
        out.host = std::string(host);
        return true;
      });
}

Kind<UnixProbe> unix_probe_kind() {
  static constexpr std::string_view kAccepted =
      R"(the path of a unix socket, like "/run/app.sock")";
  return make_kind<UnixProbe>(
      "path", kAccepted, kTextSchema, [](Problems& problems, const Node& node, UnixProbe& out) {
        const bool good =
            node.is(NodeKind::kString) && !node.text.empty() && node.text.front() == '/';
        out.path = std::string(node.text);
        return good || wrong(problems, node, kAccepted);
      });
}

Kind<std::vector<telemetry::Quantile>> quantiles_kind() {
  static constexpr std::string_view kAccepted =
      "a list of numbers between 0 and 1, or of {quantile, error}";
  return make_kind<std::vector<telemetry::Quantile>>(
      "list of quantiles", kAccepted, R"({"type": "array"})",
      [](Problems& problems, const Node& node, std::vector<telemetry::Quantile>& out) {
        if (!node.is(NodeKind::kArray)) return wrong(problems, node, kAccepted);
        for (const Node& child : node) {
          const Node* quantile = child.is(NodeKind::kObject) ? child.find("quantile") : &child;
          const Node* error = child.find("error");
          const auto within = [](const Node* n) {
            return n != nullptr && n->is(NodeKind::kNumber) && n->number > 0 && n->number < 1;
          };
          const bool known_keys =
              !child.is(NodeKind::kObject) || child.count == (error == nullptr ? 1U : 2U);
          if (!within(quantile) || (error != nullptr && !within(error)) || !known_keys) {
            return wrong(problems, child, kAccepted);
          }
          // As the old program's pairs: the nearer to an end, the more exact (0.5 ± 0.05, 0.99 ±
          // 0.001).
          const double usual = std::min(quantile->number, 1 - quantile->number) / 10;
          out.push_back({quantile->number, error != nullptr ? error->number : usual});
        }
        return true;
      });
}

Kind<std::pair<std::optional<double>, std::optional<double>>> range_kind() {
  using Range = std::pair<std::optional<double>, std::optional<double>>;
  static constexpr std::string_view kAccepted = "[lowest, highest], null for an open end";
  return make_kind<Range>(
      "[lowest, highest]", kAccepted, R"({"type": "array", "minItems": 2, "maxItems": 2})",
      [](Problems& problems, const Node& node, Range& out) {
        if (!node.is(NodeKind::kArray) || node.count != 2) return wrong(problems, node, kAccepted);
        for (const Node& end : node) {
          if (!end.is(NodeKind::kNull) && !end.is(NodeKind::kNumber))
            return wrong(problems, end, kAccepted);
        }
        const Node& low = *node.first;
        const Node& high = *low.next;
        if (low.is(NodeKind::kNumber)) out.first = low.number;
        if (high.is(NodeKind::kNumber)) out.second = high.number;
        if (out.first && out.second && !(*out.first <= *out.second)) {
          problems.error(node, "the lowest value is above the highest", std::string(kAccepted));
          return false;
        }
        return true;
      });
}

Kind<telemetry::StalePolicy> stale_kind() {
  static constexpr std::string_view kAccepted = R"("drop", "hold" or a number)";
  return make_kind<telemetry::StalePolicy>(
      "word or number", kAccepted, R"({"anyOf": [{"enum": ["drop", "hold"]}, {"type": "number"}]})",
      [](Problems& problems, const Node& node, telemetry::StalePolicy& out) {
        using PolicyKind = telemetry::StalePolicy::Kind;
        if (node.is(NodeKind::kNumber) && std::isfinite(node.number)) {
          out = {PolicyKind::kFixed, node.number};
        } else if (node.is(NodeKind::kString) && node.text == "drop") {
          out = {PolicyKind::kDrop, 0};
        } else if (node.is(NodeKind::kString) && node.text == "hold") {
          out = {PolicyKind::kHold, 0};
        } else {
          return wrong(problems, node, kAccepted);
        }
        return true;
      });
}

Kind<const Node*> read_later(const KindInfo& info) {
  Kind<const Node*> kind;
  static_cast<KindInfo&>(kind) = info;
  kind.parse = [](Problems&, const Node& node, const Node*& out) {
    out = &node;
    return true;
  };
  return kind;
}

Kind<std::string> go_duration_text() {
  static constexpr std::string_view kAccepted = "a duration with a unit, like \"10m\"";
  return make_kind<std::string>("duration", kAccepted, kTextSchema,
                                [](Problems& problems, const Node& node, std::string& out) {
                                  const std::optional<std::string> written = to_text(node);
                                  if (!written) return wrong(problems, node, kAccepted);
                                  if (written->empty()) return false;  // as if left out
                                  if (!parse_go_duration(*written))
                                    return wrong(problems, node, kAccepted);
                                  out = *written;
                                  return true;
                                });
}

}  // namespace containerpilot::agent
