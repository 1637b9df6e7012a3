#include "containerpilot/telemetry/pages.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace containerpilot::telemetry {
namespace {

using nlohmann::json;

constexpr Duration kListInterval = std::chrono::seconds(1);

/// "2026-01-02T03:04:05.678Z".
std::string rfc3339(WallTime when) {
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch());
  const std::time_t whole = since_epoch.count() / 1000;
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::string fraction = std::to_string(1000 + since_epoch.count() % 1000);
  fraction[0] = '.';
  return std::string(text.data(), length) + fraction + "Z";
}

/// A sensor may be called anything; its path is spelled as RFC 3986, section 3.3, has it.
std::string path_of(std::string_view sensor) {
  constexpr std::string_view kPlain = "-._~!$&'()*+,;=:@";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string path = "/sensors/";
  for (const char c : sensor) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || kPlain.find(c) != std::string_view::npos) {
      path += c;
    } else {
      (path += '%') += kHex[byte >> 4];
      path += kHex[byte & 15];
    }
  }
  return path;
}

bool usable(const SensorState& state) {
  return !state.stale && std::any_of(state.series.begin(), state.series.end(),
                                     [](const auto& one) { return std::isfinite(one.second); });
}

std::string reason(const SensorState& state) {
  if (!state.idle.empty()) return "not measured: " + state.idle;
  if (state.stale)
    return "stale: " + (state.last_error.empty() ? "no value in time" : state.last_error);
  if (!state.last_error.empty()) return state.last_error;
  if (!state.series.empty()) return "the value is not a finite number";
  return "no value yet";
}

json page_of(const SensorState& state) {
  json page = {{"name", state.name},
               {"up", state.up},
               {"stale", state.stale},
               {"runs", state.runs},
               {"failures", state.failures}};
  if (state.last_success) page["lastSuccess"] = rfc3339(*state.last_success);
  if (!state.last_error.empty()) page["lastError"] = state.last_error;
  if (!usable(state)) {
    page["error"] = reason(state);
    return page;
  }
  if (state.value) page["value"] = *state.value;
  json& series = page["series"] = json::object();
  for (const auto& [name, value] : state.series) {
    if (std::isfinite(value)) series[name] = value;
  }
  return page;
}

/// Output of strangers may be in there: never throws over what is not UTF-8.
std::string dump(const json& page) {
  return page.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

SensorPages::SensorPages(Reactor& reactor, Documents& documents)
    : reactor_(reactor), documents_(documents) {
  publish_list();
}
SensorPages::~SensorPages() {
  for (const auto& [name, page] : pages_) documents_.withdraw(path_of(name));
  documents_.withdraw("/sensors");
}

void SensorPages::publish_one(const SensorState& state) {
  std::string page = dump(page_of(state));
  documents_.publish(path_of(state.name),
                     {.status = usable(state) ? 200 : 503, .body = page + "\n"});
  pages_.insert_or_assign(state.name, std::move(page));
}

void SensorPages::publish_list() {
  std::string list = "{\"sensors\":[";
  for (const auto& [name, page] : pages_) list += (list.back() == '[' ? "" : ",") + page;
  documents_.publish("/sensors", {.body = list + "]}\n"});
}

void SensorPages::update(const SensorState& state) {
  publish_one(state);
  if (list_timer_.active()) return;
  list_timer_ = reactor_.after(kListInterval, [this] {
    publish_list();
    list_timer_ = Watch();
  });
}

void SensorPages::replace(const std::vector<SensorState>& states) {
  std::set<std::string_view> names;
  for (const SensorState& state : states) {
    names.insert(state.name);
    publish_one(state);
  }
  for (auto it = pages_.begin(); it != pages_.end();) {
    if (names.contains(it->first)) {
      ++it;
      continue;
    }
    documents_.withdraw(path_of(it->first));
    it = pages_.erase(it);
  }
  publish_list();
}

}  // namespace containerpilot::telemetry
