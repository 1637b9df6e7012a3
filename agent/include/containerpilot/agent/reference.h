#pragma once

#include <string>
#include <vector>

namespace containerpilot::agent {

// Documentation made from the tables that configurations are read by.

/// Names of all blocks of generation 3: "configuration", "jobs", "health", "when", …
std::vector<std::string> reference_blocks();

/// The keys of one block as a Markdown table; empty for a name that is none. Keys with a + are new,
/// the old program refused them.
std::string reference_table(const std::string& block);

/// JSON Schema (2020-12) of generation 3, for editors. Ends in a newline.
std::string json_schema();

}  // namespace containerpilot::agent
