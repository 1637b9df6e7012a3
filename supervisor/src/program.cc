#include "program.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "child_environment.h"
#include "containerpilot/supervisor/unique_fd.h"
#include "errno_text.h"

namespace containerpilot::detail {

namespace {

// What a container's root shell has; used when the child has no PATH at all.
constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

enum class Candidate { kGood, kMissing, kNotExecutable };

Candidate look_at(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    return errno == EACCES ? Candidate::kNotExecutable : Candidate::kMissing;
  if (S_ISDIR(info.st_mode)) return Candidate::kMissing;
  return ::access(path.c_str(), X_OK) == 0 ? Candidate::kGood : Candidate::kNotExecutable;
}

/// What the kernel reads to decide how to execute a file.
struct Head {
  std::string bytes;
  UniqueFd fd;
};

std::optional<Head> read_head(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return std::nullopt;
  std::string bytes(256, '\0');
  const ssize_t n = ::read(fd.get(), bytes.data(), bytes.size());
  if (n < 0) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(n));
  return Head{std::move(bytes), std::move(fd)};
}

std::optional<std::string> script_interpreter(const Head& head) {
  std::string_view line = head.bytes;
  if (!line.starts_with("#!")) return std::nullopt;
  line = line.substr(2, line.find('\n') - 2);
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == line.npos) return std::string();
  line.remove_prefix(begin);
  return std::string(line.substr(0, line.find_first_of(" \t")));
}

bool is_elf(const Head& head) {
  return head.bytes.starts_with(ELFMAG) && head.bytes.size() >= sizeof(ElfW(Ehdr));
}

ElfW(Ehdr) elf_header(const Head& head) {
  ElfW(Ehdr) header;
  std::memcpy(&header, head.bytes.data(), sizeof header);
  return header;
}

bool is_native_elf(const ElfW(Ehdr) & header) {
#if defined(__x86_64__)
  constexpr unsigned kMachine = EM_X86_64;
#elif defined(__aarch64__)
  constexpr unsigned kMachine = EM_AARCH64;
#else
  const unsigned kMachine =
      header.e_machine;  // not known here: no guess is better than a wrong one
#endif
  return header.e_ident[EI_CLASS] == (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32) &&
         header.e_machine == kMachine;
}

// The dynamic loader an ELF file asks for; a libc that is not in the image shows as "no such file".
std::optional<std::string> elf_interpreter(const Head& head) {
  if (!is_elf(head)) return std::nullopt;
  const auto header = elf_header(head);
  if (!is_native_elf(header)) return std::nullopt;
  constexpr int kMaxProgramHeaders = 64;
  for (int i = 0; i < std::min<int>(header.e_phnum, kMaxProgramHeaders); ++i) {
    ElfW(Phdr) segment;
    const auto at =
        static_cast<off_t>(header.e_phoff + static_cast<std::size_t>(i) * sizeof segment);
    if (::pread(head.fd.get(), &segment, sizeof segment, at) != sizeof segment) break;
    if (segment.p_type != PT_INTERP || segment.p_filesz == 0 || segment.p_filesz > 4096) continue;
    std::string path(segment.p_filesz, '\0');
    const ssize_t n =
        ::pread(head.fd.get(), path.data(), path.size(), static_cast<off_t>(segment.p_offset));
    if (n != static_cast<ssize_t>(path.size())) break;
    path.resize(std::strlen(path.c_str()));
    return path;
  }
  return std::nullopt;
}

Error explain_missing(const std::string& path, int error) {
  const auto head = read_head(path);
  if (!head) return {Errc::kNotFound, "no such file: '" + path + "'", error};
  if (auto script = script_interpreter(*head)) {
    std::string text = "'" + path + "' asks for the interpreter '";
    if (script->ends_with('\r')) {
      script->pop_back();
      text +=
          *script + "\\r': its first line ends in a carriage return (save it with unix line ends)";
    } else {
      text += *script + "', which does not exist";
    }
    return {Errc::kNotFound, std::move(text), error};
  }
  if (const auto loader = elf_interpreter(*head)) {
    return {Errc::kNotFound,
            "'" + path + "' asks for the loader '" + *loader +
                "', which does not exist (built for another C library?)",
            error};
  }
  return {Errc::kNotFound, "no such file: '" + path + "' or something it needs", error};
}

Error explain_denied(const std::string& path, int error) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode))
      return {Errc::kDenied, "'" + path + "' is a directory, not a program", error};
    if ((info.st_mode & 0111) == 0) {
      return {Errc::kDenied, "'" + path + "' is not executable (chmod +x would make it so)", error};
    }
    if (const auto head = read_head(path)) {
      if (const auto script = script_interpreter(*head);
          script && ::access(script->c_str(), X_OK) != 0) {
        return {
            Errc::kDenied,
            "'" + path + "' asks for the interpreter '" + *script + "', which is not executable",
            error};
      }
    }
  }
  return {Errc::kDenied, "'" + path + "' may not be executed: " + errno_text(error), error};
}

Error explain_format(const std::string& path, int error) {
  const auto head = read_head(path);
  if (head && is_elf(*head) && !is_native_elf(elf_header(*head))) {
    utsname host{};
    ::uname(&host);
    return {Errc::kInvalid,
            "'" + path + "' is built for another architecture than this host's " + host.machine,
            error};
  }
  return {Errc::kInvalid,
          "'" + path + "' is not a program: it has no '#!' line and is not a binary of this system",
          error};
}

}  // namespace

Result<std::string> find_program(const std::string& argv0,
                                 const std::vector<std::string>& environment) {
  if (argv0.empty()) return Error(Errc::kInvalid, "the program's name is empty");
  if (argv0.find('/') != argv0.npos) return argv0;
  const char* const variable = find_variable(environment, "PATH");
  const std::string_view path = variable != nullptr ? std::string_view(variable) : kDefaultPath;
  std::string denied;
  for (std::string_view rest = path;;) {
    const std::size_t end = rest.find(':');
    const std::string_view folder = rest.substr(0, end);
    // An empty element is the current folder, says POSIX.
    std::string candidate = folder.empty() ? "./" + argv0 : std::string(folder) + "/" + argv0;
    switch (look_at(candidate)) {
      case Candidate::kGood:
        return candidate;
      case Candidate::kNotExecutable:
        if (denied.empty()) denied = std::move(candidate);
        break;
      case Candidate::kMissing:
        break;
    }
    if (end == rest.npos) break;
    rest.remove_prefix(end + 1);
  }
  if (!denied.empty()) return explain_denied(denied, EACCES);
  return Error(Errc::kNotFound, "no program '" + argv0 + "' in PATH (" + std::string(path) + ")",
               ENOENT);
}

Error explain_exec_failure(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
      return explain_missing(path, error);
    case EACCES:
    case EPERM:
      return explain_denied(path, error);
    case ENOEXEC:
      return explain_format(path, error);
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return {Errc::kNotFound, "no such file: '" + path + "': " + errno_text(error), error};
    case E2BIG:
      return {Errc::kInvalid,
              "arguments and environment of '" + path + "' are too large for the kernel", error};
    case ETXTBSY:
      return {Errc::kUnavailable, "'" + path + "' is being written to", error};
    case EAGAIN:
      return {Errc::kUnavailable, "the limit on processes is reached (RLIMIT_NPROC or pids cgroup)",
              error};
    case ENOMEM:
      return {Errc::kUnavailable, "not enough memory", error};
    case EMFILE:
    case ENFILE:
      return {Errc::kUnavailable, "no file descriptors are left: " + errno_text(error), error};
    default:
      return {Errc::kIo, "'" + path + "': " + errno_text(error), error};
  }
}

}  // namespace containerpilot::detail
