#include "live_page.h"

#include "live_page_files.h"

namespace containerpilot::agent {

namespace {
// Nothing but our own files, and no inline code: what a sensor prints can never become a script.
constexpr std::string_view kHeaders =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n";
}  // namespace

void publish_live_page(telemetry::Documents& documents) {
  for (const auto& [path, type, body] : live_page_files()) {
    documents.publish(std::string(path), {.content_type = std::string(type),
                                          .open = true,
                                          .headers = std::string(kHeaders),
                                          .constant_body = body});
  }
}

}  // namespace containerpilot::agent
