/* fixed.h - the integer arithmetic of training: random numbers, factors, rounding by chance
 * (internal). The same results on every target; nanotool/training/fixed.py is its twin. */
#ifndef NANO_TRAIN_FIXED_H
#define NANO_TRAIN_FIXED_H

#include <stdint.h>

/* A real factor >= 0: mantissa * 2^(exponent - 32), the mantissa's top bit set, or 0. */
typedef struct {
    uint32_t mantissa;
    int32_t exponent;
} nano_train_factor;

/* The rounding word that rounds to nearest, halves away from zero. */
#define NANO_TRAIN_NEAREST 0x7FFFFFFFu

/* The next 32 random bits; see docs/training.md. */
uint32_t nano_train_random(uint32_t *state);

/* A number of 0 .. count - 1 by chance; count > 0. */
uint32_t nano_train_random_below(uint32_t *state, uint32_t count);

/* The bits of a float, and the float of bits: no arithmetic. */
uint32_t nano_train_float_bits(float value);
float nano_train_float_of(uint32_t bits);

/* mantissa * 2^exponent; the magnitude of a finite float; a quotient of whole numbers. */
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

/* value * factor, away from zero if the part cut off, in units of 2^-32, exceeds `random`: with
 * random bits, right on average. Saturates at +-(2^31 - 1). */
int32_t nano_train_scale(int32_t value, nano_train_factor factor, uint32_t random);

/* a + b, saturating at +-(2^30 - 1), so that differences fit. */
int32_t nano_train_add(int32_t a, int32_t b);

/* Least n with 2^n >= count; count > 0. */
uint32_t nano_train_log2_ceiling(uint32_t count);

/* exp(-distance / 2^16) * 2^30, within 2^-22 relatively and half a unit. */
uint32_t nano_train_exp(uint32_t distance);

/* log(value / 2^bits) * 2^20 for value >= 2^bits, within one unit. */
int32_t nano_train_log(uint32_t value, uint32_t bits);

#endif
