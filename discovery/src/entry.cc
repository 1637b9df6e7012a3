#include "entry.h"

#include <utility>

#include "containerpilot/discovery/registrar.h"
#include "go_duration.h"

namespace containerpilot::discovery {

namespace {

/// Cut to what catalogs keep, never inside a UTF-8 sequence.
std::string cut_output(std::string_view output) {
  if (output.size() <= Registrar::kMaxOutput) return std::string(output);
  std::size_t end = Registrar::kMaxOutput;
  while (end > 0 && (static_cast<unsigned char>(output[end]) & 0xC0) == 0x80) --end;
  return std::string(output.substr(0, end));
}

bool same_description(const ServiceSpec& mine, const OwnEntry& actual) {
  const ServiceSpec& theirs = actual.service;
  return mine.name == theirs.name && mine.address == theirs.address && mine.port == theirs.port &&
         (mine.meta == theirs.meta || !actual.keeps_meta) &&
         mine.enable_tag_override == theirs.enable_tag_override &&
         (mine.enable_tag_override || mine.tags == theirs.tags);
}

constexpr std::string_view kPlainOutput = "ok";

}  // namespace

std::string_view step_name(Step step) {
  switch (step) {
    case Step::kNone:
      return "";
    case Step::kDeregister:
      return "deregister";
    case Step::kUpdate:
      return "update";
    case Step::kRegister:
      return "register";
  }
  return {};
}

void Entry::describe(const ServiceSpec& service, TimePoint now) {
  if (spec != service) described = false;
  spec = service;
  forget = false;
  if (health || !service.initial_status) return;
  health = service.initial_status;
  output.clear();
  reported_at = now;
  lapsed = false;
  told = true;  // the registration says it all
  may_be_critical = true;
  if (*health == Health::kCritical) critical_since = now;
}

void Entry::report(Health new_health, const std::string& new_output, TimePoint now) {
  if (new_health != Health::kCritical) {
    critical_since.reset();
  } else if (!critical_since) {
    critical_since = now;
  }
  reported_at = now;
  lapsed = false;
  health = new_health;
  output =
      new_output.empty() && new_health == Health::kPassing ? kPlainOutput : cut_output(new_output);
  told = false;
}

void Entry::withdraw() {
  health.reset();
  critical_since.reset();
  lapsed = may_be_critical = false;
}

bool Entry::reaped(TimePoint now) const {
  if (!critical_since || spec.deregister_critical_after.empty()) return false;
  const auto limit = parse_go_duration(spec.deregister_critical_after);
  return limit && now - *critical_since >= *limit;
}

bool Entry::unheard(TimePoint now) const {
  // A critical one is no lie, however old.
  return spec.ttl > Duration{0} && health && *health != Health::kCritical &&
         now - reported_at >= spec.ttl;
}

Step Entry::next_step(TimePoint now) const {
  if (!health) return maybe_there ? Step::kDeregister : Step::kNone;
  if (!registered) {
    const bool stays_away =
        lapsed || (*health == Health::kCritical && (!may_be_critical || reaped(now)));
    return stays_away ? Step::kNone : Step::kRegister;
  }
  if (!described) return Step::kRegister;
  return told ? Step::kNone : Step::kUpdate;
}

void Entry::begin(Step new_step) {
  step = new_step;
  if (step == Step::kRegister) maybe_there = true;
  // What changes while the call is under way turns these back.
  if (step == Step::kRegister) described = true;
  if (step != Step::kDeregister) told = true;
}

void Entry::succeeded() {
  const Step done = step;
  step = Step::kNone;
  last_error.clear();
  complained = false;
  switch (done) {
    case Step::kRegister:
      registered = may_be_critical = true;
      // A registration carries the state but no output: that follows, where there is any to tell.
      if (!output.empty() && output != kPlainOutput) told = false;
      break;
    case Step::kDeregister:
      registered = maybe_there = false;
      break;
    case Step::kUpdate:
      told_lost = false;
      break;
    case Step::kNone:
      break;
  }
  // A catalog that forgets what was registered a moment ago is not asked without end.
  if (done != Step::kRegister || told) backoff.reset();
}

void Entry::failed(const Error& error, TimePoint now) {
  const Step done = step;
  step = Step::kNone;
  last_error = error.text();
  if (done == Step::kRegister) described = false;
  if (done != Step::kDeregister) told = false;
  if (done == Step::kUpdate && error.code() == Errc::kNotFound) {
    registered = false;
    lapsed = unheard(now);
  }
}

std::string_view Entry::compare(const OwnEntry* actual, TimePoint now) {
  if (actual == nullptr) {
    lapsed = lapsed || (registered && unheard(now));
    const bool lost = registered && health && !reaped(now) && !lapsed;
    registered = maybe_there = false;
    return lost ? "it was gone" : "";
  }
  maybe_there = true;
  if (!health) return registered ? "" : "it was left there by an earlier life";
  if (!registered) {
    // Left there by an earlier life of this instance, with a state that is not ours.
    registered = may_be_critical = true;
    described = same_description(spec, *actual);
    told = std::exchange(lapsed, false);  // what its TTL says stands
    return "it was left there by an earlier life";
  }
  if (!actual->has_check) {
    registered = false;
    return "its check was gone";
  }
  if (described && !same_description(spec, *actual)) {
    described = false;
    return "it was altered";
  }
  // Only for the worse: better again is what the next beat says, if there is one.
  if (told && actual->health && *actual->health < *health) {
    told = false;
    return "it was said to be better than it is";
  }
  return "";
}

}  // namespace containerpilot::discovery
