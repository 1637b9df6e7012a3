#pragma once

#include <string_view>

#include "template/program.h"

namespace containerpilot::agent::tmpl {

/// Reads a template and everything it defines. Throws Failure, with an offset, at the first error.
/// @param text  must outlive the program.
Program parse(std::string_view text);

}  // namespace containerpilot::agent::tmpl
