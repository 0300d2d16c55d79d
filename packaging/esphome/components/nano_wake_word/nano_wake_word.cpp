#include "nano_wake_word.h"

#include "esphome/core/log.h"
#include "nano_wake_word_model.h"

namespace esphome {
namespace nano_wake_word {

static const char *const TAG = "nano_wake_word";

/* Half a second: what loop() may be late. */
static constexpr uint32_t RING = 8192;

/* Of the one wake word that a configuration has. */
NANO_ALIGNED static uint8_t arena_bytes[APP_STREAM_ARENA_SIZE];
static int16_t samples[RING];

#ifdef NANO_WAKE_WORD_LABELS
static const char *const LABELS[] = NANO_WAKE_WORD_LABELS;
static std::string name_of(uint16_t index) { return LABELS[index]; }
#else
static std::string name_of(uint16_t index) { return std::to_string(index); }
#endif

void NanoWakeWord::setup() {
  nano_arena arena;
  nano_arena_init(&arena, arena_bytes, sizeof arena_bytes);
  const nano_status status = nano_stream_init(&this->stream_, &APP_STREAM, &arena);
  if (status != NANO_OK || nano_ring_init(&this->ring_, samples, RING) != NANO_OK) {
    ESP_LOGE(TAG, "The model: %s", nano_status_text(status));
    this->mark_failed();
    return;
  }
  nano_stream_listen(&this->stream_, NanoWakeWord::on_step_, this);
  this->source_->add_data_callback([this](const std::vector<uint8_t> &data) {
    if (this->running_)
      nano_ring_write(&this->ring_, reinterpret_cast<const int16_t *>(data.data()), data.size() / 2);
  });
}

void NanoWakeWord::start() {
  if (this->is_failed() || this->running_)
    return;
  /* Nobody writes now: what lies in the ring is of before. */
  nano_ring_init(&this->ring_, samples, RING);
  nano_stream_reset(&this->stream_);
  this->running_ = true;
  this->source_->start();
}

void NanoWakeWord::stop() {
  if (!this->running_)
    return;
  this->running_ = false;
  this->source_->stop();
}

void NanoWakeWord::loop() {
  if (this->running_)
    nano_stream_pull(&this->stream_, &this->ring_);
}

void NanoWakeWord::on_step_(void *self, const nano_stream *stream, size_t decisions) {
  NanoWakeWord *const word = static_cast<NanoWakeWord *>(self);
  for (size_t i = 0; i < decisions && word->running_; i++) {
    const std::string name = name_of(stream->decider.made[i].index);
    ESP_LOGD(TAG, "Heard '%s'", name.c_str());
    if (word->stop_after_detection_)
      word->stop();
    word->detected_.trigger(name);
  }
}

void NanoWakeWord::dump_config() {
  ESP_LOGCONFIG(TAG, "nano_wake_word: %s, %u bytes of arena", APP_MODEL.name,
                static_cast<unsigned>(APP_STREAM_ARENA_SIZE));
}

}  // namespace nano_wake_word
}  // namespace esphome
