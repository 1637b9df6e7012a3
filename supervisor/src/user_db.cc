#include "user_db.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>

namespace containerpilot::detail {

namespace {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
};
struct Group {
  std::string name;
  gid_t gid = 0;
  std::vector<std::string> members;
};

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<id_t> parse_id(std::string_view text) {
  id_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // The highest number means "unchanged" to setresuid(2).
  if (error != std::errc() || end != text.data() + text.size() || value == static_cast<id_t>(-1)) {
    return std::nullopt;
  }
  return value;
}

// Lines that are not of the expected shape (comments, NIS "+") are skipped, as libc does. A file
// that is not there is empty: bare images have none.
template <class Entry, class Parse>
std::vector<Entry> read_db(const std::string& path, Parse parse) {
  std::vector<Entry> entries;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (auto entry = parse(split(line, ':'))) entries.push_back(std::move(*entry));
  }
  return entries;
}

std::vector<User> read_users(const std::string& path) {
  return read_db<User>(path, [](const std::vector<std::string>& f) -> std::optional<User> {
    if (f.size() < 6) return std::nullopt;
    const auto uid = parse_id(f[2]);
    const auto gid = parse_id(f[3]);
    if (!uid || !gid) return std::nullopt;
    return User{f[0], *uid, *gid, f[5]};
  });
}

std::vector<Group> read_groups(const std::string& path) {
  return read_db<Group>(path, [](const std::vector<std::string>& f) -> std::optional<Group> {
    if (f.size() < 4) return std::nullopt;
    const auto gid = parse_id(f[2]);
    if (!gid) return std::nullopt;
    return Group{f[0], *gid, split(f[3], ',')};
  });
}

Error unknown(std::string_view kind, const std::string& name, const std::string& file) {
  return {Errc::kInvalid, "no " + std::string(kind) + " '" + name + "' in " + file +
                              "; accepted is a name listed there or a number"};
}

Result<gid_t> find_group(const std::vector<Group>& groups, const std::string& name,
                         const std::string& file) {
  for (const Group& group : groups) {
    if (group.name == name) return group.gid;
  }
  if (const auto gid = parse_id(name)) return gid_t{*gid};
  return unknown("group", name, file);
}

}  // namespace

Result<Identity> resolve_identity(const ProcessSpec& spec, const std::string& passwd_file,
                                  const std::string& group_file) {
  Identity result;
  if (spec.user.empty() && spec.group.empty() && spec.groups.empty()) return result;
  const std::vector<Group> groups = read_groups(group_file);
  if (!spec.user.empty()) {
    const std::vector<User> users = read_users(passwd_file);
    const auto number = parse_id(spec.user);
    auto user = std::find_if(users.begin(), users.end(),
                             [&](const User& u) { return u.name == spec.user; });
    if (user == users.end() && number) {
      user =
          std::find_if(users.begin(), users.end(), [&](const User& u) { return u.uid == *number; });
    }
    result.groups.emplace();
    if (user != users.end()) {
      result.uid = user->uid;
      result.gid = user->gid;
      result.name = user->name;
      result.home = user->home;
      for (const Group& group : groups) {
        if (std::find(group.members.begin(), group.members.end(), user->name) !=
            group.members.end()) {
          result.groups->push_back(group.gid);
        }
      }
    } else if (number) {
      result.uid = *number;
    } else {
      return unknown("user", spec.user, passwd_file);
    }
  }
  if (!spec.group.empty()) {
    const auto gid = find_group(groups, spec.group, group_file);
    if (!gid) return gid.error();
    result.gid = gid.value();
  }
  if (!spec.groups.empty()) {
    result.groups.emplace();
    for (const std::string& name : spec.groups) {
      const auto gid = find_group(groups, name, group_file);
      if (!gid) return gid.error();
      result.groups->push_back(gid.value());
    }
  }
  return result;
}

}  // namespace containerpilot::detail
