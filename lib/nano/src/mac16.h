/* mac16.h - sums of products of an Xtensa core's MAC16 option, and the same in C (internal).
 *
 * The option (Xtensa ISA reference, 4.3.7) multiplies two halves and adds the product to an
 * accumulator of 40 bits, and loads the next two halves meanwhile: four products in four
 * instructions, in a loop (the ISA's 4.3.1) that costs none. An assembler that was configured for a
 * core without the option, as Debian's is, does not know its instructions: they are written as
 * bytes. ESP-IDF saves the accumulator, m0 to m3 and the loop's registers when it switches tasks.
 *
 * QEMU keeps m0 to m3 twice and mixes them up inside of a translated block: -singlestep. */
#ifndef NANO_MAC16_H
#define NANO_MAC16_H

#include <stdint.h>

#include "nano/config.h"

/* On another core what is for MAC16 is plain C, bit by bit the same: so it runs on a host, too. */
#if NANO_MAC16 && defined(__XTENSA__)
#define NANO_MAC16_NATIVE 1
#else
#define NANO_MAC16_NATIVE 0
#endif

/* Rows of a block. */
#define NANO_MAC16_ROWS 4

/* sum[r] = sum_i x[i] * w[r][i], i < 4 * fours, modulo 2^32. Both are aligned to 4 bytes; two
 * halves behind x and four behind the last row are read, and not used. */
#if NANO_MAC16_NATIVE

#define NANO_BYTE(word, at) NANO_TEXT((word) >> (at)&255)
#define NANO_TEXT(text) NANO_TEXT_OF(text)
#define NANO_TEXT_OF(text) #text
#define NANO_CODE(word)                                                                            \
    ".byte " NANO_BYTE(word, 0) ", " NANO_BYTE(word, 8) ", " NANO_BYTE(word, 16) "\n\t"
/* ldinc mM, aS: aS += 4, then mM is what is there */
#define NANO_LDINC(m, s) NANO_CODE(0x800004 | (m) << 12 | (s) << 8)
/* mula.dd.ll.ldinc (of the low halves) and .hh. (the high ones) mM, aS, mX, mY: X 0 or 1, Y 2 or 3
 */
#define NANO_MULA_LL(m, s, x, y)                                                                   \
    NANO_CODE(0x080004 | (x) << 14 | (m) << 12 | (s) << 8 | ((y)-2) << 6)
#define NANO_MULA_HH(m, s, x, y)                                                                   \
    NANO_CODE(0x0B0004 | (x) << 14 | (m) << 12 | (s) << 8 | ((y)-2) << 6)
/* wsr.acclo aT, rsr.acclo aT */
#define NANO_WSR_ACCLO(t) NANO_CODE(0x131000 | (t) << 4)
#define NANO_RSR_ACCLO(t) NANO_CODE(0x031000 | (t) << 4)

/* clang-format off */

/* A function of its own: the compiler knows nothing of the loop's registers, and might use them for
 * a loop around. No ABI of Xtensa's has another use for a5, a6 and a8 to a11. */
__attribute__((noinline))
static void nano_mac16_rows(const int16_t *w, const int16_t *x, uint32_t fours,
                            int32_t sum[NANO_MAC16_ROWS]) {
    register const int16_t *row __asm__("a8") = w - 2;
    register const int16_t *first __asm__("a5") = x - 2;
    register uint32_t count __asm__("a10") = fours;
    register int32_t *to __asm__("a6") = sum;
    __asm__ volatile( /* m0, m1: weights; m2, m3: inputs, which a9 walks along */
        NANO_LDINC(0, 8)
        NANO_LDINC(1, 8)
        ".rept 4\n\t"
        "mov a9, a5\n\t"
        "movi a11, 0\n\t"
        NANO_WSR_ACCLO(11)
        NANO_LDINC(2, 9)
        "1: .byte 0x76, 0x9A, 2f - 1b - 4\n\t" /* loopnez a10, 2f */
        NANO_MULA_LL(3, 9, 0, 2)
        NANO_MULA_HH(0, 8, 0, 2)
        NANO_MULA_LL(2, 9, 1, 3)
        NANO_MULA_HH(1, 8, 1, 3)
        "2:\n\t"
        NANO_RSR_ACCLO(11)
        "s32i a11, a6, 0\n\t"
        "addi a6, a6, 4\n\t"
        ".endr"
        : "+r"(row), "+r"(to)
        : "r"(first), "r"(count)
        : "a9", "a11", "memory");
}

/* clang-format on */

#else

static inline void nano_mac16_rows(const int16_t *w, const int16_t *x, uint32_t fours,
                                   int32_t sum[NANO_MAC16_ROWS]) {
    for (uint32_t r = 0; r < NANO_MAC16_ROWS; r++) {
        uint32_t acc = 0;
        for (uint32_t i = 0; i < 4 * fours; i++)
            acc += (uint32_t)(*w++ * x[i]);
        sum[r] = (int32_t)acc;
    }
}

#endif

#endif
