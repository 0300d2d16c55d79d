/* chosen.h - the model that the app works with: the one that app_model.h names, APP_MODEL; or, of
 * the several that it lists, the one that the console chose.
 *
 *     APP_MODEL_COUNT   how many there are; without it there is one, and nothing to choose
 *     APP_MODELS        their const nano_models' addresses, in the order of their numbers
 *     APP_STATE_SIZES   bytes of each that keep their values; if any model has states
 *     APP_STREAMS       the addresses of their const nano_stream_params, NULL for one that does not
 *     APP_SAMPLE_RATES  listen, and samples a second of each; if any model listens
 *
 * All other sizes and counts of app_model.h are then the largest of any model: they take turns in
 * one arena, one input buffer and one copy of states. */
#ifndef APP_CHOSEN_H
#define APP_CHOSEN_H

#include <stdbool.h>
#include <stdint.h>

#include "app_model.h"
#include "nano/model.h"

/* Defined by app_model.h where there are several. */
#ifndef APP_INPUT_COUNT
#define APP_INPUT_COUNT 1u
#endif
#ifndef APP_OUTPUT_COUNT
#define APP_OUTPUT_COUNT 1u
#endif

#ifdef APP_MODEL_COUNT

#define APP_MODEL (*chosen_model())
#define INPUT_COUNT chosen_model()->input_count
#define OUTPUT_COUNT chosen_model()->output_count
#define STATE_SIZE chosen_state_size()
#define SAVED_STATE_SIZE ((uint32_t)nano_saved_state_size(chosen_model()))

/* Model `number`, below APP_MODEL_COUNT; and the chosen one. */
const nano_model *chosen_at(unsigned number);
const nano_model *chosen_model(void);
unsigned chosen_number(void);

/* Choose model `number`, below APP_MODEL_COUNT; inference.h makes it ready. */
void chosen_set(unsigned number);

/* Bytes of the chosen model's arena that keep their values; 0 if it has no states. */
uint32_t chosen_state_size(void);

#ifdef APP_STREAMS
#include "nano/stream.h"

#define APP_STREAM (*chosen_stream())
#define APP_SAMPLE_RATE chosen_sample_rate()

/* The chosen model's stream, and samples a second; NULL and 0 if it does not listen. */
const nano_stream_params *chosen_stream(void);
uint32_t chosen_sample_rate(void);
#endif

#else

#define INPUT_COUNT APP_INPUT_COUNT
#define OUTPUT_COUNT APP_OUTPUT_COUNT
#define STATE_SIZE APP_STATE_SIZE
#define SAVED_STATE_SIZE APP_SAVED_STATE_SIZE

#endif

/* Where not every model has one input, or one output. */
#if APP_INPUT_COUNT > 1 || defined(APP_MODEL_COUNT)
#define SEVERAL_INPUTS
#endif
#if APP_OUTPUT_COUNT > 1 || defined(APP_MODEL_COUNT)
#define SEVERAL_OUTPUTS
#endif

#endif
