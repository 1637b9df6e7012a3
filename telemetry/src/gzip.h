#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace containerpilot::telemetry {

/// A piece of a gzip body that stands by itself: pieces packed at different times can be put
/// together.
struct GzipPart {
  std::string packed;
  std::uint32_t checksum = 0;
  std::size_t length = 0;  ///< of the text
};

/// Packs texts into parts, fast rather than small.
class GzipPacker {
 public:
  GzipPacker();
  ~GzipPacker();
  GzipPacker(const GzipPacker&) = delete;
  GzipPacker& operator=(const GzipPacker&) = delete;
  /// False when there is no memory for it.
  bool pack(std::string_view text, GzipPart& part);

 private:
  void* stream_ = nullptr;  // z_stream; null: no memory
};

/// One gzip member of parts, in their order. Source: RFC 1951, RFC 1952.
class GzipJoin {
 public:
  /// Appends to `out`, which must outlive this.
  explicit GzipJoin(std::string& out);
  void add(const GzipPart& part);
  /// The end; nothing may follow.
  void finish();

 private:
  std::string& out_;
  std::uint32_t checksum_ = 0;
  std::size_t length_ = 0;
};

}  // namespace containerpilot::telemetry
