#include "cgroup_tree.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string_view>

#include "containerpilot/supervisor/unique_fd.h"

namespace containerpilot::detail {

namespace {

// proc(5), mountinfo: id parent dev root mount-point options … - type source options
std::optional<std::string> mount_point_for(const std::string& cgroup) {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::size_t dash = line.find(" - cgroup2 ");
    if (dash == line.npos) continue;
    std::istringstream fields(line);
    std::string skipped, root, point;
    fields >> skipped >> skipped >> skipped >> root >> point;
    if (root == "/") return point + cgroup;
    // Without a cgroup namespace a container may see only its own part of the tree.
    if (cgroup.starts_with(root)) return point + cgroup.substr(root.size());
  }
  return std::nullopt;
}

std::optional<std::string> own_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return std::nullopt;
}

}  // namespace

std::optional<CgroupTree> CgroupTree::create() {
  const auto cgroup = own_cgroup();
  if (!cgroup) return std::nullopt;
  const auto folder = mount_point_for(*cgroup);
  if (!folder) return std::nullopt;
  const std::string own = *folder + "/containerpilot." + std::to_string(::getpid());
  ::rmdir(own.c_str());  // of an earlier process with this pid
  if (::mkdir(own.c_str(), 0755) != 0) return std::nullopt;
  CgroupTree tree(own);
  if (::access((own + "/cgroup.kill").c_str(), W_OK) != 0) return std::nullopt;
  return tree;
}

CgroupTree::~CgroupTree() {
  if (folder_.empty()) return;
  for (const std::string& folder : occupied_) ::rmdir(folder.c_str());
  ::rmdir(folder_.c_str());
}

std::string CgroupTree::add() {
  std::erase_if(occupied_, [](const std::string& folder) { return ::rmdir(folder.c_str()) == 0; });
  std::string folder = folder_ + "/" + std::to_string(next_++);
  return ::mkdir(folder.c_str(), 0755) == 0 ? folder : std::string();
}

bool CgroupTree::kill(const std::string& folder) {
  const UniqueFd fd(::open((folder + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), "1", 1) == 1;
}

bool CgroupTree::signal(const std::string& folder, int signo, pid_t spared) {
  bool any = false;
  std::ifstream members(folder + "/cgroup.procs");
  for (pid_t pid = 0; members >> pid;) {
    if (pid > 0 && ::kill(pid, ::getpgid(pid) == spared ? 0 : signo) == 0) any = true;
  }
  return any;
}

void CgroupTree::remove(std::string folder) {
  if (::rmdir(folder.c_str()) != 0) occupied_.push_back(std::move(folder));
}

}  // namespace containerpilot::detail
