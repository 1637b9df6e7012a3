#pragma once

#include <string>

namespace containerpilot {

/// Every certificate (PEM) in the files of a folder, one after another, in the order of their
/// names; empty when there is none, or no such folder. OpenSSL alone finds only files that
/// `openssl rehash` named, Consul's own tools take all.
std::string read_ca_folder(const std::string& path);
/// The certificates of one file.
std::string read_ca_file(const std::string& path);

}  // namespace containerpilot
