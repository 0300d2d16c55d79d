/* rate.c - the learning rate's factor, in integers: 2^31 is 1. */
#include "work.h"

#include "nano/requant.h"

#define ONE 0x80000000u

/* a * b, to nearest */
static uint32_t product(uint32_t a, uint32_t b) {
    uint32_t high, low;
    nano_wide_product(a, b, &high, &low);
    const uint32_t rounded = low + 0x40000000u;
    high += rounded < low;
    return high << 1 | rounded >> 31;
}

/* a / b for a < b, cut off */
static uint32_t quotient(uint32_t a, uint32_t b) {
    uint32_t result = 0;
    for (int i = 0; i < 31; i++) {
        const uint32_t left = b - a; /* 2a >= b, without overflow */
        result <<= 1;
        if (a >= left) {
            a -= left;
            result |= 1u;
        } else {
            a <<= 1;
        }
    }
    return result;
}

static uint32_t power(uint32_t base, uint32_t exponent) {
    uint32_t result = ONE;
    for (; exponent != 0; exponent >>= 1) {
        if (exponent & 1u)
            result = product(result, base);
        base = product(base, base);
    }
    return result;
}

/* sin(pi x / 2) for 0 <= x <= 1, Taylor to x^13: within 2^-29. */
static uint32_t quarter_sine(uint32_t x) {
    static const uint32_t taylor[7] = {/* (pi/2)^(2k+1) / (2k+1)! * 2^30 */
                                       1686629713u, 693598668u, 85569306u, 5026995u,
                                       172272u,     3864u,      61u};
    const uint32_t square = product(x, x);
    uint32_t sum = taylor[6];
    for (int k = 5; k >= 0; k--) /* the partial sums are positive: the terms fall */
        sum = taylor[k] - product(sum, square);
    const uint32_t sine = product(sum, x); /* 2^-30 */
    return sine >= ONE / 2 ? ONE : sine << 1;
}

/* (1 + cos(pi t / period)) / 2 = 1 - sin^2(pi t / (2 period)) */
static uint32_t cosine(uint32_t t, uint32_t period) {
    if (t >= period)
        return 0;
    const uint32_t sine = quarter_sine(quotient(t, period));
    return ONE - product(sine, sine);
}

/* A float of 0..1 as a factor, cut off. */
static uint32_t fraction_of(float value) {
    const nano_train_factor factor = nano_train_factor_of_float(value);
    const int32_t right = 1 - factor.exponent;
    return right > 31 ? 0 : factor.mantissa >> right;
}

uint32_t nano_train_rate_factor(const nano_train_recipe *recipe, uint32_t step) {
    if (step < recipe->warmup)
        return step + 1 == recipe->warmup ? ONE : quotient(step + 1, recipe->warmup);
    const uint32_t t = step - recipe->warmup;
    switch (recipe->schedule) {
    case NANO_TRAIN_STEP:
        return power(fraction_of(recipe->gamma), t / recipe->period);
    case NANO_TRAIN_COSINE:
        return cosine(t, recipe->period);
    case NANO_TRAIN_CONSTANT:
        break;
    }
    return ONE;
}
