// Time zones for machines that have none, as bare images do: packed by pack.sh and
// asked after the system's files (or those in TZDIR). The hook is described in zone_info_source.h
// of cctz, which Abseil's time library is made of.
#define ZLIB_CONST
#include <absl/time/internal/cctz/include/cctz/zone_info_source.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

// clang-format off
asm(".pushsection .rodata\n"
    "containerpilot_zones: .incbin \"" CONTAINERPILOT_ZONES "\"\n"
    "containerpilot_zones_end:\n"
    ".globl containerpilot_zones, containerpilot_zones_end\n"
    ".popsection\n");
// clang-format on
// NOLINTBEGIN(readability-identifier-naming): arrays that begin at these addresses
extern "C" [[gnu::visibility("hidden")]] const char containerpilot_zones[];
extern "C" [[gnu::visibility("hidden")]] const char containerpilot_zones_end[];
// NOLINTEND(readability-identifier-naming)

namespace absl::time_internal::cctz_extension {
namespace {

std::string unpack() {
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzip) != Z_OK) return {};
  stream.next_in = reinterpret_cast<const Bytef*>(containerpilot_zones);
  stream.avail_in = static_cast<uInt>(containerpilot_zones_end - containerpilot_zones);
  std::string text;
  int state = Z_OK;
  while (state == Z_OK) {
    const std::size_t at = text.size();
    text.resize(at + std::size_t{64} * 1024);
    stream.next_out = reinterpret_cast<Bytef*>(text.data() + at);
    stream.avail_out = static_cast<uInt>(text.size() - at);
    state = inflate(&stream, Z_NO_FLUSH);
    text.resize(text.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  return text;
}

/// The TZif bytes of a zone; empty when there is no such zone.
std::string find_zone(std::string_view wanted) {
  const std::string all = unpack();
  std::string_view rest = all;
  while (!rest.empty()) {
    const std::size_t space = rest.find(' ');
    const std::size_t line = rest.find('\n', space);
    if (line == std::string_view::npos) break;
    std::size_t size = 0;
    std::from_chars(rest.data() + space + 1, rest.data() + line, size);
    if (rest.substr(0, space) == wanted) return std::string(rest.substr(line + 1, size));
    rest.remove_prefix(std::min(line + 1 + size, rest.size()));
  }
  return {};
}

class BuiltinZone final : public cctz::ZoneInfoSource {
 public:
  explicit BuiltinZone(std::string data) : data_(std::move(data)) {}
  std::size_t Read(void* to, std::size_t size) override {
    size = std::min(size, data_.size() - at_);
    std::memcpy(to, data_.data() + at_, size);
    at_ += size;
    return size;
  }
  int Skip(std::size_t offset) override {
    if (offset > data_.size() - at_) return -1;
    at_ += offset;
    return 0;
  }

 private:
  std::string data_;
  std::size_t at_ = 0;
};

using Factory = std::function<std::unique_ptr<cctz::ZoneInfoSource>(const std::string&)>;

std::unique_ptr<cctz::ZoneInfoSource> system_then_builtin(const std::string& name,
                                                          const Factory& system) {
  if (auto zone = system(name)) return zone;
  std::string data = find_zone(name);
  return data.empty() ? nullptr : std::make_unique<BuiltinZone>(std::move(data));
}

}  // namespace

ZoneInfoSourceFactory zone_info_source_factory = system_then_builtin;

}  // namespace absl::time_internal::cctz_extension
