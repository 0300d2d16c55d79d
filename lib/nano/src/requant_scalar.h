/* requant_scalar.h - fixed-point scaling with 32-bit products alone (internal).
 *
 * The same numbers as nano_requantize() in requant.h, from a pair of words a channel that lowering
 * packs, and only where it proved that this form is exact (nanotool/lower/scalar/pack.py):
 *     scale[0] = bias * 256 + e - 1    |bias| < 2^23; e: right shift, at least 1
 *     scale[1] = M                     the multiplier, Q31
 * docs/numerics.md derives
 *     q = floor((acc * M + 2^30 + 2^31 * ((2 zero_point + 1) * 2^(e-1) - (acc < 0))) / 2^(31+e))
 * where acc * M is summed limb by limb of M, and what is right of the point is dropped each time:
 * floor(acc * M / 2^22) from three limbs of 11 bits where |acc| < 2^20, floor(acc * M / 2^24) from
 * four of 8 bits where |acc| < 2^23 ("wide"). */
#ifndef NANO_REQUANT_SCALAR_H
#define NANO_REQUANT_SCALAR_H

#include "requant.h"

/* What the sums of a channel have in common. */
typedef struct {
    int32_t bias;
    int32_t limbs[4]; /* of M, lowest first; three if not wide */
    int32_t round;
    int shift;
} nano_scaling;

/* offset = 2 * zero_point(out) + 1 */
static inline nano_scaling nano_scaling_of(const int32_t *scale, int32_t offset) {
    const int shift = (scale[0] & 31) + 10;
    const int32_t m = scale[1];
    const nano_scaling s = {scale[0] >> 8,
                            {m & 2047, m >> 11 & 2047, m >> 22, 0},
                            (int32_t)((uint32_t)offset << (shift - 1)) + 256,
                            shift};
    return s;
}

static inline nano_scaling nano_scaling_of_wide(const int32_t *scale, int32_t offset) {
    const int shift = (scale[0] & 31) + 8;
    const int32_t m = scale[1];
    const nano_scaling s = {scale[0] >> 8,
                            {m & 255, m >> 8 & 255, m >> 16 & 255, m >> 24},
                            (int32_t)((uint32_t)offset << (shift - 1)) + 64,
                            shift};
    return s;
}

/* q * 2^shift of an accumulator, and what stands behind the point, before it is clamped. Where
 * zero_point is -128 (`relu`) what is below it saturates, so the sign does not matter. */
static inline int32_t nano_scaled_scalar(int32_t acc, const nano_scaling *s, int relu) {
    const int32_t low = acc * s->limbs[0] >> 11;
    const int32_t middle = (acc * s->limbs[1] + low) >> 11;
    const int32_t scaled = acc * s->limbs[2] + middle;
    return (relu || acc >= 0 ? scaled : scaled - 512) + s->round;
}

/* q of a sum without its bias, before it is clamped. */
static inline int32_t nano_requantize_scalar(int32_t sum, const nano_scaling *s) {
    return nano_scaled_scalar(sum + s->bias, s, 0) >> s->shift;
}

static inline int32_t nano_requantize_wide_scalar(int32_t sum, const nano_scaling *s) {
    const int32_t acc = sum + s->bias;
    const int32_t lowest = acc * s->limbs[0] >> 8;
    const int32_t low = (acc * s->limbs[1] + lowest) >> 8;
    const int32_t middle = (acc * s->limbs[2] + low) >> 8;
    const int32_t scaled = acc * s->limbs[3] + middle - (acc < 0 ? 128 : 0);
    return (scaled + s->round) >> s->shift;
}

#endif
