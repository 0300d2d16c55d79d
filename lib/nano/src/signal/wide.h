/* wide.h - the few 64-bit operations of the front ends, without a call of the compiler's helpers
 * (internal): products (product.h), shifts by 32-bit halves. */
#ifndef NANO_SIGNAL_WIDE_H
#define NANO_SIGNAL_WIDE_H

#include <stdint.h>

#include "../product.h"

/* x / 2^n modulo 2^32, rounded down; n in 1..31. */
static inline uint32_t nano_shift_down(uint64_t x, int n) {
    /* A window that is made is full: NOLINTNEXTLINE(*UndefinedBinaryOperatorResult) */
    return (uint32_t)(x >> 32) << (32 - n) | (uint32_t)x >> n;
}

/* Bits of x without leading zeros. */
static inline int nano_bit_length(uint32_t x) {
#if defined(__GNUC__) && defined(__ARM_ARCH) && !defined(__ARM_ARCH_6M__)
    return x == 0 ? 0 : 32 - __builtin_clz(x);
#else
    int length = 0;
    for (int step = 16; step > 0; step /= 2)
        if (x >> step != 0) {
            x >>= step;
            length += step;
        }
    return length + (x != 0);
#endif
}

/* The square root, rounded; of a number below 2^32 at most 0xFFFF. x < 2^60. */
uint32_t nano_root(uint64_t x);

#endif
