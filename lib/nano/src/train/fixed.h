/* fixed.h - the integer arithmetic of training: random numbers, factors, rounding by chance
 * (internal). The same results on every target; tests/python/training_twins/fixed.py is its twin.
 */
#ifndef NANO_TRAIN_FIXED_H
#define NANO_TRAIN_FIXED_H

#include <stdint.h>

#include "nano/requant.h"

/* A real factor >= 0: mantissa * 2^(exponent - 32), the mantissa's top bit set, or 0. */
typedef struct {
    uint32_t mantissa;
    int32_t exponent;
} nano_train_factor;

/* The next 32 random bits; see docs/training.md. */
static inline uint32_t nano_train_random(uint32_t *state) {
    *state += 0x9E3779B9u;
    uint32_t x = *state;
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

/* A number of 0 .. count - 1 by chance; count > 0. */
uint32_t nano_train_random_below(uint32_t *state, uint32_t count);

/* The bits of a float, and the float of bits: no arithmetic. */
uint32_t nano_train_float_bits(float value);
float nano_train_float_of(uint32_t bits);

/* mantissa * 2^exponent; the magnitude of a finite float. */
nano_train_factor nano_train_factor_of(uint32_t mantissa, int32_t exponent);
nano_train_factor nano_train_factor_of_float(float value);

/* a * b (cut off), a / b (cut off, b not 0), a + b (cut off), sqrt(a) (cut off). */
nano_train_factor nano_train_times(nano_train_factor a, nano_train_factor b);
nano_train_factor nano_train_over(nano_train_factor a, nano_train_factor b);
nano_train_factor nano_train_plus(nano_train_factor a, nano_train_factor b);
nano_train_factor nano_train_root(nano_train_factor a);
int nano_train_less(nano_train_factor a, nano_train_factor b);

/* a * 2^exponent */
static inline nano_train_factor nano_train_shifted(nano_train_factor a, int32_t exponent) {
    a.exponent += exponent;
    return a;
}

/* value * factor to nearest, halves away from zero. Saturates at +-(2^31 - 1). */
int32_t nano_train_scale_to_nearest(int32_t value, nano_train_factor factor);

/* a + b, saturating at +-(2^30 - 1), so that differences fit. */
int32_t nano_train_add(int32_t a, int32_t b);

/* Least n with 2^n >= count; count > 0. */
uint32_t nano_train_log2_ceiling(uint32_t count);

/* exp(-distance / 2^16) * 2^30, within 2^-22 relatively and half a unit. */
uint32_t nano_train_exp(uint32_t distance);

/* log(value / 2^bits) * 2^20 for value >= 2^bits, within one unit. */
int32_t nano_train_log(uint32_t value, uint32_t bits);

#endif
