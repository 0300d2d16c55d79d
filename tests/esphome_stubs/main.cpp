/* main.cpp - samples from standard input, 160 at a time, as a microphone's; what is heard is printed.
 *
 *     program [stop]     `stop`: as with stop_after_detection */
#include <cstdio>
#include <cstring>

#include "nano_wake_word.h"

using namespace esphome;

int main(int argc, char **argv) {
  microphone::MicrophoneSource ears;
  nano_wake_word::NanoWakeWord word;
  nano_wake_word::StartAction<> start;
  nano_wake_word::StopAction<> stop;
  nano_wake_word::IsRunningCondition<> running;
  start.set_parent(&word);
  stop.set_parent(&word);
  running.set_parent(&word);
  word.set_microphone_source(&ears);
  word.set_stop_after_detection(argc > 1 && std::strcmp(argv[1], "stop") == 0);
  word.get_wake_word_detected_trigger()->heard = [](const std::string &name) { std::printf("%s\n", name.c_str()); };
  word.setup();
  word.dump_config();
  std::vector<uint8_t> data(320);
  ears.callback(data);  // before the start: not heard
  start.play();
  while (std::fread(data.data(), 1, data.size(), stdin) == data.size()) {
    ears.callback(data);
    word.loop();
  }
  const bool still = running.check();
  stop.play();
  std::printf("%s, started %d, stopped %d\n", still ? "listening" : "silent", ears.started, ears.stopped);
  return word.is_failed();
}
