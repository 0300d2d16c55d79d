/* pie.h - sums of products with the ESP32-S3's PIE, and the same in C (internal). Never run on
 * silicon yet: what the assembler's bytes do is tested in tests/xtensa.py's interpreter of them.
 *
 * The extension (ESP32-S3 Technical Reference Manual, chapter "Processor Instruction Extensions")
 * multiplies sixteen bytes by sixteen, adds the products to ACCX, 40 bits, and loads sixteen more,
 * in one instruction. Loads ignore an address's low four bits. No assembler but Espressif's knows
 * it, so its instructions are written as bytes. The core has MULSH, too: the high word of a
 * product.
 *
 * Scaling is requant.h's, exactly, of sums with |acc| < 2^29 (acc = sum + bias) that are shifted
 * right (e >= 1), from two words of a channel:
 *     scale[0] = 4 * bias * 32 + e      |bias| < 2^24
 *     scale[1] = M                      the multiplier, Q31
 *     t = floor(4 * acc * M / 2^32)     = floor(acc * M / 2^30): one bit behind the point
 *     q = floor((floor((t + 1 - 2 * (acc < 0)) / 2^e) + 2 * zero_point + 1) / 2)
 * Each floor drops what no later sum needs. Where zero_point is -128 all that is negative gives the
 * least output, so the term with acc < 0 is left out.
 *
 * Interrupts and tasks: ACCX and Q0 to Q5 are a coprocessor's (number 3), which ESP-IDF's FreeRTOS
 * saves when another task of the core uses it, and binds the task to its core; an interrupt's code
 * must not use it. Q6 and Q7 it does not save (tie-asm.h of the S3), so no kernel has them. The
 * loop's registers and SAR are saved with every interrupt. */
#ifndef NANO_PIE_H
#define NANO_PIE_H

#include <stdint.h>

#include "mac16_code.h"
#include "nano/requant.h"

/* On another core what is for PIE is plain C, bit by bit the same: so it runs on a host, too. */
#if NANO_PIE && NANO_MAC16_NATIVE
#define NANO_PIE_NATIVE 1
#else
#define NANO_PIE_NATIVE 0
#endif

/* Rows of weights, one behind the other, and what becomes of their sums:
 *     out[r] = clamp(q(sum_i x[i] * w[r][i]))   r < rows, i < 16 * sixteens
 * w and x are aligned to 16 bytes; sixteen bytes behind the last row are read, and not used. */
typedef struct {
    const int8_t *w;
    const int8_t *x;       /* 4 */
    const int32_t *scales; /* two words a row */
    int8_t *out;
    uint32_t sixteens; /* 16; at least 1 */
    uint32_t rows;     /* at least 1 */
    int32_t zero;      /* 2 * zero_point + 1 */
    int32_t min, max;
} nano_pie_job;

#define NANO_PIE_HELD 5 /* sixteens of x that registers hold for all rows */

#if NANO_PIE_NATIVE

/* clang-format off */
#define NANO_CODE4(word) \
    ".byte " NANO_BYTE(word, 0) ", " NANO_BYTE(word, 8) ", " NANO_BYTE(word, 16) ", " \
    NANO_BYTE(word, 24) "\n\t"
/* ee.vld.128.ip qQ, aS, 16 */
#define NANO_VLD(q, s) \
    NANO_CODE(0x830104 | ((q) & 1) << 15 | ((q) >> 1) << 20 | (s) << 4)
/* ee.zero.accx; rur.accx_0 aR */
#define NANO_ZERO_ACCX NANO_CODE(0x250804)
#define NANO_RUR_ACCX(r) NANO_CODE(0xE30000 | (r) << 12)
/* ee.vmulas.s8.accx.ld.ip qU, aS, 16, qX, qY */
#define NANO_VMULAS_LD(u, s, x, y) \
    NANO_CODE4(0xF002010E | ((u) & 1) << 19 | ((u) >> 1) << 24 | (s) << 4 | ((x) & 3) << 14 | \
               ((x) >> 2) | ((y) & 1) << 23 | ((y) >> 1) << 12)
/* mulsh aR, aS, aT */
#define NANO_MULSH(r, s, t) NANO_CODE(0xB20000 | (r) << 12 | (s) << 8 | (t) << 4)

/* The output of the sum in ACCX, which is read two instructions after the last product. a9 and a11
 * are used, and a12, which SSR takes. `nudge`: t + 1, less 2 where a11 is negative. */
#define NANO_PIE_SCALE(nudge) \
    "l32i.n a12, %[scale], 0\n\t" \
    "l32i.n a9, %[scale], 4\n\t" \
    NANO_RUR_ACCX(11) \
    "ssr a12\n\t" \
    "srai a12, a12, 5\n\t" \
    "addx4 a11, a11, a12\n\t" \
    NANO_MULSH(11, 11, 9) \
    nudge \
    "addi.n %[scale], %[scale], 8\n\t" \
    "sra a11, a11\n\t" \
    "add.n a11, a11, %[zero]\n\t" \
    "srai a11, a11, 1\n\t" \
    NANO_MAX(11, 11, 5) \
    NANO_MIN(11, 11, 6) \
    "s8i a11, %[out], 0\n\t" \
    "addi.n %[out], %[out], 1\n\t"
#define NANO_PIE_RELU "addi.n a11, a11, 1\n\t"
#define NANO_PIE_SIGNED \
    "srai a12, a11, 31\n\t" \
    "addi.n a11, a11, 1\n\t" \
    "addx2 a11, a12, a11\n\t"

/* As NANO_MAC16_ROWS: functions of their own, in registers that instructions in bytes name.
 *
 * Few sixteens: x stays in q5 down to q1, and a loop goes from row to row. Its first instructions
 * are a ladder of products with q1 to q5, of which the last `sixteens` are those to be done: a10 is
 * where they begin. Such a ladder loads x, too. q0 is the row's next weights. */
#define NANO_PIE_FEW(name, nudge) \
    __attribute__((noinline, noclone)) static void name(const nano_pie_job *job) { \
        register const int8_t *w __asm__("a8") = job->w; \
        register int32_t min __asm__("a5") = job->min; \
        register int32_t max __asm__("a6") = job->max; \
        const int32_t *scale = job->scales; \
        int8_t *out = job->out; \
        __asm__ volatile( \
            "l32i.n a9, %[job], 16\n\t" \
            "movi.n a11, 5\n\t" \
            "sub a11, a11, a9\n\t" \
            "l32i.n a9, %[job], 4\n\t" \
            "movi a10, 5f\n\t" \
            "movi a12, 6f\n\t" \
            "addx4 a10, a11, a10\n\t" \
            "addx2 a12, a11, a12\n\t" \
            "add.n a11, a11, a12\n\t" \
            "jx a11\n" \
            "6:\n\t" \
            NANO_VLD(1, 9) NANO_VLD(2, 9) NANO_VLD(3, 9) NANO_VLD(4, 9) NANO_VLD(5, 9) \
            NANO_VLD(0, 8) \
            "l32i.n a9, %[job], 20\n\t" \
            NANO_LOOPNEZ(9) \
            NANO_ZERO_ACCX \
            "jx a10\n" \
            "5:\n\t" \
            NANO_VMULAS_LD(0, 8, 0, 1) NANO_VMULAS_LD(0, 8, 0, 2) NANO_VMULAS_LD(0, 8, 0, 3) \
            NANO_VMULAS_LD(0, 8, 0, 4) NANO_VMULAS_LD(0, 8, 0, 5) \
            NANO_PIE_SCALE(nudge) \
            "2:\n\t" \
            : "+r"(w), [scale] "+&r"(scale), [out] "+&r"(out) \
            : "r"(min), "r"(max), [job] "r"(job), [zero] "r"(job->zero) \
            : "a9", "a10", "a11", "a12", "memory"); \
    }

/* More sixteens: x's first four stay in q1 to q4, and a loop goes through the others, by q5. */
#define NANO_PIE_MANY(name, nudge) \
    __attribute__((noinline, noclone)) static void name(const nano_pie_job *job) { \
        register const int8_t *w __asm__("a8") = job->w; \
        register const int8_t *x __asm__("a9") = job->x; \
        register uint32_t more __asm__("a10") = job->sixteens - 5; \
        register int32_t min __asm__("a5") = job->min; \
        register int32_t max __asm__("a6") = job->max; \
        const int32_t *scale = job->scales; \
        int8_t *out = job->out; \
        uint32_t rows = job->rows; \
        __asm__ volatile( \
            NANO_VLD(1, 9) NANO_VLD(2, 9) NANO_VLD(3, 9) NANO_VLD(4, 9) \
            NANO_VLD(0, 8) \
            "\n3:\n\t" \
            NANO_ZERO_ACCX \
            "mov.n a9, %[rest]\n\t" \
            NANO_VMULAS_LD(0, 8, 0, 1) NANO_VMULAS_LD(0, 8, 0, 2) \
            NANO_VMULAS_LD(0, 8, 0, 3) NANO_VMULAS_LD(0, 8, 0, 4) \
            NANO_VLD(5, 9) \
            NANO_LOOPNEZ(10) \
            NANO_VMULAS_LD(5, 9, 0, 5) \
            NANO_VLD(0, 8) \
            "2:\n\t" \
            NANO_VMULAS_LD(0, 8, 0, 5) \
            NANO_PIE_SCALE(nudge) \
            "addi.n %[rows], %[rows], -1\n\t" \
            "bnez %[rows], 3b" \
            : "+r"(w), "+r"(x), [scale] "+&r"(scale), [out] "+&r"(out), [rows] "+&r"(rows) \
            : "r"(more), "r"(min), "r"(max), [rest] "r"(job->x + 64), [zero] "r"(job->zero) \
            : "a11", "a12", "memory"); \
    }

NANO_PIE_FEW(nano_pie_few_relu, NANO_PIE_RELU)
NANO_PIE_FEW(nano_pie_few_signed, NANO_PIE_SIGNED)
NANO_PIE_MANY(nano_pie_many_relu, NANO_PIE_RELU)
NANO_PIE_MANY(nano_pie_many_signed, NANO_PIE_SIGNED)
/* clang-format on */

static inline void nano_pie_outputs(const nano_pie_job *job) {
    const int relu = job->zero == 2 * -128 + 1;
    if (job->sixteens <= NANO_PIE_HELD)
        (relu ? nano_pie_few_relu : nano_pie_few_signed)(job);
    else
        (relu ? nano_pie_many_relu : nano_pie_many_signed)(job);
}

#else

/* q of a sum, before it is clamped. */
static inline int32_t nano_pie_scale(int32_t sum, const int32_t *scale, int32_t zero) {
    const int32_t acc = (int32_t)((uint32_t)sum * 4u + (uint32_t)(scale[0] >> 5));
    uint32_t high, low; /* of acc * scale[1], which is not negative */
    nano_wide_product((uint32_t)acc, (uint32_t)scale[1], &high, &low);
    const int32_t t = (int32_t)(high - (acc < 0 ? (uint32_t)scale[1] : 0));
    const int32_t nudged = t + (t < 0 && zero != 2 * -128 + 1 ? -1 : 1);
    return ((nudged >> (scale[0] & 31)) + zero) >> 1;
}

static inline void nano_pie_outputs(const nano_pie_job *job) {
    const int8_t *w = job->w;
    for (uint32_t r = 0; r < job->rows; r++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < 16 * job->sixteens; i++)
            sum += job->x[i] * *w++;
        const int32_t q = nano_pie_scale(sum, job->scales + 2 * r, job->zero);
        job->out[r] = (int8_t)(q < job->min ? job->min : q > job->max ? job->max : q);
    }
}

#endif

#endif
