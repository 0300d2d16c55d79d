#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace esphome {
namespace microphone {

class MicrophoneSource {
 public:
  template<typename F> void add_data_callback(F &&callback) { this->callback = std::forward<F>(callback); }
  void start() { this->started++; }
  void stop() { this->stopped++; }

  std::function<void(const std::vector<uint8_t> &)> callback;
  int started{0}, stopped{0};
};

}  // namespace microphone
}  // namespace esphome
