#include "gzip.h"

#include <zlib.h>

namespace containerpilot::telemetry {

bool append_gzip(std::string_view text, std::string& out) {
  constexpr int kGzipWrapper = 16;
  constexpr int kMemoryLevel = 8;
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + kGzipWrapper, kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return false;
  }
  const std::size_t before = out.size();
  out.resize(before + deflateBound(&stream, text.size()));
  // zlib only reads through next_in; its type lacks the const.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
  stream.avail_out = static_cast<uInt>(out.size() - before);
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(done ? before + stream.total_out : before);
  deflateEnd(&stream);
  return done;
}

}  // namespace containerpilot::telemetry
