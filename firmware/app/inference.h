/* inference.h - the model at work: its arena, its newest output. Its input comes from input.h.
 *
 * If app_model.h defines APP_TRAIN, the model computes features, and the head behind it (head.h)
 * the output; an inference is both. */
#ifndef APP_INFERENCE_H
#define APP_INFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "nano/nano.h"

/* Take the arena and make the model ready. Called once. If the answer is not NANO_OK, no other
 * call but inference_status() and inference_model() may follow. */
nano_status inference_init(void);

/* What inference_init() answered. */
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

/* One inference; the input must be whole, inference_prepare() called. */
void inference_run(void);

/* As inference_run(). Returns the ticks that it took, without the copying in. */
uint32_t inference_time(void);

/* As inference_run(), with `observer` called around every op. */
void inference_watch(nano_observer observer, void *user);

/* Keep the model's states, and put them back: around what runs a step again, to warm up or to look
 * at it, so that it does not count as one. Nothing for a model without states. */
void inference_keep_states(void);
void inference_restore_states(void);

/* Begin an inference and run op 0 .. `last` of it (`last` < op_count). The op's output stays valid
 * until inference_finish(), which runs the rest and must follow. */
const int8_t *inference_run_to(uint16_t last);
void inference_finish(void);

/* The newest inference's output; NULL before the first one has ended, after inference_features(),
 * and once the head has changed. */
const int8_t *inference_output(void);

/* Run the model without the head: its output, the features, valid until the next run. */
const int8_t *inference_features(void);

#endif
