/* app.h - stands in for app_model.h where the app's sources are compiled once more, for a model
 * with a trainable head.
 *
 *     op 0  halve  out[i] = in[i] / 2, 8 -> 8, the features
 *     head  8 -> 5 -> 3, at most 4 classes; int16, momentum; 6 samples of replay; class means */
#ifndef APP_MODEL_H
#define APP_MODEL_H

#include "nano/model.h"
#include "nano/train.h"

#define HALVES_SIZE 8u

extern const nano_model halves_model;
extern const nano_train_config halves_train;

#define APP_MODEL halves_model
#define APP_ARENA_SIZE 16u
#define APP_INPUT_SIZE HALVES_SIZE
#define APP_OUTPUT_SIZE HALVES_SIZE

#define APP_TRAIN halves_train
#define APP_TRAIN_ARENA_SIZE                                                                       \
    (NANO_TRAIN_ARENA_SIZE(2u, 8u, 5u, 4u, 5u, 2u, 60u, 1u, 6u, 1u) +                              \
     NANO_TRAIN_ANOMALY_SIZE(1u, 8u, 6u))

#define board_baud fake_baud
#define board_core_hz fake_core_hz
#define board_flush fake_flush
#define board_image fake_image
#define board_memory fake_memory
#define board_micros fake_micros
#define board_name fake_name
#define board_reset fake_reset
#define board_store fake_store
#define board_tick_hz fake_tick_hz
#define board_tick_source fake_tick_source
#define board_ticks fake_ticks

#endif
