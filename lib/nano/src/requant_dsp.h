/* requant_dsp.h - fixed-point scaling in few DSP instructions (internal).
 *
 * The same numbers as nano_requantize() in requant.h, from a pair of words a channel that lowering
 * packs, and only where it proved that this form is exact (`scales` in nanotool/lower/pack.py):
 *     scale[0] = bias * 256 + e - 1    |bias| < 2^23; e: right shift, at least 1
 *     scale[1] = multiplier            Q31
 * With h = floor((acc * multiplier + 2^30) / 2^31) the reference rounds halves away from zero:
 *     q = floor((h + 2^(e-1) - (h < 0)) / 2^e) + zero_point
 *       = floor((h + (2 zero_point + 1) * 2^(e-1) - (acc < 0)) / 2^e)
 * as for h = 0 the -1 changes nothing. Saturation to int8 is included; a tighter clamp is not. */
#ifndef NANO_REQUANT_DSP_H
#define NANO_REQUANT_DSP_H

#include "simd.h"

#if NANO_SIMD

/* q of a sum without its bias; offset = 2 * zero_point + 1. */
static inline int32_t nano_requantize_dsp(int32_t sum, const int32_t *scale, int32_t offset) {
    const int32_t acc2 = (int32_t)(((uint32_t)sum << 1) + (uint32_t)(scale[0] >> 7)); /* 2 acc */
    const int32_t round = nano_lsl(offset, scale[0]) + (acc2 >> 31);
    return nano_ssat8_asr1(nano_asr(nano_smmlar(acc2, scale[1], round), scale[0]));
}

/* The same where zero_point is -128: what is below it saturates, so the sign does not matter. */
static inline int32_t nano_requantize_relu_dsp(int32_t sum, const int32_t *scale, int32_t offset) {
    const int32_t acc2 = (int32_t)(((uint32_t)sum << 1) + (uint32_t)(scale[0] >> 7));
    const int32_t round = nano_lsl(offset, scale[0]);
    return nano_ssat8_asr1(nano_asr(nano_smmlar(acc2, scale[1], round), scale[0]));
}

/* The same from four words in the order in which they are used, for kernels whose scales come with
 * the weights: {e - 1, multiplier, 2 * bias, offset << (e - 1)}. */
static inline int32_t nano_requantize_ready_dsp(int32_t sum, const int32_t *ready) {
    const int32_t acc2 = (int32_t)(((uint32_t)sum << 1) + (uint32_t)ready[2]);
    const int32_t round = ready[3] + (acc2 >> 31);
    return nano_ssat8_asr1(nano_asr(nano_smmlar(acc2, ready[1], round), ready[0]));
}

static inline int32_t nano_requantize_ready_relu_dsp(int32_t sum, const int32_t *ready) {
    const int32_t acc2 = (int32_t)(((uint32_t)sum << 1) + (uint32_t)ready[2]);
    return nano_ssat8_asr1(nano_asr(nano_smmlar(acc2, ready[1], ready[3]), ready[0]));
}

/* nano_scale() of a sum below 2^30 in magnitude, by a shift of -31..-1: to the right. */
static inline int32_t nano_scale_dsp(int32_t acc, int32_t multiplier, int shift) {
    const int32_t round = nano_lsl(1, -shift - 1) + (acc >> 31);
    return nano_asr(nano_smmlar((int32_t)((uint32_t)acc << 1), multiplier, round), -shift);
}

/* Bring n bytes into low..high. */
static inline void nano_clamp_dsp(int8_t *q, uint32_t n, int32_t low, int32_t high) {
    for (uint32_t i = 0; i < n; i++)
        q[i] = (int8_t)(q[i] < low ? low : q[i] > high ? high : q[i]);
}

#endif
#endif
