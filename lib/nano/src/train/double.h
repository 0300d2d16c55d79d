/* double.h - positive double-precision numbers in integers, for the few that quantization needs on
 * any core: rounded to nearest, ties to even, 53 bits, as IEEE 754 does (internal).
 *
 * 64-bit numbers are shifted by constants only: the compilers' helpers for more are not
 * everywhere. */
#ifndef NANO_TRAIN_DOUBLE_H
#define NANO_TRAIN_DOUBLE_H

#include <stdint.h>

/* mantissa * 2^exponent, 2^52 <= mantissa < 2^53; or 0, 0. */
typedef struct {
    uint64_t mantissa;
    int32_t exponent;
} nano_train_double;

/* mantissa * 2^exponent, exact: mantissa < 2^53. */
nano_train_double nano_train_double_of(uint64_t mantissa, int32_t exponent);

/* A finite float > 0 that is not subnormal. */
nano_train_double nano_train_double_of_float(float value);

/* a * b, exact: of two whole numbers, below 2^53; of two floats as nano_train_double_of_float()
 * takes them. */
nano_train_double nano_train_double_whole_product(uint32_t a, uint32_t b);
nano_train_double nano_train_double_product(float a, float b);

/* a / b; b is not 0. */
nano_train_double nano_train_double_ratio(nano_train_double a, nano_train_double b);

int nano_train_double_less(nano_train_double a, nano_train_double b);

/* To nearest, ties to even; below the least normal float it is that one. */
float nano_train_double_to_float(nano_train_double a);

/* To nearest, ties to even; at most `limit` < 2^31. */
uint32_t nano_train_double_to_integer(nano_train_double a, uint32_t limit);

/* multiplier * 2^(shift - 31) by TensorFlow Lite's QuantizeMultiplier: multiplier in [2^30, 2^31)
 * or 0, shift of -31..30. Returns 0 if a shift is too large. */
int nano_train_double_to_multiplier(nano_train_double a, int32_t *multiplier, int8_t *shift);

#endif
