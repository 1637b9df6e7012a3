#include "gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "containerpilot/telemetry/registry.h"

namespace containerpilot::telemetry {
namespace {

std::string gunzip(std::string packed) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
  std::string out(1 << 22, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);  // checks length and checksum, too
  EXPECT_EQ(stream.avail_in, 0U);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(Gzip, JoinsPartsIntoOneMember) {
  GzipPacker packer;
  const std::string texts[] = {"", "a", std::string(100000, 'x'), "queue_depth 42\n", ""};
  std::string expected, packed;
  GzipJoin join(packed);
  for (const std::string& text : texts) {
    GzipPart part;
    ASSERT_TRUE(packer.pack(text, part));
    join.add(part);
    expected += text;
  }
  join.finish();
  EXPECT_EQ(gunzip(packed), expected);
  EXPECT_LT(packed.size(), 1000U);
}

TEST(Gzip, HoldsTheSameExpositionAsThePlainText) {
  Registry registry;
  for (int i = 0; i < 300; ++i) {
    MetricSpec metric;
    metric.name = "m" + std::to_string(i);
    ASSERT_TRUE(registry.declare(metric));
    ASSERT_TRUE(registry.record(metric.name, {}, i));
  }
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(registry.record("m" + std::to_string(round * 100), {}, -round));
    for (const TextFormat format : {TextFormat::kPrometheus004, TextFormat::kOpenMetrics100}) {
      std::string plain, packed;
      registry.render(format, plain);
      ASSERT_TRUE(registry.render_gzip(format, packed));
      EXPECT_EQ(gunzip(packed), plain);
    }
  }
}

}  // namespace
}  // namespace containerpilot::telemetry
