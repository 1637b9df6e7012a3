#pragma once

#include <string_view>

#include "template/budget.h"

namespace containerpilot::agent::tmpl {

/// Go's html, js and urlquery functions, for text.
void escape_html(Buffer& out, std::string_view text);
void escape_js(Buffer& out, std::string_view text);
void escape_url_query(Buffer& out, std::string_view text);

}  // namespace containerpilot::agent::tmpl
