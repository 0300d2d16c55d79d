/* requant_int16_dsp.h - int16 outputs of 32-bit sums in few DSP instructions (internal).
 *
 * The same numbers as nano_requantize_int16(), from four words a channel that lowering packs, only
 * where it proved that nothing leaves 64 bits: {low, high, multiplier, shift}. */
#ifndef NANO_REQUANT_INT16_DSP_H
#define NANO_REQUANT_INT16_DSP_H

#include "requant_int16.h"
#include "simd.h"

#if NANO_SIMD

/* The bias and the rounding: what sums * multiplier are added to. */
static inline int64_t nano_ready_int16(const int32_t *scale) {
    return (int64_t)((uint64_t)(uint32_t)scale[1] << 32 | (uint32_t)scale[0]);
}

static inline int64_t nano_add_scaled(int64_t total, int32_t sum, const int32_t *scale) {
    return total + (int64_t)sum * scale[2];
}

static inline int16_t nano_finish_int16(int64_t total, const int32_t *scale, int32_t low,
                                        int32_t high) {
    const int32_t top = (int32_t)(uint32_t)((uint64_t)total >> 32);
    return nano_clamp_int16(nano_asr(top, scale[3]), low, high);
}

/* Bring n halves into low..high. */
static inline void nano_clamp_halves(int16_t *q, uint32_t n, int32_t low, int32_t high) {
    for (uint32_t i = 0; i < n; i++)
        q[i] = nano_clamp_int16(q[i], low, high);
}

#endif
#endif
