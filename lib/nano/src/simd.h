/* simd.h - the DSP instructions of Armv7E-M, and the same in C (internal).
 *
 * Each function is one instruction (nano_max8: two) on a core that has it (Cortex-M4, M7, M33 with
 * DSP) and plain C, bit by bit the same, where NANO_SIMD_FALLBACK is 1: so the _dsp kernels also
 * run on a host, under its sanitizers. NANO_SIMD tells whether either holds; a variant's source is
 * empty where it does not.
 *
 * A word holds two signed halves, "low" in bits 0..15 and "high" in bits 16..31. In comments a.low
 * is the sign-extended half. Sums are modulo 2^32. */
#ifndef NANO_SIMD_H
#define NANO_SIMD_H

#include <stdint.h>

#include "nano/config.h"

#ifndef NANO_SIMD_FALLBACK
#define NANO_SIMD_FALLBACK 0
#endif

#if NANO_SIMD_FALLBACK
#define NANO_SIMD 1
#define NANO_SIMD_NATIVE 0
#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__thumb2__)
#define NANO_SIMD 1
#define NANO_SIMD_NATIVE 1
#else
#define NANO_SIMD 0
#define NANO_SIMD_NATIVE 0
#endif

#if NANO_SIMD

/* Two halves as the registers hold them. */
typedef uint32_t nano_halves;

/* --- Memory: words of any alignment, lowest byte first --- */

#if NANO_SIMD_NATIVE
typedef struct {
    uint32_t word;
} __attribute__((packed, may_alias)) nano_unaligned;
typedef uint32_t __attribute__((may_alias)) nano_word; /* an aligned word of any array */

static inline uint32_t nano_load_unaligned(const void *p) {
    return ((const nano_unaligned *)p)->word;
}
static inline void nano_store_unaligned(void *p, uint32_t word) {
    ((nano_unaligned *)p)->word = word;
}
/* `p` is a multiple of 4: then the compiler may use LDRD, LDM, STRD and STM. */
static inline uint32_t nano_load_word(const void *p) {
    return *(const nano_word *)p;
}
static inline void nano_store_word(void *p, uint32_t word) {
    *(nano_word *)p = word;
}
#else
static inline uint32_t nano_load_unaligned(const void *p) {
    const uint8_t *const b = (const uint8_t *)p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline void nano_store_unaligned(void *p, uint32_t word) {
    uint8_t *const b = (uint8_t *)p;
    for (unsigned i = 0; i < 4; i++)
        b[i] = (uint8_t)(word >> 8 * i);
}
static inline uint32_t nano_load_word(const void *p) {
    return nano_load_unaligned(p);
}
static inline void nano_store_word(void *p, uint32_t word) {
    nano_store_unaligned(p, word);
}
#endif

/* --- Instructions --- */

static inline int32_t nano_low(nano_halves a) {
    return (int16_t)(uint16_t)a;
}
static inline int32_t nano_high(nano_halves a) {
    return (int16_t)(uint16_t)(a >> 16);
}

#if NANO_SIMD_NATIVE
/* Not volatile: a pure function of its operands, so the compiler may move it. */
#define NANO_OPERANDS_2(name, text, type, a_type, b_type)                                          \
    static inline type name(a_type a, b_type b) {                                                  \
        type result;                                                                               \
        __asm__(text : "=r"(result) : "r"(a), "r"(b));                                             \
        return result;                                                                             \
    }
#define NANO_OPERANDS_3(name, text, a_type, b_type)                                                \
    static inline int32_t name(a_type a, b_type b, int32_t sum) {                                  \
        int32_t result;                                                                            \
        __asm__(text : "=r"(result) : "r"(a), "r"(b), "r"(sum));                                   \
        return result;                                                                             \
    }
#define NANO_OPERAND_1(name, text, type, a_type)                                                   \
    static inline type name(a_type a) {                                                            \
        type result;                                                                               \
        __asm__(text : "=r"(result) : "r"(a));                                                     \
        return result;                                                                             \
    }
#define NANO_PRODUCTS(name, text, expression) NANO_OPERANDS_3(name, text, nano_halves, nano_halves)
#define NANO_PRODUCT(name, text, expression)                                                       \
    NANO_OPERANDS_2(name, text, int32_t, nano_halves, nano_halves)
#else
#define NANO_PRODUCTS(name, text, expression)                                                      \
    static inline int32_t name(nano_halves a, nano_halves b, int32_t sum) {                        \
        return (int32_t)((uint32_t)sum + (uint32_t)(expression));                                  \
    }
#define NANO_PRODUCT(name, text, expression)                                                       \
    static inline int32_t name(nano_halves a, nano_halves b) {                                     \
        return (int32_t)(uint32_t)(expression);                                                    \
    }
#endif

#define NANO_LL (nano_low(a) * nano_low(b))
#define NANO_LH (nano_low(a) * nano_high(b))
#define NANO_HL (nano_high(a) * nano_low(b))
#define NANO_HH (nano_high(a) * nano_high(b))
/* sum + a.low * b.low + a.high * b.high; one half of each, with and without a sum: b bottom, t top,
 * of a, then of b */
NANO_PRODUCTS(nano_smlad, "smlad %0, %1, %2, %3", (uint32_t)NANO_LL + (uint32_t)NANO_HH)
NANO_PRODUCTS(nano_smlabb, "smlabb %0, %1, %2, %3", NANO_LL)
NANO_PRODUCTS(nano_smlatt, "smlatt %0, %1, %2, %3", NANO_HH)
NANO_PRODUCTS(nano_smlabt, "smlabt %0, %1, %2, %3", NANO_LH)
NANO_PRODUCTS(nano_smlatb, "smlatb %0, %1, %2, %3", NANO_HL)
/* sum + a.low * b.low - a.high * b.high; sum + a.low * b.high + a.high * b.low */
NANO_PRODUCTS(nano_smlsd, "smlsd %0, %1, %2, %3", (uint32_t)NANO_LL - (uint32_t)NANO_HH)
NANO_PRODUCTS(nano_smladx, "smladx %0, %1, %2, %3", (uint32_t)NANO_LH + (uint32_t)NANO_HL)
NANO_PRODUCT(nano_smulbb, "smulbb %0, %1, %2", NANO_LL)
NANO_PRODUCT(nano_smultt, "smultt %0, %1, %2", NANO_HH)

#if NANO_SIMD_NATIVE
/* bytes 0 and 2 (ror8: 1 and 3) of a word, sign-extended to halves */
NANO_OPERAND_1(nano_sxtb16, "sxtb16 %0, %1", nano_halves, uint32_t)
NANO_OPERAND_1(nano_sxtb16_ror8, "sxtb16 %0, %1, ror #8", nano_halves, uint32_t)
/* the same added to the halves of a */
NANO_OPERANDS_2(nano_sxtab16, "sxtab16 %0, %1, %2", nano_halves, nano_halves, uint32_t)
NANO_OPERANDS_2(nano_sxtab16_ror8, "sxtab16 %0, %1, %2, ror #8", nano_halves, nano_halves, uint32_t)
NANO_OPERANDS_2(nano_sadd16, "sadd16 %0, %1, %2", nano_halves, nano_halves, nano_halves)
NANO_OPERANDS_2(nano_ssub16, "ssub16 %0, %1, %2", nano_halves, nano_halves, nano_halves)
/* (a.low + b.high, a.high - b.low) and (a.low - b.high, a.high + b.low): minus and plus i times b
 */
NANO_OPERANDS_2(nano_ssax, "ssax %0, %1, %2", nano_halves, nano_halves, nano_halves)
NANO_OPERANDS_2(nano_sasx, "sasx %0, %1, %2", nano_halves, nano_halves, nano_halves)
/* floor((a + b) / 2) and floor((a - b) / 2) of each half */
NANO_OPERANDS_2(nano_shadd16, "shadd16 %0, %1, %2", nano_halves, nano_halves, nano_halves)
NANO_OPERANDS_2(nano_shsub16, "shsub16 %0, %1, %2", nano_halves, nano_halves, nano_halves)
/* the low half of a, the high one of b; of b times 2 */
NANO_OPERANDS_2(nano_pack_mixed, "pkhbt %0, %1, %2", nano_halves, nano_halves, nano_halves)
NANO_OPERANDS_2(nano_pack_lsl1, "pkhbt %0, %1, %2, lsl #1", nano_halves, int32_t, int32_t)
/* low halves of a and b as (low, high); high halves of a and b as (low, high) */
NANO_OPERANDS_2(nano_pack_low, "pkhbt %0, %1, %2, lsl #16", nano_halves, nano_halves, nano_halves)
NANO_OPERANDS_2(nano_pack_high, "pkhtb %0, %2, %1, asr #16", nano_halves, nano_halves, nano_halves)
/* floor((a * b + 2^31) / 2^32), and the same + sum */
NANO_OPERANDS_2(nano_smmulr, "smmulr %0, %1, %2", int32_t, int32_t, int32_t)
NANO_OPERANDS_3(nano_smmlar, "smmlar %0, %1, %2, %3", int32_t, int32_t)
/* sum + floor(a * b.low / 2^16), and b.high */
NANO_OPERANDS_3(nano_smlawb, "smlawb %0, %1, %2, %3", int32_t, nano_halves)
NANO_OPERANDS_3(nano_smlawt, "smlawt %0, %1, %2, %3", int32_t, nano_halves)
/* a within -128..127; the same of floor(a / 2), of floor(a / 2^20) */
NANO_OPERAND_1(nano_ssat8, "ssat %0, #8, %1", int32_t, int32_t)
NANO_OPERAND_1(nano_ssat8_asr1, "ssat %0, #8, %1, asr #1", int32_t, int32_t)
NANO_OPERAND_1(nano_ssat8_asr20, "ssat %0, #8, %1, asr #20", int32_t, int32_t)
/* a within -2^15..2^15 - 1, within -2^30..2^30 - 1 */
NANO_OPERAND_1(nano_ssat16, "ssat %0, #16, %1", int32_t, int32_t)
NANO_OPERAND_1(nano_ssat31, "ssat %0, #31, %1", int32_t, int32_t)
/* a shifted by the lowest byte of count, which is at most 31; its other bytes do not matter */
NANO_OPERANDS_2(nano_asr, "asr %0, %1, %2", int32_t, int32_t, int32_t)
NANO_OPERANDS_2(nano_lsl, "lsl %0, %1, %2", int32_t, int32_t, int32_t)
/* the larger of each of four signed bytes; two instructions: SSUB8 tells which, SEL takes them */
static inline uint32_t nano_max8(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}
#undef NANO_OPERAND_1
#undef NANO_OPERANDS_2
#undef NANO_OPERANDS_3
#else
static inline nano_halves nano_pack_low(nano_halves a, nano_halves b) {
    return (a & 0xFFFFu) | b << 16;
}
static inline nano_halves nano_pack_high(nano_halves a, nano_halves b) {
    return a >> 16 | (b & 0xFFFF0000u);
}
static inline nano_halves nano_sadd16(nano_halves a, nano_halves b) {
    return nano_pack_low(a + b, (a >> 16) + (b >> 16));
}
static inline nano_halves nano_ssub16(nano_halves a, nano_halves b) {
    return nano_pack_low(a - b, (a >> 16) - (b >> 16));
}
static inline nano_halves nano_pack_mixed(nano_halves a, nano_halves b) {
    return (a & 0xFFFFu) | (b & 0xFFFF0000u);
}
static inline nano_halves nano_pack_lsl1(int32_t a, int32_t b) {
    return nano_pack_mixed((uint32_t)a, (uint32_t)b << 1);
}
static inline nano_halves nano_ssax(nano_halves a, nano_halves b) {
    return nano_pack_low(a + (b >> 16), (a >> 16) - b);
}
static inline nano_halves nano_sasx(nano_halves a, nano_halves b) {
    return nano_pack_low(a - (b >> 16), (a >> 16) + b);
}
static inline nano_halves nano_shadd16(nano_halves a, nano_halves b) {
    return nano_pack_low((uint32_t)((nano_low(a) + nano_low(b)) >> 1),
                         (uint32_t)((nano_high(a) + nano_high(b)) >> 1));
}
static inline nano_halves nano_shsub16(nano_halves a, nano_halves b) {
    return nano_pack_low((uint32_t)((nano_low(a) - nano_low(b)) >> 1),
                         (uint32_t)((nano_high(a) - nano_high(b)) >> 1));
}
static inline nano_halves nano_sxtb16(uint32_t a) {
    return nano_pack_low((uint32_t)(int8_t)(uint8_t)a, (uint32_t)(int8_t)(uint8_t)(a >> 16));
}
static inline nano_halves nano_sxtb16_ror8(uint32_t a) {
    return nano_sxtb16(a >> 8);
}
static inline nano_halves nano_sxtab16(nano_halves a, uint32_t b) {
    return nano_sadd16(a, nano_sxtb16(b));
}
static inline nano_halves nano_sxtab16_ror8(nano_halves a, uint32_t b) {
    return nano_sadd16(a, nano_sxtb16_ror8(b));
}
static inline uint32_t nano_max8(uint32_t a, uint32_t b) {
    uint32_t larger = 0;
    for (unsigned i = 0; i < 32; i += 8) {
        const int a_wins = (int8_t)(uint8_t)(a >> i) >= (int8_t)(uint8_t)(b >> i);
        larger |= ((a_wins ? a : b) >> i & 0xFFu) << i;
    }
    return larger;
}
static inline int32_t nano_smmulr(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
}
static inline int32_t nano_smmlar(int32_t a, int32_t b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)nano_smmulr(a, b));
}
static inline int32_t nano_smlawb(int32_t a, nano_halves b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)((int64_t)a * nano_low(b) >> 16));
}
static inline int32_t nano_smlawt(int32_t a, nano_halves b, int32_t sum) {
    return nano_smlawb(a, b >> 16, sum);
}
static inline int32_t nano_ssat8(int32_t a) {
    return a < -128 ? -128 : a > 127 ? 127 : a;
}
static inline int32_t nano_ssat16(int32_t a) {
    return a < INT16_MIN ? INT16_MIN : a > INT16_MAX ? INT16_MAX : a;
}
static inline int32_t nano_ssat31(int32_t a) {
    const int32_t most = ((int32_t)1 << 30) - 1;
    return a < -most - 1 ? -most - 1 : a > most ? most : a;
}
static inline int32_t nano_ssat8_asr1(int32_t a) {
    return nano_ssat8(a >> 1);
}
static inline int32_t nano_ssat8_asr20(int32_t a) {
    return nano_ssat8(a >> 20);
}
static inline int32_t nano_asr(int32_t a, int32_t count) {
    return a >> (count & 0xFF);
}
static inline int32_t nano_lsl(int32_t a, int32_t count) {
    return (int32_t)((uint32_t)a << (count & 0xFF));
}
#endif

#undef NANO_PRODUCTS
#undef NANO_PRODUCT
#undef NANO_LL
#undef NANO_LH
#undef NANO_HL
#undef NANO_HH

#endif
#endif
