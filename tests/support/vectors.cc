#include "support/vectors.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace containerpilot::test {
namespace {

std::filesystem::path folder(const char* variable, std::string_view name) {
  if (const char* path = std::getenv(variable); path != nullptr) return path;
  // Unit tests run in the source folder.
  return std::filesystem::path("..") / "shared" / name;
}

}  // namespace

std::filesystem::path vectors_folder() { return folder("CONTAINERPILOT_VECTORS", "vectors"); }
std::filesystem::path corpus_folder() { return folder("CONTAINERPILOT_CORPUS", "corpus"); }

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string base64_decode(std::string_view text) {
  std::string out(text.size(), '\0');
  const auto* in = reinterpret_cast<const unsigned char*>(text.data());
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), in,
                                     static_cast<int>(text.size()));
  if (length < 0) throw std::invalid_argument("not base64: " + std::string(text));
  const auto padding = static_cast<std::size_t>(std::count(text.begin(), text.end(), '='));
  out.resize(static_cast<std::size_t>(length) - padding);
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 0xF];
  }
  return hex;
}

}  // namespace containerpilot::test
