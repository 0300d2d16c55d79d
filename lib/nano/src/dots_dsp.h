/* dots_dsp.h - sums of products of int8, of weights as they are (internal): for layers whose rows
 * are short, and which have no room for inputs that are widened. A word of inputs is widened for
 * four rows of weights: 23 instructions for 16 products. */
#ifndef NANO_DOTS_DSP_H
#define NANO_DOTS_DSP_H

#include <stddef.h>

#include "simd.h"

#if NANO_SIMD

/* sum + the products of four weights and four inputs, which are widened: bytes 0, 2 and 1, 3. */
static inline int32_t nano_four_products(uint32_t weights, nano_halves even, nano_halves odd,
                                         int32_t sum) {
    sum = nano_smlad(nano_sxtb16(weights), even, sum);
    return nano_smlad(nano_sxtb16_ror8(weights), odd, sum);
}

/* sums[k] += sum of x[i] * w[k * pitch + i] over i < n, for `rows` of weights: 1 to 4, a constant
 * where this is compiled. */
__attribute__((always_inline)) static inline void nano_dots_dsp(const int8_t *x, uint32_t n,
                                                                const int8_t *w, size_t pitch,
                                                                uint32_t rows, int32_t *sums) {
    const size_t second = pitch, third = 2 * pitch, fourth = 3 * pitch;
    const int8_t *const words = x + (n & ~(uint32_t)3), *const end = x + n;
    int32_t s0 = sums[0], s1 = rows > 1 ? sums[1] : 0, s2 = rows > 2 ? sums[2] : 0,
            s3 = rows > 3 ? sums[3] : 0;
    for (; x != words; x += 4, w += 4) {
        const uint32_t bytes = nano_load_unaligned(x);
        const nano_halves even = nano_sxtb16(bytes), odd = nano_sxtb16_ror8(bytes);
        s0 = nano_four_products(nano_load_unaligned(w), even, odd, s0);
        if (rows > 1)
            s1 = nano_four_products(nano_load_unaligned(w + second), even, odd, s1);
        if (rows > 2)
            s2 = nano_four_products(nano_load_unaligned(w + third), even, odd, s2);
        if (rows > 3)
            s3 = nano_four_products(nano_load_unaligned(w + fourth), even, odd, s3);
    }
    for (; x != end; x++, w++) {
        s0 += *x * w[0];
        s1 += rows > 1 ? *x * w[second] : 0;
        s2 += rows > 2 ? *x * w[third] : 0;
        s3 += rows > 3 ? *x * w[fourth] : 0;
    }
    sums[0] = s0;
    if (rows > 1)
        sums[1] = s1;
    if (rows > 2)
        sums[2] = s2;
    if (rows > 3)
        sums[3] = s3;
}

#endif
#endif
