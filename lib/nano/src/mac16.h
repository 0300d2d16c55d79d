/* mac16.h - sums of products with an Xtensa core's MAC16 option, and the same in C (internal). */
#ifndef NANO_MAC16_H
#define NANO_MAC16_H

#include <stdint.h>

#include "mac16_code.h"
#include "requant_scalar.h"

/* Rows of weights, one behind the other, and what becomes of their sums:
 *     out[r] = clamp(nano_requantize_scalar(sum_i x[i] * w[r][i]))   r < rows, i < 4 * fours
 * w and x are aligned to 4 bytes; two halves behind x and four behind the last row are read, and
 * not used. */
typedef struct {
    const int16_t *w, *x;
    const int32_t *scales; /* requant_scalar.h's, three words a row */
    int8_t *out;
    uint32_t fours;
    uint32_t rows;  /* at least 1 */
    uint32_t below; /* as nano_requantize_scalar() takes it */
    int32_t min, max;
} nano_mac16_job;

#if NANO_MAC16_NATIVE

/* clang-format off */
/* The sum of a row in a11, which is where it starts before; a9 walks along x. m0 and m1 are the row's
 * first weights, and then the next row's. 11 bytes stand before the loop's body: they begin where
 * that is aligned, so that its first instruction comes with one fetch. */
#define NANO_MAC16_ROW \
    NANO_WSR_ACCLO(11) \
    "mov.n a9, %[x]\n\t" \
    NANO_LDINC(2, 9) \
    NANO_LOOPNEZ(10) \
    NANO_MAC16_FOUR \
    "2:\n\t" \
    NANO_RSR_ACCLO(11)

/* nano_requantize_scalar() of a11, whose bias is in the sum already. */
#define NANO_MAC16_SCALE(below) \
    "l16ui a9, %[scale], 6\n\t" \
    "l16si %[low], %[scale], 4\n\t" \
    "mull a9, a9, a11\n\t" \
    "mull %[low], %[low], a11\n\t" \
    below \
    "l32i.n a11, %[scale], 8\n\t" \
    "srai %[low], %[low], 12\n\t" \
    "add.n a9, a9, %[low]\n\t" \
    "add.n a11, a11, a9\n\t" \
    "ssr %[first]\n\t" \
    "sra a11, a11\n\t"

/* a11 is the output, clamped to a5..a6; then the next row of those from label 3 on. */
#define NANO_MAC16_NEXT \
    NANO_MAX(11, 11, 5) \
    NANO_MIN(11, 11, 6) \
    "s8i a11, %[out], 0\n\t" \
    "addi %[scale], %[scale], 12\n\t" \
    "addi.n %[out], %[out], 1\n\t" \
    "addi.n %[rows], %[rows], -1\n\t" \
    "bnez %[rows], 3b"

/* A function of its own: the compiler knows nothing of the loop's registers, and might use them for
 * a loop around. Registers that instructions in bytes name: no ABI of Xtensa's has another use for
 * a5, a6 and a8 to a11. */
#define NANO_MAC16_ROWS(name, below_code) \
    __attribute__((noinline)) static void name(const nano_mac16_job *job) { \
        register const int16_t *w __asm__("a8") = job->w - 2; \
        register uint32_t fours __asm__("a10") = job->fours; \
        register int32_t min __asm__("a5") = job->min; \
        register int32_t max __asm__("a6") = job->max; \
        const int32_t *scale = job->scales; \
        int8_t *out = job->out; \
        uint32_t rows = job->rows; \
        int32_t first, low; \
        __asm__ volatile( \
            NANO_MAC16_ALIGN \
            NANO_LDINC(0, 8) \
            NANO_LDINC(1, 8) \
            "nop.n\n" \
            "3:\n\t" \
            "l32i.n %[first], %[scale], 0\n\t" \
            "srai a11, %[first], 8\n\t" \
            NANO_MAC16_ROW \
            NANO_MAC16_SCALE(below_code) \
            NANO_MAC16_NEXT \
            : "+r"(w), [scale] "+&r"(scale), [out] "+&r"(out), [rows] "+&r"(rows), \
              [first] "=&r"(first), [low] "=&r"(low) \
            : "r"(fours), "r"(min), "r"(max), [x] "r"(job->x - 2), [below] "r"(job->below) \
            : "a9", "a11", "memory"); \
    }

NANO_MAC16_ROWS(nano_mac16_relu, "")
NANO_MAC16_ROWS(nano_mac16_signed,
    "srai a11, a11, 31\n\t"
    "and a11, a11, %[below]\n\t"
    "sub a9, a9, a11\n\t")

__attribute__((noinline))
static int32_t nano_mac16_sum(const int16_t *weights, const int16_t *x, uint32_t n) {
    register const int16_t *w __asm__("a8") = weights - 2;
    register uint32_t fours __asm__("a10") = n;
    register int32_t sum __asm__("a11") = 0;
    __asm__ volatile(
        NANO_MAC16_ALIGN
        NANO_LDINC(0, 8)
        NANO_LDINC(1, 8)
        NANO_NOP
        NANO_MAC16_ROW
        : "+r"(w), "+r"(sum)
        : "r"(fours), [x] "r"(x - 2)
        : "a9", "memory");
    return sum;
}
/* clang-format on */

static inline void nano_mac16_outputs(const nano_mac16_job *job) {
    (job->below == 0 ? nano_mac16_relu : nano_mac16_signed)(job);
}

#else

/* sum_i x[i] * w[i], i < 4 * fours, modulo 2^32 */
static inline int32_t nano_mac16_sum(const int16_t *w, const int16_t *x, uint32_t fours) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 4 * fours; i++)
        sum += (uint32_t)(w[i] * x[i]);
    return (int32_t)sum;
}

static inline void nano_mac16_outputs(const nano_mac16_job *job) {
    for (uint32_t r = 0; r < job->rows; r++) {
        const nano_scaling s = nano_scaling_of(job->scales + 3 * r);
        const int32_t sum = nano_mac16_sum(job->w + 4 * job->fours * r, job->x, job->fours);
        const int32_t q = nano_requantize_scalar(sum, &s, job->below);
        job->out[r] = (int8_t)(q < job->min ? job->min : q > job->max ? job->max : q);
    }
}

#endif

#endif
