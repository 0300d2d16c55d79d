/* app_model.h - the model of the fuzzed app: one op, and a trainable head behind it.
 *
 *     op 0  features  out[i] = in[i], 300 -> 8: the input is longer than one frame
 *     stream  10 frames of 30 features, a step every 3; the front end makes a frame of 16 samples
 *     head  8 -> 5 -> 3, at most 4 classes; int16, momentum; 6 samples of replay; class means */
#ifndef APP_MODEL_H
#define APP_MODEL_H

#include "nano/model.h"
#include "nano/stream.h"
#include "nano/train.h"

extern const nano_model fuzz_model;
extern const nano_train_config fuzz_train;
extern const nano_stream_params fuzz_stream;

#define APP_MODEL fuzz_model
#define APP_ARENA_SIZE 312u
#define APP_INPUT_SIZE 300u
#define APP_OUTPUT_SIZE 8u

#define APP_STREAM fuzz_stream
#define APP_STREAM_ARENA_SIZE 2048u
#define APP_SAMPLE_RATE 16000u

#define APP_TRAIN fuzz_train
#define APP_TRAIN_ARENA_SIZE                                                                       \
    (NANO_TRAIN_ARENA_SIZE(2u, 8u, 5u, 4u, 5u, 2u, 60u, 1u, 6u, 1u) +                              \
     NANO_TRAIN_ANOMALY_SIZE(1u, 8u, 6u))

#endif
