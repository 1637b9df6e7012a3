#include <containerpilot/supervisor/reactor.h>

#include <chrono>

int main() {
  auto loop = containerpilot::EpollReactor::create();
  if (!loop.has_value()) return 1;
  bool fired = false;
  const auto timer = loop.value()->after(std::chrono::milliseconds(1), [&] {
    fired = true;
    loop.value()->stop();
  });
  loop.value()->run();
  return fired ? 0 : 1;
}
