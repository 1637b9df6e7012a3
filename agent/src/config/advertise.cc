#include <algorithm>
#include <utility>

#include "config/plan_context.h"
#include "containerpilot/discovery/interfaces.h"

namespace containerpilot::agent {

namespace {
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
}  // namespace

bool is_service_name(std::string_view name) {
  return name.size() >= 2 && name.front() >= 'a' && name.front() <= 'z' &&
         std::all_of(name.begin() + 1, name.end(),
                     [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

Advertisement make_advertisement(PlanContext& context, std::string name,
                                 std::vector<std::string> interfaces, const Node& at,
                                 bool needs_address) {
  Advertisement out;
  out.service.id = name + "-" + context.options.hostname;
  out.service.notes = "TTL for " + name + " set by " +
                      (context.options.containerbuddy ? "containerbuddy" : "containerpilot");
  out.service.name = std::move(name);
  out.interfaces = std::move(interfaces);
  Result<discovery::ChosenAddress> chosen =
      discovery::choose_address(out.interfaces, context.options.addresses);
  if (chosen) {
    out.service.address = chosen.value().ip;
    out.why = chosen.value().why;
    return out;
  }
  // That an interface is missing says something about this host, not about the configuration.
  const bool only_here = chosen.error().code() == Errc::kNotFound;
  if (only_here && (context.options.check || !needs_address)) {
    context.problems.warning(at, chosen.error().text());
  } else {
    context.problems.error(at, chosen.error().text());
  }
  out.why = chosen.error().text();
  return out;
}

std::string address_variable(std::string_view service) {
  std::string out = "CONTAINERPILOT_";
  for (const char c : service) {
    out += c == '-' ? '_' : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out + "_IP";
}

}  // namespace containerpilot::agent
