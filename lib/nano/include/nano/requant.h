/* nano/requant.h - fixed-point scaling of int32 accumulators: what kernels are written with, those
 * of the library and those that others bring.
 *
 * TensorFlow Lite Micro's default rounds twice: a doubling high multiply, then a division by a
 * power of two (gemmlowp's arithmetic). docs/numerics.md has the formulas. Exact for every
 * accumulator, every multiplier and every shift in [-31, 30].
 *
 * Right shifts of negative numbers are arithmetic, and unsigned numbers become signed ones modulo
 * 2^32: C leaves both to the compiler, every compiler in use does so. */
#ifndef NANO_REQUANT_H
#define NANO_REQUANT_H

#include <stdint.h>

#include "nano/config.h"
#include "nano/ops.h"

NANO_STATIC_ASSERT((-3 >> 1) == -2, right_shift_is_arithmetic);

/* 1: build 64-bit products from 16-bit halves. For cores without a widening multiply, where the
 * compiler would call a helper that is slow (Armv6-M) or missing (Debian's libgcc for LX106). */
#ifndef NANO_HALF_PRODUCTS
#if (defined(__XTENSA__) && defined(__XTENSA_CALL0_ABI__)) || defined(__ARM_ARCH_6M__)
#define NANO_HALF_PRODUCTS 1
#else
#define NANO_HALF_PRODUCTS 0
#endif
#endif

/* high * 2^32 + low = a * b, by school multiplication in base 2^16. */
static inline void nano_wide_product(uint32_t a, uint32_t b, uint32_t *high, uint32_t *low) {
#if NANO_HALF_PRODUCTS
    const uint32_t al = a & 0xFFFFu, ah = a >> 16, bl = b & 0xFFFFu, bh = b >> 16;
    const uint32_t ll = al * bl;
    const uint32_t middle = ah * bl + (ll >> 16); /* <= (2^16-1)^2 + 2^16-1 < 2^32 */
    const uint32_t cross = al * bh + (middle & 0xFFFFu);
    *high = ah * bh + (middle >> 16) + (cross >> 16);
    *low = (cross << 16) | (ll & 0xFFFFu);
#else
    const uint64_t product = (uint64_t)a * b;
    *high = (uint32_t)(product >> 32);
    *low = (uint32_t)product;
#endif
}

/* floor((a * b + 2^30) / 2^31): the doubling high product, halves rounded up. gemmlowp saturates
 * the one product that does not fit, INT32_MIN * INT32_MIN; no caller has it: one factor is
 * always a multiplier >= 0 or a fraction of smaller magnitude. */
static inline int32_t nano_high_product(int32_t a, int32_t b) {
#if NANO_HALF_PRODUCTS
    uint32_t high, low;
    nano_wide_product((uint32_t)a, (uint32_t)b, &high, &low);
    high -= (a < 0 ? (uint32_t)b : 0) + (b < 0 ? (uint32_t)a : 0); /* unsigned to signed */
    const uint32_t rounded = low + 0x40000000u;
    high += rounded < low; /* carry */
    return (int32_t)((high << 1) | (rounded >> 31));
#else
    return (int32_t)(((int64_t)a * b + 0x40000000) >> 31);
#endif
}

/* round(x / 2^exponent), halves away from zero; exponent in [0, 31]. */
static inline int32_t nano_rounding_shift_right(int32_t x, int exponent) {
    const uint32_t mask = ((uint32_t)1 << exponent) - 1;
    const uint32_t remainder = (uint32_t)x & mask;
    const uint32_t threshold = (mask >> 1) + (x < 0 ? 1u : 0u);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* round(round(acc * 2^left * multiplier / 2^31) / 2^right); shift = left if positive, else -right.
 * multiplier >= 0. acc * 2^left is taken modulo 2^32: TFLM leaves an overflow undefined, this is
 * what its compiled code does. */
static inline int32_t nano_scale(int32_t acc, int32_t multiplier, int shift) {
    const int left = shift > 0 ? shift : 0;
    const int right = shift > 0 ? 0 : -shift;
    const int32_t shifted = (int32_t)((uint32_t)acc << left);
    return nano_rounding_shift_right(nano_high_product(shifted, multiplier), right);
}

/* value within low..high */
static inline int8_t nano_clamp(int32_t value, int32_t low, int32_t high) {
    return (int8_t)(value < low ? low : value > high ? high : value);
}

/* zero_point + scaled, modulo 2^32; it can only wrap where scaled is within 128 of the ends of
 * int32. */
static inline int32_t nano_add_zero_point(int32_t scaled, int32_t zero_point) {
    return (int32_t)((uint32_t)scaled + (uint32_t)zero_point);
}

/* q = clamp(zero_point + scale(acc), min, max) for output channel `channel`. */
static inline int8_t nano_requantize(int32_t acc, const nano_requant *requant, uint32_t channel) {
    const uint32_t i = requant->per_channel ? channel : 0;
    const int32_t scaled = nano_scale(acc, requant->multiplier[i], requant->shift[i]);
    return nano_clamp(nano_add_zero_point(scaled, requant->zero_point), requant->min, requant->max);
}

/* acc times a real factor, rounding twice as nano_scale(). */
static inline int32_t nano_multiply(int32_t acc, const nano_factor *factor) {
    return nano_scale(acc, factor->multiplier, factor->shift);
}

/* q = clamp(zero_point + scaled, min, max) */
static inline int8_t nano_store_result(int32_t scaled, const nano_store *store) {
    return nano_clamp(nano_add_zero_point(scaled, store->zero_point), store->min, store->max);
}

#endif
