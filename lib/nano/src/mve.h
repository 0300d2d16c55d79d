/* mve.h - vector instructions of Armv8.1-M (MVE, "Helium"), and the same in C (internal).
 *
 * Each function is one instruction (two where it says so) on a core that has them (Cortex-M55, M85)
 * and plain C, lane by lane the same, where NANO_SIMD_FALLBACK is 1: so the _mve kernels also run
 * on a host, under its sanitizers. NANO_MVE tells whether either holds; a variant's source is empty
 * where it does not. (Predicates come from VCTP alone: gcc 12 gets constant ones wrong.)
 *
 * A vector is 16 bytes, 8 halves or 4 words, all signed. Sums are modulo 2^8, 2^16, 2^32. */
#ifndef NANO_MVE_H
#define NANO_MVE_H

#include <stdint.h>

#include "nano/config.h"

#ifndef NANO_SIMD_FALLBACK
#define NANO_SIMD_FALLBACK 0
#endif

#if NANO_SIMD_FALLBACK
#define NANO_MVE 1
#define NANO_MVE_NATIVE 0
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define NANO_MVE 1
#define NANO_MVE_NATIVE 1
#else
#define NANO_MVE 0
#define NANO_MVE_NATIVE 0
#endif

#if NANO_MVE_NATIVE

#if defined(__GNUC__) && !defined(__clang__) /* gcc 12's header converts signs */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include <arm_mve.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

typedef int8x16_t nano_bytes;
typedef int16x8_t nano_shorts;
typedef uint16x8_t nano_places;
typedef int32x4_t nano_words;

/* --- Memory, of any alignment; words: aligned --- */

static inline nano_bytes nano_load16(const int8_t *p) {
    return vldrbq_s8(p);
}
static inline void nano_store16(int8_t *p, nano_bytes a) {
    vstrbq_s8(p, a);
}
/* The first n of 16 bytes, the others 0; only these are read, or written. Two instructions. */
static inline nano_bytes nano_load_few(const int8_t *p, uint32_t n) {
    return vldrbq_z_s8(p, vctp8q(n));
}
static inline void nano_store_few(int8_t *p, nano_bytes a, uint32_t n) {
    vstrbq_p_s8(p, a, vctp8q(n));
}
/* Four bytes as words, and the lowest byte of each word; the first n of them, others 0 (two
 * instructions). */
static inline nano_words nano_load4(const int8_t *p) {
    return vldrbq_s32(p);
}
static inline void nano_store4(int8_t *p, nano_words a) {
    vstrbq_s32(p, a);
}
static inline nano_words nano_load4_few(const int8_t *p, uint32_t n) {
    return vldrbq_z_s32(p, vctp32q(n));
}
static inline void nano_store4_few(int8_t *p, nano_words a, uint32_t n) {
    vstrbq_p_s32(p, a, vctp32q(n));
}
static inline nano_words nano_load_words(const int32_t *p) {
    return vldrwq_s32(p);
}

/* --- Bytes --- */

static inline nano_bytes nano_fill16(int8_t a) {
    return vdupq_n_s8(a);
}
static inline nano_bytes nano_max16(nano_bytes a, nano_bytes b) {
    return vmaxq_s8(a, b);
}
static inline nano_bytes nano_min16(nano_bytes a, nano_bytes b) {
    return vminq_s8(a, b);
}

/* The sum of all products. */
static inline int32_t nano_dot16(nano_bytes a, nano_bytes b) {
    return vmladavq_s8(a, b);
}
/* The same, added to `sum`. */
static inline int32_t nano_dot16_to(int32_t sum, nano_bytes a, nano_bytes b) {
    return vmladavaq_s8(sum, a, b);
}
/* Each byte one place up within its word; each word one place up. Zeros come in below. */
static inline nano_bytes nano_up_in_words(nano_bytes a) {
    return vreinterpretq_s8_s32(vshlq_n_s32(vreinterpretq_s32_s8(a), 8));
}
static inline nano_bytes nano_up_a_word(nano_bytes a) {
    uint32_t carry = 0;
    return vshlcq_s8(a, &carry, 32);
}
/* Bytes 2 and 3 of each word in the place of 0 and 1, too. */
static inline nano_bytes nano_double_high(nano_bytes a) {
    const nano_words words = vreinterpretq_s32_s8(a);
    return vreinterpretq_s8_s32(vsriq_n_s32(words, words, 16));
}

/* The first n of 16 bytes p[places], places without sign, the others 0. Two instructions. */
static inline nano_bytes nano_gather_few(const int8_t *p, nano_bytes places, uint32_t n) {
    return vldrbq_gather_offset_z_s8(p, vreinterpretq_u8_s8(places), vctp8q(n));
}

/* --- Halves --- */

/* The products of bytes 0, 2, .. 14; of bytes 1, 3, .. 15. */
static inline nano_shorts nano_even_products(nano_bytes a, nano_bytes b) {
    return vmullbq_int_s8(a, b);
}
static inline nano_shorts nano_odd_products(nano_bytes a, nano_bytes b) {
    return vmulltq_int_s8(a, b);
}
static inline nano_shorts nano_add8(nano_shorts a, nano_shorts b) {
    return vaddq_s16(a, b);
}
/* a + b, saturated */
static inline nano_shorts nano_qadd8_all(nano_shorts a, int16_t b) {
    return vqaddq_n_s16(a, b);
}
/* Halves 0, 2, 4, 6 as words; halves 1, 3, 5, 7. */
static inline nano_words nano_even_halves(nano_shorts a) {
    return vmovlbq_s16(a);
}
static inline nano_words nano_odd_halves(nano_shorts a) {
    return vmovltq_s16(a);
}
/* Words as even halves and as odd ones, saturated; halves as even bytes and as odd ones. Two
 * instructions each. */
static inline nano_shorts nano_saturate_halves(nano_words even, nano_words odd) {
    return vqmovntq_s32(vqmovnbq_s32(vreinterpretq_s16_s32(even), even), odd);
}
static inline nano_bytes nano_saturate_bytes(nano_shorts even, nano_shorts odd) {
    return vqmovntq_s16(vqmovnbq_s16(vreinterpretq_s8_s16(even), even), odd);
}
/* k * step in lane k */
static inline nano_places nano_places_of(uint32_t step) {
    return vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)step);
}
/* Eight bytes as halves, and the low bytes of halves to p[places]. */
static inline nano_shorts nano_load8(const int8_t *p) {
    return vldrbq_s16(p);
}
static inline void nano_scatter8(int8_t *p, nano_places places, nano_shorts a) {
    vstrbq_scatter_offset_s16(p, places, a);
}

/* A vector is made here, before what follows is loaded: the compiler would load first, and spill
 * others. (In plain C gcc 12 at -O3 also lost terms of a sum in a loop without it.) */
#define NANO_MADE_HERE(a) __asm__ volatile("" : "+w"(a) : : "memory")

/* Four pointers that move on each by itself, so that loads do it. */
#define NANO_POINTERS(a, b, c, d) __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d))

/* --- Words --- */

/* Two instructions. */
static inline nano_words nano_words_of(int32_t a, int32_t b, int32_t c, int32_t d) {
    nano_words result;
    __asm__("vmov %q0[2], %q0[0], %1, %3\n\tvmov %q0[3], %q0[1], %2, %4"
            : "=&w"(result)
            : "r"(a), "r"(b), "r"(c), "r"(d));
    return result;
}
/* The lowest byte of each word to p[places]; of the first n words (two instructions). */
static inline void nano_scatter4(int8_t *p, nano_words places, nano_words a) {
    vstrbq_scatter_offset_s32(p, vreinterpretq_u32_s32(places), a);
}
static inline void nano_scatter4_few(int8_t *p, nano_words places, nano_words a, uint32_t n) {
    vstrbq_scatter_offset_p_s32(p, vreinterpretq_u32_s32(places), a, vctp32q(n));
}
static inline nano_words nano_fill4(int32_t a) {
    return vdupq_n_s32(a);
}
static inline nano_words nano_add4(nano_words a, nano_words b) {
    return vaddq_s32(a, b);
}
static inline nano_words nano_sub4(nano_words a, nano_words b) {
    return vsubq_s32(a, b);
}
static inline nano_words nano_mul4(nano_words a, nano_words b) {
    return vmulq_s32(a, b);
}
static inline nano_words nano_add4_all(nano_words a, int32_t b) {
    return vaddq_n_s32(a, b);
}
static inline nano_words nano_mul4_all(nano_words a, int32_t b) {
    return vmulq_n_s32(a, b);
}
/* sum + a * b */
static inline nano_words nano_mla4_all(nano_words sum, nano_words a, int32_t b) {
    return vmlaq_n_s32(sum, a, b);
}
/* floor(a * 2^s), s within -31..0 */
static inline nano_words nano_shift4_all(nano_words a, int32_t s) {
    return vshlq_r_s32(a, s);
}
/* floor(a / 2^8), a < 0 ? -1 : 0 */
static inline nano_words nano_asr8(nano_words a) {
    return vshrq_n_s32(a, 8);
}
static inline nano_words nano_sign4(nano_words a) {
    return vshrq_n_s32(a, 31);
}
/* floor((a * b + 2^30) / 2^31), saturated where both are -2^31 */
static inline nano_words nano_high4(nano_words a, nano_words b) {
    return vqrdmulhq_s32(a, b);
}
static inline nano_words nano_high4_all(nano_words a, int32_t b) {
    return vqrdmulhq_n_s32(a, b);
}
/* With s the lowest byte of a word of b, signed, within -31..0: floor(a * 2^s + 1/2) */
static inline nano_words nano_round4(nano_words a, nano_words b) {
    return vrshlq_s32(a, b);
}
static inline nano_words nano_round4_all(nano_words a, int32_t s) {
    return vrshlq_n_s32(a, s);
}
/* The lowest byte of each word: a within -128..127. Two instructions; gcc 12 makes four of the
 * intrinsics. */
static inline nano_words nano_saturate4(nano_words a) {
    __asm__("vqmovnb.s32 %q0, %q0\n\tvqmovnb.s16 %q0, %q0" : "+w"(a));
    return a;
}

#elif NANO_MVE

typedef struct {
    int8_t lane[16];
} nano_bytes;
typedef struct {
    int16_t lane[8];
} nano_shorts;
typedef struct {
    uint16_t lane[8];
} nano_places;
typedef struct {
    int32_t lane[4];
} nano_words;

#if defined(__GNUC__)
#define NANO_MADE_HERE(a) __asm__ volatile("" : "+m"(a))
#else
#define NANO_MADE_HERE(a) ((void)(a))
#endif

#define NANO_POINTERS(a, b, c, d) ((void)0)

/* A function of each lane i of a vector. */
#define NANO_LANES(type, count, expression)                                                        \
    type result;                                                                                   \
    for (unsigned i = 0; i < (count); i++)                                                         \
        result.lane[i] = (expression);                                                             \
    return result

static inline nano_bytes nano_load_few(const int8_t *p, uint32_t n) {
    NANO_LANES(nano_bytes, 16, (int8_t)(i < n ? p[i] : 0));
}
static inline void nano_store_few(int8_t *p, nano_bytes a, uint32_t n) {
    for (unsigned i = 0; i < 16 && i < n; i++)
        p[i] = a.lane[i];
}
static inline nano_bytes nano_load16(const int8_t *p) {
    return nano_load_few(p, 16);
}
static inline void nano_store16(int8_t *p, nano_bytes a) {
    nano_store_few(p, a, 16);
}
static inline nano_words nano_load4_few(const int8_t *p, uint32_t n) {
    NANO_LANES(nano_words, 4, i < n ? p[i] : 0);
}
static inline void nano_store4_few(int8_t *p, nano_words a, uint32_t n) {
    for (unsigned i = 0; i < 4 && i < n; i++)
        p[i] = (int8_t)(uint8_t)a.lane[i];
}
static inline nano_words nano_load4(const int8_t *p) {
    const nano_words result = {{p[0], p[1], p[2], p[3]}};
    return result;
}
static inline void nano_store4(int8_t *p, nano_words a) {
    nano_store4_few(p, a, 4);
}
static inline nano_words nano_load_words(const int32_t *p) {
    NANO_LANES(nano_words, 4, p[i]);
}
static inline nano_bytes nano_fill16(int8_t a) {
    NANO_LANES(nano_bytes, 16, a);
}
static inline nano_bytes nano_max16(nano_bytes a, nano_bytes b) {
    NANO_LANES(nano_bytes, 16, a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]);
}
static inline nano_bytes nano_min16(nano_bytes a, nano_bytes b) {
    NANO_LANES(nano_bytes, 16, a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]);
}
static inline int32_t nano_dot16(nano_bytes a, nano_bytes b) {
    int32_t sum = 0;
    for (unsigned i = 0; i < 16; i++)
        sum += a.lane[i] * b.lane[i];
    return sum;
}
static inline int32_t nano_dot16_to(int32_t sum, nano_bytes a, nano_bytes b) {
    return (int32_t)((uint32_t)sum + (uint32_t)nano_dot16(a, b));
}
static inline nano_bytes nano_up_in_words(nano_bytes a) {
    NANO_LANES(nano_bytes, 16, (int8_t)(i % 4 ? a.lane[i - 1] : 0));
}
static inline nano_bytes nano_up_a_word(nano_bytes a) {
    NANO_LANES(nano_bytes, 16, (int8_t)(i >= 4 ? a.lane[i - 4] : 0));
}
static inline nano_bytes nano_double_high(nano_bytes a) {
    NANO_LANES(nano_bytes, 16, a.lane[i | 2u]);
}
static inline nano_bytes nano_gather_few(const int8_t *p, nano_bytes places, uint32_t n) {
    NANO_LANES(nano_bytes, 16, i < n ? p[(uint8_t)places.lane[i]] : (int8_t)0);
}
static inline nano_shorts nano_even_products(nano_bytes a, nano_bytes b) {
    NANO_LANES(nano_shorts, 8, (int16_t)(a.lane[2 * i] * b.lane[2 * i]));
}
static inline nano_shorts nano_odd_products(nano_bytes a, nano_bytes b) {
    NANO_LANES(nano_shorts, 8, (int16_t)(a.lane[2 * i + 1] * b.lane[2 * i + 1]));
}
static inline nano_shorts nano_add8(nano_shorts a, nano_shorts b) {
    NANO_LANES(nano_shorts, 8, (int16_t)(a.lane[i] + b.lane[i]));
}
static inline int32_t nano_within(int32_t a, int32_t least, int32_t most) {
    return a < least ? least : a > most ? most : a;
}
static inline nano_shorts nano_qadd8_all(nano_shorts a, int16_t b) {
    NANO_LANES(nano_shorts, 8, (int16_t)nano_within(a.lane[i] + b, INT16_MIN, INT16_MAX));
}
static inline nano_words nano_even_halves(nano_shorts a) {
    NANO_LANES(nano_words, 4, a.lane[2 * i]);
}
static inline nano_words nano_odd_halves(nano_shorts a) {
    NANO_LANES(nano_words, 4, a.lane[2 * i + 1]);
}
static inline nano_shorts nano_saturate_halves(nano_words even, nano_words odd) {
    NANO_LANES(nano_shorts, 8,
               (int16_t)nano_within((i % 2 ? odd : even).lane[i / 2], INT16_MIN, INT16_MAX));
}
static inline nano_bytes nano_saturate_bytes(nano_shorts even, nano_shorts odd) {
    NANO_LANES(nano_bytes, 16,
               (int8_t)nano_within((i % 2 ? odd : even).lane[i / 2], INT8_MIN, INT8_MAX));
}
static inline nano_places nano_places_of(uint32_t step) {
    NANO_LANES(nano_places, 8, (uint16_t)(i * step));
}
static inline nano_shorts nano_load8(const int8_t *p) {
    NANO_LANES(nano_shorts, 8, p[i]);
}
static inline void nano_scatter8(int8_t *p, nano_places places, nano_shorts a) {
    for (unsigned i = 0; i < 8; i++)
        p[places.lane[i]] = (int8_t)(uint8_t)a.lane[i];
}
static inline nano_words nano_words_of(int32_t a, int32_t b, int32_t c, int32_t d) {
    const nano_words result = {{a, b, c, d}};
    return result;
}
static inline void nano_scatter4_few(int8_t *p, nano_words places, nano_words a, uint32_t n) {
    for (unsigned i = 0; i < 4 && i < n; i++)
        p[places.lane[i]] = (int8_t)(uint8_t)a.lane[i];
}
static inline void nano_scatter4(int8_t *p, nano_words places, nano_words a) {
    nano_scatter4_few(p, places, a, 4);
}
static inline nano_words nano_fill4(int32_t a) {
    NANO_LANES(nano_words, 4, a);
}
static inline nano_words nano_add4(nano_words a, nano_words b) {
    NANO_LANES(nano_words, 4, (int32_t)((uint32_t)a.lane[i] + (uint32_t)b.lane[i]));
}
static inline nano_words nano_sub4(nano_words a, nano_words b) {
    NANO_LANES(nano_words, 4, (int32_t)((uint32_t)a.lane[i] - (uint32_t)b.lane[i]));
}
static inline nano_words nano_mul4(nano_words a, nano_words b) {
    NANO_LANES(nano_words, 4, (int32_t)((uint32_t)a.lane[i] * (uint32_t)b.lane[i]));
}
static inline nano_words nano_add4_all(nano_words a, int32_t b) {
    return nano_add4(a, nano_fill4(b));
}
static inline nano_words nano_mul4_all(nano_words a, int32_t b) {
    return nano_mul4(a, nano_fill4(b));
}
static inline nano_words nano_mla4_all(nano_words sum, nano_words a, int32_t b) {
    return nano_add4(sum, nano_mul4_all(a, b));
}
static inline nano_words nano_shift4_all(nano_words a, int32_t s) {
    NANO_LANES(nano_words, 4, a.lane[i] >> -s);
}
static inline nano_words nano_asr8(nano_words a) {
    NANO_LANES(nano_words, 4, a.lane[i] >> 8);
}
static inline nano_words nano_sign4(nano_words a) {
    NANO_LANES(nano_words, 4, a.lane[i] >> 31);
}
static inline int32_t nano_high_lane(int32_t a, int32_t b) {
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)(((int64_t)a * b + 0x40000000) >> 31);
}
static inline nano_words nano_high4(nano_words a, nano_words b) {
    NANO_LANES(nano_words, 4, nano_high_lane(a.lane[i], b.lane[i]));
}
static inline nano_words nano_high4_all(nano_words a, int32_t b) {
    return nano_high4(a, nano_fill4(b));
}
static inline int32_t nano_round_lane(int32_t a, int32_t s) {
    const int right = -(int8_t)(uint8_t)s;
    return (int32_t)(((int64_t)a + (right > 0 ? (int64_t)1 << (right - 1) : 0)) >> right);
}
static inline nano_words nano_round4(nano_words a, nano_words b) {
    NANO_LANES(nano_words, 4, nano_round_lane(a.lane[i], b.lane[i]));
}
static inline nano_words nano_round4_all(nano_words a, int32_t s) {
    return nano_round4(a, nano_fill4(s));
}
static inline nano_words nano_saturate4(nano_words a) {
    NANO_LANES(nano_words, 4, a.lane[i] < -128 ? -128 : a.lane[i] > 127 ? 127 : a.lane[i]);
}

#undef NANO_LANES

#endif

#if NANO_MVE

/* Copy n bytes. */
static inline void nano_copy_mve(int8_t *out, const int8_t *in, uint32_t n) {
    for (; n >= 16; n -= 16, in += 16, out += 16)
        nano_store16(out, nano_load16(in));
    if (n > 0)
        nano_store_few(out, nano_load_few(in, n), n);
}

/* Set n bytes. */
static inline void nano_fill_mve(int8_t *out, int8_t value, uint32_t n) {
    const nano_bytes values = nano_fill16(value);
    for (; n >= 16; n -= 16, out += 16)
        nano_store16(out, values);
    if (n > 0)
        nano_store_few(out, values, n);
}

/* Bring n bytes into low..high. */
static inline void nano_clamp_mve(int8_t *q, uint32_t n, int32_t low, int32_t high) {
    const nano_bytes least = nano_fill16((int8_t)low), most = nano_fill16((int8_t)high);
    for (; n >= 16; n -= 16, q += 16)
        nano_store16(q, nano_min16(nano_max16(nano_load16(q), least), most));
    if (n > 0)
        nano_store_few(q, nano_min16(nano_max16(nano_load_few(q, n), least), most), n);
}

#endif
#endif
