/* digits.h - the model. Made by nanotool 0.1.0; do not edit.
 *
 * model    digits, hash 8100f144369184df
 * source   torch: DigitsNet
 * options  target pie, optimize speed
 * options  target mac16, optimize speed
 * options  target armv81m, optimize speed
 * options  target scalar, optimize speed
 * options  target armv7em, optimize speed
 * options  target portable, optimize speed
 * input    28x28x1 int8, real = 0.00392157 * (q + 128)
 * output   10 int8, real = 0.192271 * (q - 21)
 * classes  0 0, 1 1, 2 2, 3 3, 4 4, 5 5, 6 6, 7 7, 8 8, 9 9
 * cost     290,080 MAC, 9,568 bytes of weights, 6,324 bytes of arena (pie)
 * cost     290,080 MAC, 18,568 bytes of weights, 6,324 bytes of arena (mac16)
 * cost     290,080 MAC, 11,104 bytes of weights, 6,336 bytes of arena (armv81m)
 * cost     290,080 MAC, 9,432 bytes of weights, 6,308 bytes of arena (scalar)
 * cost     290,080 MAC, 9,552 bytes of weights, 7,272 bytes of arena (armv7em)
 * cost     290,080 MAC, 9,370 bytes of weights, 1,660 bytes of arena (portable) */
#ifndef DIGITS_H
#define DIGITS_H

#include "nano/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of arena that the model takes, for tensors and scratch: the size of a buffer for
 * an arena (aligned to NANO_ALIGN) that holds nothing else. */
#if NANO_PIE  /* target pie */

#define DIGITS_ARENA_SIZE 6324u

#elif NANO_MAC16  /* target mac16 */

#define DIGITS_ARENA_SIZE 6324u

#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)  /* target armv81m */

#define DIGITS_ARENA_SIZE 6336u

#elif defined(__XTENSA__) || defined(__riscv) || (defined(__arm__) && !defined(__ARM_FEATURE_DSP))  /* target scalar */

#define DIGITS_ARENA_SIZE 6308u

#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP  /* target armv7em */

#define DIGITS_ARENA_SIZE 7272u

#else  /* target portable */

#define DIGITS_ARENA_SIZE 1660u

#endif

/* Bytes of the input and of the output. */
#define DIGITS_INPUT_SIZE 784u
#define DIGITS_OUTPUT_SIZE 10u

/* real = scale * (q - zero_point); nano/values.h computes it. */
#define DIGITS_INPUT_SCALE 0.00392156886f
#define DIGITS_INPUT_ZERO_POINT (-128)
#define DIGITS_OUTPUT_SCALE 0.192271173f
#define DIGITS_OUTPUT_ZERO_POINT 21

/* The classes' names, in order: static const char *const labels[] = DIGITS_LABELS; */
#define DIGITS_LABEL_COUNT 10u
#define DIGITS_LABELS \
    { \
        "0", \
        "1", \
        "2", \
        "3", \
        "4", \
        "5", \
        "6", \
        "7", \
        "8", \
        "9", \
    }

extern const nano_model digits_model;

#ifdef __cplusplus
}
#endif
#endif
