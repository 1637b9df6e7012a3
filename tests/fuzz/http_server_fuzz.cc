// Bytes of a connection into the request parser of the HTTP server. Oracle: however the bytes are
// cut into pieces, the same requests come out and the same refusal ends them.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "http_parser.h"

namespace {

using containerpilot::HttpRequestParser;
using containerpilot::HttpServerLimits;
using containerpilot::HttpServerRequest;
using State = HttpRequestParser::State;

struct Outcome {
  std::vector<HttpServerRequest> requests;
  bool refused = false;
};

void require(bool holds) {
  if (!holds) std::abort();
}

Outcome parse(std::string_view bytes, std::size_t step, const HttpServerLimits& limits) {
  HttpRequestParser parser(limits, HttpRequestParser::Host::kRequired);
  Outcome outcome;
  std::size_t begin = 0;  // of what is not yet consumed
  for (std::size_t end = 0; end < bytes.size();) {
    end = std::min(end + step, bytes.size());
    while (begin < end) {
      const auto progress = parser.feed(bytes.substr(begin, end - begin));
      require(progress.consumed <= end - begin);
      begin += progress.consumed;
      if (progress.state == State::kRefused) {
        require(parser.refusal().status >= 400 && !parser.refusal().reason.empty());
        outcome.refused = true;
        return outcome;
      }
      if (progress.state == State::kNeedMore) break;
      HttpServerRequest request = parser.take();
      require(!request.method.empty() && !request.path.empty());
      require(request.body.size() <= limits.max_body);
      outcome.requests.push_back(std::move(request));
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = data[0] % 32 + 1u;
  parse(bytes, step, {.max_header = 64, .max_body = 16});

  // Limits count what is held back, and so depend on the cuts: these are out of reach.
  const HttpServerLimits wide{.max_header = size + 1, .max_body = size};
  const Outcome whole = parse(bytes, bytes.size(), wide);
  const Outcome pieces = parse(bytes, step, wide);
  require(whole.refused == pieces.refused && whole.requests.size() == pieces.requests.size());
  for (std::size_t i = 0; i < whole.requests.size(); ++i) {
    const HttpServerRequest& a = whole.requests[i];
    const HttpServerRequest& b = pieces.requests[i];
    require(a.method == b.method && a.target == b.target && a.headers == b.headers &&
            a.body == b.body);
  }
  return 0;
}
