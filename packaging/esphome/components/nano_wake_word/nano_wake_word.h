/* nano_wake_word.h - a wake word without an interpreter, for ESPHome.
 *
 * The microphone's task writes samples into a ring; loop() takes them to features, model and rule. */
#pragma once

#include <string>
#include <vector>

#include "esphome/components/microphone/microphone_source.h"
#include "esphome/core/automation.h"
#include "esphome/core/component.h"
#include "nano/stream.h"

namespace esphome {
namespace nano_wake_word {

class NanoWakeWord : public Component {
 public:
  void setup() override;
  void loop() override;
  void dump_config() override;
  float get_setup_priority() const override { return setup_priority::AFTER_CONNECTION; }

  void set_microphone_source(microphone::MicrophoneSource *source) { this->source_ = source; }
  void set_stop_after_detection(bool stop) { this->stop_after_detection_ = stop; }
  Trigger<std::string> *get_wake_word_detected_trigger() { return &this->detected_; }

  /// Listen from now on, as if nothing had been heard before.
  void start();
  void stop();
  bool is_running() const { return this->running_; }

 protected:
  static void on_step_(void *self, const nano_stream *stream, size_t decisions);

  microphone::MicrophoneSource *source_{nullptr};
  Trigger<std::string> detected_;
  nano_stream stream_{};
  nano_ring ring_{};
  bool stop_after_detection_{true};
  bool running_{false};
};

template<typename... Ts> class StartAction : public Action<Ts...>, public Parented<NanoWakeWord> {
 public:
  void play(const Ts &...) override { this->parent_->start(); }
};

template<typename... Ts> class StopAction : public Action<Ts...>, public Parented<NanoWakeWord> {
 public:
  void play(const Ts &...) override { this->parent_->stop(); }
};

template<typename... Ts> class IsRunningCondition : public Condition<Ts...>, public Parented<NanoWakeWord> {
 public:
  bool check(const Ts &...) override { return this->parent_->is_running(); }
};

}  // namespace nano_wake_word
}  // namespace esphome
