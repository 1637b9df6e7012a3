#include <map>
#include <mutex>
#include <shared_mutex>

#include "containerpilot/telemetry/server.h"

namespace containerpilot::telemetry {

class Documents::Impl {
 public:
  void publish(const std::string& path, Document document) {
    // Real time on purpose: it is read by threads that know nothing of the loop's clock.
    const auto now = std::chrono::steady_clock::now();
    auto entry = Entry{std::make_shared<const Document>(std::move(document)), now};
    const std::unique_lock lock(mutex_);
    entries_.insert_or_assign(path, std::move(entry));
  }

  void withdraw(const std::string& path) {
    const std::unique_lock lock(mutex_);
    entries_.erase(path);
  }

  std::shared_ptr<const Document> find(std::string_view path) const {
    const std::shared_lock lock(mutex_);
    const auto found = entries_.find(path);
    if (found == entries_.end()) return nullptr;
    const auto& [document, published] = found->second;
    if (document->valid_for > Duration(0) &&
        std::chrono::steady_clock::now() - published > document->valid_for) {
      return std::make_shared<const Document>(
          Document{503, "text/plain; charset=utf-8", "the event loop does not turn\n"});
    }
    return document;
  }

 private:
  struct Entry {
    std::shared_ptr<const Document> document;
    std::chrono::steady_clock::time_point published;
  };
  mutable std::shared_mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
};

Documents::Documents() : impl_(std::make_unique<Impl>()) {}
Documents::~Documents() = default;
void Documents::publish(const std::string& path, Document document) {
  impl_->publish(path, std::move(document));
}
void Documents::withdraw(const std::string& path) { impl_->withdraw(path); }
std::shared_ptr<const Document> Documents::find(std::string_view path) const {
  return impl_->find(path);
}

}  // namespace containerpilot::telemetry
