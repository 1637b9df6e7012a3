#include "containerpilot/telemetry/registry.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "containerpilot/supervisor/utf8.h"
#include "family.h"
#include "gzip.h"
#include "names.h"

namespace containerpilot::telemetry {
namespace {

using Index =
    std::unordered_map<std::string_view, std::shared_ptr<Family>>;  // keys live in the families

constexpr std::size_t kFamiliesPerChunk = 64;  // one bit each
constexpr std::array<std::string_view, 3> kOwnedSuffixes = {"_bucket", "_count", "_sum"};

/// Names this family's samples take besides its own.
std::size_t owned_suffixes_from(MetricType type) {
  switch (type) {
    case MetricType::kHistogram:
      return 0;
    case MetricType::kSummary:
      return 1;
    case MetricType::kGauge:
    case MetricType::kCounter:
      break;
  }
  return kOwnedSuffixes.size();
}

/// Another family that would write samples of the same name; empty if there is none.
std::string_view sample_clash(const Index& index, const MetricSpec& metric) {
  for (std::size_t i = owned_suffixes_from(metric.type); i < kOwnedSuffixes.size(); ++i) {
    const auto found = index.find(metric.name + std::string(kOwnedSuffixes[i]));
    if (found != index.end()) return found->first;
  }
  const std::string_view name = metric.name;
  for (std::size_t i = 0; i < kOwnedSuffixes.size(); ++i) {
    const std::string_view suffix = kOwnedSuffixes[i];
    if (name.size() <= suffix.size() || name.substr(name.size() - suffix.size()) != suffix)
      continue;
    const auto found = index.find(name.substr(0, name.size() - suffix.size()));
    if (found != index.end() && owned_suffixes_from(found->second->type()) <= i)
      return found->first;
  }
  return {};
}

Status check(const MetricSpec& metric) {
  const auto invalid = [&](const std::string& why) {
    return Error(Errc::kInvalid, "cannot declare metric '" + metric.name + "': " + why);
  };
  if (!legal_metric_name(metric.name)) {
    return invalid(
        "a name is made of letters, digits, '_' and ':' and does not start with a digit");
  }
  if (!is_valid_utf8(metric.help)) return invalid("help is not UTF-8");
  for (const auto& [label, value] : metric.labels) {
    if (!legal_label_name(label) || label == "le" || label == "quantile") {
      return invalid("'" + label +
                     "' cannot be a label; letters, digits and '_' are accepted, not starting "
                     "with a digit or '__', and neither 'le' nor 'quantile'");
    }
    if (!is_valid_utf8(value)) return invalid("the value of label '" + label + "' is not UTF-8");
  }
  if (metric.type == MetricType::kHistogram && metric.buckets) {
    const auto& buckets = *metric.buckets;
    const bool rising =
        std::adjacent_find(buckets.begin(), buckets.end(), std::greater_equal<>()) == buckets.end();
    const bool finite =
        std::all_of(buckets.begin(), buckets.end(), [](double b) { return std::isfinite(b); });
    if (buckets.empty() || !rising || !finite) {
      return invalid("buckets are finite numbers in rising order; +Inf is implied");
    }
  }
  if (metric.type == MetricType::kSummary && metric.quantiles) {
    for (const Quantile& q : *metric.quantiles) {
      if (!(q.quantile > 0 && q.quantile < 1 && q.error > 0 && q.error < 1)) {
        return invalid("quantiles and their errors lie between 0 and 1");
      }
    }
  }
  return ok();
}

}  // namespace

SeriesHandle::SeriesHandle(std::shared_ptr<Family> family, std::shared_ptr<Series> series)
    : family_(std::move(family)), series_(std::move(series)) {}

namespace {
Error no_series() { return {Errc::kNotFound, "cannot use an empty series handle"}; }
}  // namespace

std::string_view SeriesHandle::name() const {
  return family_ ? std::string_view(family_->name()) : std::string_view();
}
MetricType SeriesHandle::type() const { return family_ ? family_->type() : MetricType::kGauge; }
Status SeriesHandle::record(double value) const {
  return series_ ? family_->record(*series_, value) : no_series();
}
Status SeriesHandle::record_total(double total) const {
  return series_ ? family_->record_total(*series_, total) : no_series();
}
Result<double> SeriesHandle::value() const {
  return series_ ? family_->value(*series_) : no_series();
}

class Registry::Impl {
 public:
  Status declare(const MetricSpec& metric) {
    if (auto status = check(metric); !status) return status;
    const std::unique_lock lock(index_mutex_);
    if (const auto found = index_.find(metric.name); found != index_.end()) {
      if (found->second->type() != metric.type) {
        return Error(Errc::kInvalid, "cannot declare metric '" + metric.name + "' as " +
                                         std::string(metric_type_name(metric.type)) +
                                         ": it is already a " +
                                         std::string(metric_type_name(found->second->type())));
      }
      found->second->redeclare(metric);
      return ok();
    }
    if (const auto other = sample_clash(index_, metric); !other.empty()) {
      return Error(Errc::kInvalid, "cannot declare metric '" + metric.name +
                                       "': its samples would be mixed up with those of '" +
                                       std::string(other) + "'");
    }
    auto family = std::make_shared<Family>(metric);
    index_.emplace(family->name(), family);
    ++layout_;
    return ok();
  }

  void remove(std::string_view name) {
    const std::unique_lock lock(index_mutex_);
    const auto found = index_.find(name);
    if (found == index_.end()) return;
    const auto family = std::move(found->second);  // owns the key
    index_.erase(found);
    family->clear();
    ++layout_;
  }

  [[nodiscard]] std::shared_ptr<Family> find(std::string_view name) const {
    const std::shared_lock lock(index_mutex_);
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : found->second;
  }

  [[nodiscard]] std::vector<std::string> names() const {
    const std::shared_lock lock(index_mutex_);
    std::vector<std::string> names;
    for (const auto& [name, family] : index_) names.emplace_back(name);
    std::sort(names.begin(), names.end());
    return names;
  }

  void render(TextFormat format, std::string& out) {
    const std::lock_guard lock(render_mutex_);
    lay_out();
    std::size_t size = out.size() + kEof.size();
    for (const auto& chunk : chunks_) size += refresh(*chunk, format).text.size();
    out.reserve(size);  // ten megabytes that double as they grow would be twenty
    for (const auto& chunk : chunks_) out += chunk->formats[static_cast<std::size_t>(format)].text;
    if (format == TextFormat::kOpenMetrics100) out += kEof;
  }

  bool render_gzip(TextFormat format, std::string& out) {
    const std::lock_guard lock(render_mutex_);
    lay_out();
    const std::size_t before = out.size();
    GzipPacker packer;
    GzipJoin join(out);
    bool good = true;
    for (const auto& chunk : chunks_) {
      Rendered& rendered = refresh(*chunk, format);
      if (!rendered.packed_fresh)
        rendered.packed_fresh = packer.pack(rendered.text, rendered.packed);
      good = good && rendered.packed_fresh;
      join.add(rendered.packed);
    }
    if (GzipPart eof; format == TextFormat::kOpenMetrics100) {
      good = packer.pack(kEof, eof) && good;
      join.add(eof);
    }
    join.finish();
    if (!good) out.resize(before);
    return good;
  }

 private:
  static constexpr std::string_view kEof = "# EOF\n";
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};

  struct Rendered {
    std::string text;
    std::vector<std::uint32_t> ends;  ///< of each family's part of the text
    std::uint64_t stale = kAll;       ///< families whose part is out of date
    GzipPart packed;
    bool packed_fresh = false;
  };
  /// Neighbouring families whose text is kept together.
  struct Chunk {
    std::vector<std::pair<std::shared_ptr<Family>, OpenMetricsType>> families;
    std::atomic<std::uint64_t> dirty{0};
    std::uint64_t ages = 0;  ///< summaries, which change with time alone
    std::array<Rendered, 2> formats;
  };

  Rendered& refresh(Chunk& chunk, TextFormat format) {
    const std::uint64_t dirty = chunk.dirty.exchange(0, std::memory_order_acquire) | chunk.ages;
    for (Rendered& rendered : chunk.formats) rendered.stale |= dirty;
    Rendered& rendered = chunk.formats[static_cast<std::size_t>(format)];
    if (rendered.stale == 0) return rendered;
    scratch_.clear();
    rendered.ends.resize(chunk.families.size());
    std::size_t begin = 0;
    for (std::size_t i = 0; i < chunk.families.size(); ++i) {
      const std::size_t end = std::exchange(rendered.ends[i], 0);
      const auto& [family, type] = chunk.families[i];
      if ((rendered.stale >> i & 1) != 0) {
        family->render(format, type, scratch_);
      } else {
        scratch_.append(rendered.text, begin, end - begin);
      }
      rendered.ends[i] = static_cast<std::uint32_t>(scratch_.size());
      begin = end;
    }
    rendered.text = scratch_;
    rendered.stale = 0;
    rendered.packed_fresh = false;
    return rendered;
  }

  /// Cuts the families into chunks again if the set of families changed.
  void lay_out() {
    const std::shared_lock lock(index_mutex_);
    if (laid_out_ == layout_) return;
    std::vector<std::shared_ptr<Family>> families;
    families.reserve(index_.size());
    for (const auto& [name, family] : index_) families.push_back(family);
    std::sort(families.begin(), families.end(),
              [](const auto& a, const auto& b) { return a->name() < b->name(); });
    std::vector<std::unique_ptr<Chunk>> chunks;
    for (const std::shared_ptr<Family>& family : families) {
      if (chunks.empty() || chunks.back()->families.size() == kFamiliesPerChunk) {
        chunks.push_back(std::make_unique<Chunk>());
      }
      Chunk& chunk = *chunks.back();
      const auto bit = static_cast<unsigned>(chunk.families.size());
      chunk.families.emplace_back(family, open_metrics_type(*family));
      if (family->type() == MetricType::kSummary) chunk.ages |= std::uint64_t{1} << bit;
      family->set_dirty_flag(&chunk.dirty, bit);
    }
    // Families that left the index were detached by clear(), so the old flags have no users left.
    chunks_ = std::move(chunks);
    laid_out_ = layout_;
  }

  /// In OpenMetrics a counter `x_total` is the family `x`: it cannot be one beside another `x`, nor
  /// where `x` ends in `_total` again.
  [[nodiscard]] OpenMetricsType open_metrics_type(const Family& family) const {
    constexpr std::string_view kTotal = "_total";
    std::string_view name = family.name();
    if (family.type() != MetricType::kCounter) return OpenMetricsType::kAsDeclared;
    if (!name.ends_with(kTotal) || name.size() == kTotal.size()) return OpenMetricsType::kUnknown;
    name.remove_suffix(kTotal.size());
    return name.ends_with(kTotal) || index_.contains(name) ? OpenMetricsType::kUnknown
                                                           : OpenMetricsType::kAsDeclared;
  }

  mutable std::shared_mutex index_mutex_;
  Index index_;
  std::uint64_t layout_ = 1;  // moves with the set of families

  std::mutex render_mutex_;
  std::uint64_t laid_out_ = 0;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::string scratch_;  // one chunk is written here, so that what is kept has no room to spare
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Status Registry::declare(const MetricSpec& metric) { return impl_->declare(metric); }
void Registry::remove(std::string_view name) { impl_->remove(name); }
bool Registry::has(std::string_view name) const { return impl_->find(name) != nullptr; }
bool Registry::has(const MetricSpec& metric) const {
  const auto family = impl_->find(metric.name);
  return family && family->is_declared_as(metric);
}
std::vector<std::string> Registry::names() const { return impl_->names(); }

Result<SeriesHandle> Registry::series(std::string_view name, const Labels& labels) {
  auto family = impl_->find(name);
  if (!family) return Error(Errc::kNotFound, "cannot find metric '" + std::string(name) + "'");
  auto series = family->series(labels);
  if (!series) return std::move(series).error();
  return SeriesHandle(std::move(family), std::move(series).value());
}

Status Registry::record(std::string_view name, const Labels& labels, double value) {
  auto handle = series(name, labels);
  if (!handle) return std::move(handle).error();
  return handle.value().record(value);
}

Status Registry::record_total(std::string_view name, const Labels& labels, double total) {
  auto handle = series(name, labels);
  if (!handle) return std::move(handle).error();
  return handle.value().record_total(total);
}

void Registry::remove_series(std::string_view name, const Labels& labels) {
  if (const auto family = impl_->find(name)) family->remove_series(labels);
}

void Registry::remove_series_with(std::string_view name, std::string_view label,
                                  std::string_view value) {
  if (const auto family = impl_->find(name)) family->remove_series_with(label, value);
}

Result<double> Registry::value(std::string_view name, const Labels& labels) const {
  const auto family = impl_->find(name);
  const auto series = family ? family->find(labels) : nullptr;
  if (!series) {
    return Error(Errc::kNotFound,
                 "cannot find series '" + std::string(name) + label_block({}, labels) + "'");
  }
  return family->value(*series);
}

Result<FamilyTotal> Registry::total(std::string_view name) const {
  const auto family = impl_->find(name);
  if (!family) return Error(Errc::kNotFound, "cannot find metric '" + std::string(name) + "'");
  return family->total();
}

void Registry::render(TextFormat format, std::string& out) const { impl_->render(format, out); }
bool Registry::render_gzip(TextFormat format, std::string& out) const {
  return impl_->render_gzip(format, out);
}

}  // namespace containerpilot::telemetry
