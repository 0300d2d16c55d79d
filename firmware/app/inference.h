/* inference.h - the model at work: its arena, its newest output. Its input comes from input.h.
 * Which model it is, of several, chosen.h says.
 *
 * If app_model.h defines APP_TRAIN, the model computes features, and the head behind it (head.h)
 * the output; an inference is both.
 *
 * If it defines APP_SAVED_STATE_SIZE, the model has states: an inference is the next step of a
 * sequence. What only measures or looks tries a step: it puts the states back, and as an output may
 * lie in a state's room, it leaves no output. */
#ifndef APP_INFERENCE_H
#define APP_INFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "chosen.h"
#include "input.h"
#include "nano/nano.h"
#ifdef APP_STREAM
#include "nano/stream.h"
#endif

/* Take the arena and make the model ready. Called once. If the answer is not NANO_OK, no other
 * call but inference_status() and inference_model() may follow. */
nano_status inference_init(void);

#ifdef APP_MODEL_COUNT
/* Make model `number` the one that runs, as after inference_init(): nothing is loaded, there is no
 * output, and its states have their initial values. What inference_init() answers. */
nano_status inference_choose(unsigned number);
#endif

/* What inference_init() answered, or inference_choose() since. */
nano_status inference_status(void);

const nano_model *inference_model(void);
uint32_t inference_arena_size(void);

/* What a benchmark calls the model ("kws01", APP_PROFILE); without one the model's name. */
const char *inference_profile(void);

/* The output's shape, scale and type: the model's, or those of the head as it was last quantized.
 */
const nano_tensor *inference_output_tensor(void);

/* Do what has to be done once before inferences, and not in their time. False: the head is not
 * whole. */
bool inference_prepare(void);

/* One inference, one step; the input must be whole, inference_prepare() called. */
void inference_run(void);

/* `count` inferences that warm caches up; each tries the same step. */
void inference_warm_up(uint32_t count);

/* Try a step. Returns the ticks that it took, without the copying in. */
uint32_t inference_time(void);

/* Try a step, with `observer` called around every op. */
void inference_watch(nano_observer observer, void *user);

/* Begin to try a step and run op 0 .. `last` of it (`last` < op_count). The op's output stays valid
 * until inference_finish(), which runs the rest and must follow. */
const int8_t *inference_run_to(uint16_t last);
void inference_finish(void);

/* The newest inference's output; NULL before the first one has ended, after inference_features(),
 * and once the head has changed. */
const int8_t *inference_output(void);

/* Run the model without the head, one step: its output, the features, valid until the next run. */
const int8_t *inference_features(void);

/* Output `index` of the newest inference, as inference_output(); and what it is. */
#ifdef SEVERAL_OUTPUTS
const int8_t *inference_output_at(unsigned index);
const nano_tensor *inference_tensor_at(unsigned index);
#else
static inline const int8_t *inference_output_at(unsigned index) {
    (void)index;
    return inference_output();
}

static inline const nano_tensor *inference_tensor_at(unsigned index) {
    (void)index;
    return inference_output_tensor();
}
#endif

#if defined(SEVERAL_INPUTS) || defined(SEVERAL_OUTPUTS)
/* The one of `count` tensors that `word` means, its number or its name. False: there is none. */
bool inference_find(const nano_tensor *tensors, uint16_t count, const char *word, uint16_t *index);
#endif

#ifdef APP_SAVED_STATE_SIZE
/* What follows is for a model with states, which of several not every one has: SAVED_STATE_SIZE is
 * 0 without.
 *
 * The states as nano_save_state() writes them, SAVED_STATE_SIZE bytes, valid until the next step is
 * tried. */
const uint8_t *inference_state(void);

/* Give every state its initial value: the next inference is the first step of a sequence. */
void inference_reset(void);

/* Take states over that come piece by piece. inference_begin_put() begins; inference_put() takes
 * `size` bytes that the caller has checked to fit, and answers NANO_MORE or, after the last one,
 * what nano_load_state() says: the states are as they were until then, and if it refuses. Trying a
 * step gives a put up. */
void inference_begin_put(void);
nano_status inference_put(const uint8_t *bytes, uint32_t size);

/* Bytes that have come of a put; SAVED_STATE_SIZE: none is awaited. */
uint32_t inference_put_done(void);
#endif

#ifdef APP_STREAM
/* Of several models, does this one listen? Else none of the calls below may follow. */
bool inference_listens(void);

/* Begin a stream: everything before is forgotten. Whatever else runs the model, or touches its
 * states, ends it. */
void inference_stream_begin(void);
bool inference_streaming(void);

/* Take samples, any number; only while streaming. The output is then the newest step's. */
void inference_stream_feed(const int16_t *samples, uint32_t n);

/* Since the beginning, modulo 2^32: samples, decisions, and the ticks that they took. */
void inference_stream_count(uint32_t *samples, uint32_t *decisions, uint32_t *ticks);

/* The stream itself, for what its newest step decided. */
const nano_stream *inference_stream(void);
#endif

#endif
