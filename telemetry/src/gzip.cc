#include "gzip.h"

#include <zlib.h>

namespace containerpilot::telemetry {
namespace {

// 8 kB of memory for the window and little more: parts are small, and repeat themselves within a
// line.
constexpr int kRawWindow = -13;
constexpr int kMemoryLevel = 6;

// zlib only reads through these; its types lack the const.
Bytef* bytes(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

void append_little_endian(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

}  // namespace

GzipPacker::GzipPacker() {
  auto* stream = new z_stream();
  if (deflateInit2(stream, Z_BEST_SPEED, Z_DEFLATED, kRawWindow, kMemoryLevel,
                   Z_DEFAULT_STRATEGY) == Z_OK) {
    stream_ = stream;
  } else {
    delete stream;
  }
}

GzipPacker::~GzipPacker() {
  auto* stream = static_cast<z_stream*>(stream_);
  if (stream != nullptr) deflateEnd(stream);
  delete stream;
}

bool GzipPacker::pack(std::string_view text, GzipPart& part) {
  constexpr std::size_t kFlushMarker = 16;
  auto* stream = static_cast<z_stream*>(stream_);
  if (stream == nullptr || deflateReset(stream) != Z_OK) return false;
  part.packed.resize(deflateBound(stream, text.size()) + kFlushMarker);
  stream->next_in = bytes(text);
  stream->avail_in = static_cast<uInt>(text.size());
  stream->next_out = bytes(part.packed);
  stream->avail_out = static_cast<uInt>(part.packed.size());
  // A full flush ends on a byte and leaves the last block open for others to follow.
  if (deflate(stream, Z_FULL_FLUSH) != Z_OK || stream->avail_in > 0) return false;
  part.packed.resize(stream->total_out);
  part.packed.shrink_to_fit();
  part.checksum = static_cast<std::uint32_t>(crc32_z(0, bytes(text), text.size()));
  part.length = text.size();
  return true;
}

GzipJoin::GzipJoin(std::string& out) : out_(out) {
  constexpr unsigned char kHeader[] = {0x1f, 0x8b, 8, 0, 0,
                                       0,    0,    0, 4, 255};  // deflate, no name, fastest
  out_.append(reinterpret_cast<const char*>(kHeader), sizeof(kHeader));
}

void GzipJoin::add(const GzipPart& part) {
  out_ += part.packed;
  checksum_ = static_cast<std::uint32_t>(
      crc32_combine(checksum_, part.checksum, static_cast<z_off_t>(part.length)));
  length_ += part.length;
}

void GzipJoin::finish() {
  constexpr char kEmptyLastBlock[] = {0x03, 0x00};
  out_.append(kEmptyLastBlock, sizeof(kEmptyLastBlock));
  append_little_endian(out_, checksum_);
  append_little_endian(out_, static_cast<std::uint32_t>(length_));
}

}  // namespace containerpilot::telemetry
