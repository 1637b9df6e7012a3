#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace containerpilot::test {

/// Where the recorded behaviour of the reference program lies: CONTAINERPILOT_VECTORS and
/// CONTAINERPILOT_CORPUS, else ../shared/vectors and ../shared/corpus seen from the sources. Tests
/// that need a folder that does not exist skip, and say so.
std::filesystem::path vectors_folder();
std::filesystem::path corpus_folder();

/// A file's bytes; empty if it cannot be read.
std::string read_bytes(const std::filesystem::path& path);
/// Standard alphabet, padded.
std::string base64_decode(std::string_view text);
/// Lower-case hexadecimal.
std::string sha256_hex(std::string_view bytes);

}  // namespace containerpilot::test
