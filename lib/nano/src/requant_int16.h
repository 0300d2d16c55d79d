/* requant_int16.h - fixed-point scaling of 64-bit sums to int16 (internal); docs/numerics.md. */
#ifndef NANO_REQUANT_INT16_H
#define NANO_REQUANT_INT16_H

#include "nano/requant.h"

/* round(acc * multiplier / 2^right), halves up, modulo 2^32; |acc| < 2^47, multiplier: 0..2^15 - 1,
 * right: 8..46. Of 32-bit pieces, for cores without 64-bit shifts. */
static inline int32_t nano_scale_int64(int64_t acc, int32_t multiplier, int right) {
    uint32_t high, low;
    nano_wide_product((uint32_t)(uint64_t)acc, (uint32_t)multiplier, &high, &low);
    high += (uint32_t)((uint64_t)acc >> 32) * (uint32_t)multiplier;
    if (right > 32) {
        high += (uint32_t)1 << (right - 33);
        return (int32_t)high >> (right - 32);
    }
    const uint32_t half = (uint32_t)1 << (right - 1);
    low += half;
    high += low < half; /* carry */
    return (int32_t)(right == 32 ? high : high << (32 - right) | low >> right);
}

static inline int16_t nano_clamp_int16(int32_t value, int32_t low, int32_t high) {
    return (int16_t)(value < low ? low : value > high ? high : value);
}

/* q = clamp(scale(acc), min, max) for output channel `channel`. */
static inline int16_t nano_requantize_int16(int64_t acc, const nano_requant_int16 *requant,
                                            uint32_t channel) {
    const uint32_t i = requant->per_channel ? channel : 0;
    const int32_t q = nano_scale_int64(acc, requant->multiplier[i], 15 - requant->shift[i]);
    return nano_clamp_int16(q, requant->min, requant->max);
}

/* Sum of n products, 2^31 at most in chunks of fewer than 2^9. */
static inline int64_t nano_dot_int16(const int16_t *in, const int8_t *w, uint32_t n) {
    int64_t total = 0;
    while (n > 0) {
        const uint32_t chunk = n < 256 ? n : 256;
        int32_t sum = 0;
        for (uint32_t i = 0; i < chunk; i++)
            sum += in[i] * w[i];
        total += sum;
        in += chunk;
        w += chunk;
        n -= chunk;
    }
    return total;
}

#endif
