/* requant_scalar.h - fixed-point scaling with 32-bit products alone (internal).
 *
 * The same numbers as nano_requantize() in requant.h, from words that lowering packs for each
 * channel, and only where it proved that this form is exact (nanotool/lower/scalar/limbs.py).
 *
 * Two limbs: |acc| < 2^20, where acc = sum + bias:
 *     scale[0] = bias * 256 + shift     shift = e + u <= 24; e: right shift, at least 1
 *     scale[1] = high * 2^16 + low      F = high * 2^12 + low, -2^11 <= low < 2^11: about
 *                                       M * 2^(u - 19), M the multiplier, Q31
 *     scale[2] = R                      rounding and zero point
 *     q = floor((floor(acc * F / 2^12) + R - 2^u * (acc < 0)) / 2^shift)
 * u, the bits behind the point, is `unit` of the layer or, where negative sums saturate (zero_point
 * is -128), a channel's own. F has fewer bits than M. Lowering chose F and R such that q rises at
 * the very sums at which the reference's does.
 *
 * Four limbs ("wide"): |acc| < 2^23:
 *     scale[0] = bias * 256 + e - 1
 *     scale[1] = M
 *     q = floor((acc * M + 2^30 + 2^31 * ((2 zero_point + 1) * 2^(e-1) - (acc < 0))) / 2^(31+e))
 * where what is right of the point is dropped as limb by limb of 8 bits is added. */
#ifndef NANO_REQUANT_SCALAR_H
#define NANO_REQUANT_SCALAR_H

#include "nano/requant.h"

/* What the sums of a channel have in common. */
typedef struct {
    int32_t bias;
    uint32_t high;
    int32_t low;
    uint32_t round;
    int shift;
} nano_scaling;

typedef struct {
    int32_t bias;
    int32_t limbs[4]; /* of M, lowest first */
    int32_t round;
    int shift;
} nano_scaling_wide;

static inline nano_scaling nano_scaling_of(const int32_t *scale) {
    const nano_scaling s = {scale[0] >> 8, (uint32_t)scale[1] >> 16, (int16_t)scale[1],
                            (uint32_t)scale[2], scale[0] & 31};
    return s;
}

/* offset = 2 * zero_point(out) + 1 */
static inline nano_scaling_wide nano_scaling_wide_of(const int32_t *scale, int32_t offset) {
    const int shift = (scale[0] & 31) + 8;
    const int32_t m = scale[1];
    const nano_scaling_wide s = {scale[0] >> 8,
                                 {m & 255, m >> 8 & 255, m >> 16 & 255, m >> 24},
                                 (int32_t)((uint32_t)offset << (shift - 1)) + 64,
                                 shift};
    return s;
}

/* q * 2^shift of an accumulator, and what stands behind the point, before it is clamped. `below`:
 * 2^unit; 0 where zero_point is -128, since all that is negative saturates there. The parts may
 * wrap, the whole does not. */
static inline int32_t nano_scaled_scalar(int32_t acc, const nano_scaling *s, uint32_t below) {
    const uint32_t low = (uint32_t)(acc * s->low >> 12);
    const uint32_t scaled = (uint32_t)acc * s->high + low + s->round;
    return (int32_t)(below > 0 && acc < 0 ? scaled - below : scaled);
}

/* q of a sum without its bias, before it is clamped. */
static inline int32_t nano_requantize_scalar(int32_t sum, const nano_scaling *s, uint32_t below) {
    return nano_scaled_scalar(sum + s->bias, s, below) >> s->shift;
}

static inline int32_t nano_requantize_wide_scalar(int32_t sum, const nano_scaling_wide *s) {
    const int32_t acc = sum + s->bias;
    const int32_t lowest = acc * s->limbs[0] >> 8;
    const int32_t low = (acc * s->limbs[1] + lowest) >> 8;
    const int32_t middle = (acc * s->limbs[2] + low) >> 8;
    const int32_t scaled = acc * s->limbs[3] + middle - (acc < 0 ? 128 : 0);
    return (scaled + s->round) >> s->shift;
}

#endif
