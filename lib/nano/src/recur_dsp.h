/* recur_dsp.h - sums and scaling of layers with gates, in DSP instructions (internal). */
#ifndef NANO_RECUR_DSP_H
#define NANO_RECUR_DSP_H

#include "dots_dsp.h"
#include "recur.h"
#include "requant_dsp.h"

#if NANO_SIMD

/* nano_scale() of a sum below 2^30 in magnitude; most factors shift to the right. */
static inline int32_t nano_gate_scale_dsp(int32_t acc, int32_t multiplier, int shift) {
    return shift < 0 ? nano_scale_dsp(acc, multiplier, shift) : nano_scale(acc, multiplier, shift);
}

#endif
#endif
