/* inference.h - the model at work: its arena, its input buffer, its newest output.
 *
 * The input buffer stands outside the arena, because a model may reuse its input's room while it
 * runs; it is copied in before every inference. */
#ifndef APP_INFERENCE_H
#define APP_INFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "nano/nano.h"

/* Take the arena and make the model ready. Called once. If the answer is not NANO_OK, no other
 * call but inference_status(), inference_model() and the input's may follow. */
nano_status inference_init(void);

/* What inference_init() answered. */
nano_status inference_status(void);

const nano_model *inference_model(void);
uint32_t inference_arena_size(void);

/* The input buffer: model->input.size bytes, of which the first input_loaded() are valid. */
const uint8_t *input_bytes(void);
uint32_t input_loaded(void);
bool input_whole(void);

/* Is a load under way? True from input_begin() until the input is whole. */
bool input_open(void);

/* Begin a load: what was loaded is void. */
void input_begin(void);

/* Append `size` bytes. The caller has checked that a load is open and that they fit. */
void input_append(const uint8_t *bytes, uint32_t size);

/* One inference; the input must be whole. */
void inference_run(void);

/* As inference_run(). Returns the ticks that it took, without the copying in. */
uint32_t inference_time(void);

/* As inference_run(), with `observer` called around every op. */
void inference_watch(nano_observer observer, void *user);

/* Begin an inference and run op 0 .. `last` of it (`last` < op_count). The op's output stays valid
 * until inference_finish(), which runs the rest and must follow. */
const int8_t *inference_run_to(uint16_t last);
void inference_finish(void);

/* The newest inference's output; NULL before the first one has ended. */
const int8_t *inference_output(void);

#endif
