/* small.h - a model with kernels of its own, so that the console's tests depend on no other.
 *
 *     op 0  flip  out[i] = ~in[i], 10x30x1 -> 10x30x1, in place
 *     op 1  head  out[i] = in[i],  10x30x1 -> 4
 *
 * The input is longer than one frame, and its room in the arena is overwritten at once. */
#ifndef SMALL_H
#define SMALL_H

#include "nano/model.h"

#define SMALL_INPUT_SIZE 300
#define SMALL_OUTPUT_SIZE 4
#define SMALL_ARENA_SIZE 304

extern const nano_model small_model;

#endif
