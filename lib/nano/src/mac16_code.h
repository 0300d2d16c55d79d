/* mac16_code.h - the instructions of an Xtensa core's MAC16 option as bytes (internal).
 *
 * The option multiplies two halves, adds the product to an accumulator of 40 bits and loads the
 * next two halves, all in one instruction; loops cost nothing. An assembler that was configured for
 * a core without these, as Debian's is, does not know them: they are written as bytes (Xtensa ISA
 * reference, chapter 6).
 *
 * Interrupts and tasks: nothing is kept in the unit from one call of a kernel to the next, but
 * while one runs ACCLO, ACCHI, M0 to M3, LBEG, LEND, LCOUNT and SAR are its own. ESP-IDF's FreeRTOS
 * saves the loop's registers and SAR with every interrupt, and the unit's with every task that is
 * switched out in one (they are of XCHAL_NCP_SA_LIST, for which _xt_context_save calls
 * xthal_save_extra_nw): tasks may run kernels side by side. A task that gives way of itself saves
 * none of them, and no kernel does. An interrupt's own code may use the unit only if it restores
 * it, as ESP-IDF does for those of levels 1 to 3; the bare ports' interrupts do not use it.
 *
 * QEMU keeps m0 to m3 twice and mixes them up within a translated block: -singlestep. */
#ifndef NANO_MAC16_CODE_H
#define NANO_MAC16_CODE_H

#include "nano/config.h"

/* On another core what is for MAC16 is plain C, bit by bit the same: so it runs on a host, too. */
#if NANO_MAC16 && defined(__XTENSA__)
#define NANO_MAC16_NATIVE 1
#else
#define NANO_MAC16_NATIVE 0
#endif

#if NANO_MAC16_NATIVE

/* clang-format off */
#define NANO_BYTE(word, at) NANO_TEXT((word) >> (at) & 255)
#define NANO_TEXT(text) NANO_TEXT_OF(text)
#define NANO_TEXT_OF(text) #text
#define NANO_CODE(word) \
    ".byte " NANO_BYTE(word, 0) ", " NANO_BYTE(word, 8) ", " NANO_BYTE(word, 16) "\n\t"
/* ldinc mM, aS: aS += 4, then mM is what is there */
#define NANO_LDINC(m, s) NANO_CODE(0x800004 | (m) << 12 | (s) << 8)
/* mula.dd.ll.ldinc (the low halves) and .hh. (the high ones) mM, aS, mX, mY: X 0 or 1, Y 2 or 3 */
#define NANO_MULA_LL(m, s, x, y) NANO_CODE(0x080004 | (x) << 14 | (m) << 12 | (s) << 8 | ((y) - 2) << 6)
#define NANO_MULA_HH(m, s, x, y) NANO_CODE(0x0B0004 | (x) << 14 | (m) << 12 | (s) << 8 | ((y) - 2) << 6)
/* mula.da.* mX, aT: a half of each, X 0 or 1; .ldinc mM, aS beside it, and .lddec: aS -= 4 first */
#define NANO_LL 0x00000
#define NANO_HL 0x10000 /* mX's high half, aT's low one */
#define NANO_LH 0x20000
#define NANO_HH 0x30000
#define NANO_MULA_DA(halves, x, t) NANO_CODE(0x680004 | (halves) | (x) << 14 | (t) << 4)
#define NANO_MULA_DA_LDINC(halves, x, t, m, s) \
    NANO_CODE(0x480004 | (halves) | (x) << 14 | (m) << 12 | (s) << 8 | (t) << 4)
#define NANO_MULA_DA_LDDEC(halves, x, t, m, s) \
    NANO_CODE(0x580004 | (halves) | (x) << 14 | (m) << 12 | (s) << 8 | (t) << 4)
/* wsr.acclo aT; rsr.acclo aT; loopnez aS, 2f, at label 1 */
#define NANO_WSR_ACCLO(t) NANO_CODE(0x131000 | (t) << 4)
#define NANO_RSR_ACCLO(t) NANO_CODE(0x031000 | (t) << 4)
#define NANO_LOOPNEZ(s) "1: .byte 0x76, " NANO_TEXT(0x90 | (s)) ", 2f - 1b - 4\n\t"
#define NANO_NOP NANO_CODE(0x0020F0)
/* The next instruction at a multiple of 4: what fills the way is nothing to be executed. */
#define NANO_MAC16_ALIGN "j 4f\n\t.balign 4\n4:\n\t"
/* min aR, aS, aT; max */
#define NANO_MIN(r, s, t) NANO_CODE(0x430000 | (r) << 12 | (s) << 8 | (t) << 4)
#define NANO_MAX(r, s, t) NANO_CODE(0x530000 | (r) << 12 | (s) << 8 | (t) << 4)
/* Four products: x's at a9, weights' at a8; m0, m1 and m2 have been loaded. */
#define NANO_MAC16_FOUR \
    NANO_MULA_LL(3, 9, 0, 2) \
    NANO_MULA_HH(0, 8, 0, 2) \
    NANO_MULA_LL(2, 9, 1, 3) \
    NANO_MULA_HH(1, 8, 1, 3)
/* clang-format on */

#endif

#endif
