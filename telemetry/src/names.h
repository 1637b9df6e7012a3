#pragma once

#include <string>
#include <string_view>

#include "containerpilot/telemetry/registry.h"

namespace containerpilot::telemetry {

/// [a-zA-Z_:][a-zA-Z0-9_:]*. Source: Prometheus data model.
bool legal_metric_name(std::string_view name);
/// [a-zA-Z_][a-zA-Z0-9_]*, not starting with "__". Source: Prometheus data model.
bool legal_label_name(std::string_view name);

/// `{a="b",c="d"}`, values escaped; empty for no labels. `constant` holds for names not in
/// `labels`.
std::string label_block(const Labels& constant, const Labels& labels);
/// HELP text: backslash and newline escaped, and the double quote where OpenMetrics wants it.
void append_help(std::string& out, std::string_view help, TextFormat format);

}  // namespace containerpilot::telemetry
