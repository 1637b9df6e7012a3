#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace containerpilot::agent {

// What must not be shown: values of keys that are called like secrets, passwords in URLs, and what
// was read from secret files. All pure.

/// True for keys whose value must never be printed: token, password, secret and words ending in
/// them (api_token, DB_PASSWORD).
bool is_secret_key(std::string_view key);

/// A line of a configuration with as many stars as such a value has characters.
std::string star_credentials(std::string_view line);

/// *** for `secrets`, for values like that of "--password=…" or "?token=…", and for passwords in
/// URLs.
std::string masked(std::string_view text, const std::vector<std::string>& secrets);

/// The words of a command likewise; also the word after "--password".
std::vector<std::string> masked_command(const std::vector<std::string>& argv);

}  // namespace containerpilot::agent
