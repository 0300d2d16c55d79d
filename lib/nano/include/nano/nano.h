/* nano.h - int8 inference for microcontrollers: C99, no heap, weights in flash.
 *
 *     NANO_ALIGNED static uint8_t bytes[DIGITS_ARENA_SIZE];     // from the generated digits.h
 *     nano_arena arena;
 *     nano_net net;
 *     nano_arena_init(&arena, bytes, sizeof bytes);
 *     nano_init(&net, &digits_model, &arena);
 *     memcpy(nano_input(&net), image, digits_model.inputs[0].size);
 *     nano_run(&net);
 *     use(nano_output(&net));
 *
 * Beside it, for those who ask: nano/values.h, floats in, floats and classes out; nano/stream.h,
 * from a sensor's samples to decisions; nano/nano.hpp, the same for C++; nano/ops.h, the kernels
 * and their parameters, for generated sources; nano/sequential.h, models built at run time;
 * nano/train.h, training on the device. */
#ifndef NANO_H
#define NANO_H

#include "nano/arena.h"
#include "nano/config.h"
#include "nano/model.h"
#include "nano/status.h"

#endif
