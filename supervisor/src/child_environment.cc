#include "child_environment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "containerpilot/supervisor/unique_fd.h"
#include "errno_text.h"

namespace containerpilot::detail {

namespace {

constexpr std::size_t kMaxEnvFile = 1024 * 1024;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string_view unquote(std::string_view value) {
  const bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                      value.back() == value.front();
  return quoted ? value.substr(1, value.size() - 2) : value;
}

Result<std::string> read_small_file(const std::string& path) {
  // Non-blocking: a FIFO put there must not stop the loop.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    const int error = errno;
    const Errc code = error == ENOENT   ? Errc::kNotFound
                      : error == EACCES ? Errc::kDenied
                                        : Errc::kIo;
    return Error(code, "cannot open env file '" + path + "': " + errno_text(error), error);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return Error(Errc::kInvalid, "env file '" + path + "' is not a regular file");
  }
  std::string text(kMaxEnvFile + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0)
      return Error(Errc::kIo, "cannot read env file '" + path + "': " + errno_text(errno), errno);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > kMaxEnvFile)
    return Error(Errc::kInvalid, "env file '" + path + "' is larger than 1 MiB");
  text.resize(size);
  return text;
}

}  // namespace

void set_variable(std::vector<std::string>& environment, std::string_view key,
                  std::string_view value) {
  std::string entry;
  entry.reserve(key.size() + 1 + value.size());
  entry.append(key).append("=").append(value);
  for (std::string& existing : environment) {
    if (existing.size() > key.size() && existing[key.size()] == '=' && existing.starts_with(key)) {
      existing = std::move(entry);
      return;
    }
  }
  environment.push_back(std::move(entry));
}

const char* find_variable(const std::vector<std::string>& environment, std::string_view key) {
  for (const std::string& entry : environment) {
    if (entry.size() > key.size() && entry[key.size()] == '=' && entry.starts_with(key)) {
      return entry.c_str() + key.size() + 1;
    }
  }
  return nullptr;
}

Status read_env_file(const std::string& path,
                     std::vector<std::pair<std::string, std::string>>& out) {
  auto text = read_small_file(path);
  if (!text) return std::move(text).error();
  std::string_view rest = text.value();
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("export ")) line = trim(line.substr(7));
    const std::size_t equals = line.find('=');
    const std::string_view key = trim(line.substr(0, equals));
    if (equals == line.npos || key.empty() || line.find('\0') != line.npos) {
      // The line itself is not shown: these files hold secrets.
      return Error(Errc::kInvalid, "env file '" + path + "', line " + std::to_string(number) +
                                       " is not KEY=VALUE, a comment (#) or blank");
    }
    out.emplace_back(key, unquote(trim(line.substr(equals + 1))));
  }
  return ok();
}

Result<std::vector<std::string>> child_environment(const ProcessSpec& spec,
                                                   std::vector<std::string> inherited,
                                                   const Identity& identity) {
  if (spec.clear_env)
    std::erase_if(inherited, [](const std::string& e) { return !e.starts_with("PATH="); });
  if (!identity.name.empty()) {
    set_variable(inherited, "HOME", identity.home);
    set_variable(inherited, "USER", identity.name);
    set_variable(inherited, "LOGNAME", identity.name);
  }
  std::vector<std::pair<std::string, std::string>> from_files;
  for (const std::string& path : spec.env_files) {
    if (Status status = read_env_file(path, from_files); !status) return std::move(status).error();
  }
  for (const auto& [key, value] : from_files) set_variable(inherited, key, value);
  for (const auto& [key, value] : spec.env) set_variable(inherited, key, value);
  return inherited;
}

}  // namespace containerpilot::detail
