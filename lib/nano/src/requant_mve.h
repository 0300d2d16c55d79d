/* requant_mve.h - fixed-point scaling of four accumulators at a time (internal).
 *
 * The same numbers as nano_requantize() in requant.h, from two vectors for each four outputs that
 * lowering packs (`scales` in nanotool/lower/armv81m/blocks.py), where the right shift e >= 1:
 *     scales[0..3] = bias * 256 + (-e modulo 256)    |bias| < 2^23
 *     scales[4..7] = multiplier                      Q31
 * h = VQRDMULH(acc, multiplier) is the reference's first rounding. VRSHL rounds halves up, the
 * reference's second rounding goes away from zero: for a negative h that is h - 1 rounded halves
 * up. So
 *     q = sat8(floor((h + (h < 0 ? -1 : 0) + 2^(e-1)) / 2^e) + zero_point)
 * Where the zero point is -128 what is below it saturates: there ("relu") the sign does not matter.
 * A clamp tighter than int8 is not included. */
#ifndef NANO_REQUANT_MVE_H
#define NANO_REQUANT_MVE_H

#include "mve.h"

#if NANO_MVE

/* What four sums without their biases become, less the zero point, before it is saturated. */
static inline nano_words nano_scale_mve(nano_words sums, const int32_t *scales, int relu) {
    const nano_words shifts = nano_load_words(scales);
    const nano_words acc = nano_add4(sums, nano_asr8(shifts));
    nano_words h = nano_high4(acc, nano_load_words(scales + 4));
    if (!relu)
        h = nano_add4(h, nano_sign4(h));
    return nano_round4(h, shifts);
}

/* q, in the lowest byte of each word, of four sums without their biases. */
static inline nano_words nano_requantize_mve(nano_words sums, const int32_t *scales,
                                             int32_t zero_point, int relu) {
    return nano_saturate4(nano_add4_all(nano_scale_mve(sums, scales, relu), zero_point));
}

#endif
#endif
