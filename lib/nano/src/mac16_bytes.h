/* mac16_bytes.h - mac16.h's sums with weights as bytes, 128 larger (internal):
 *     sum x * w = sum x * (w + 128) - 128 * sum x
 * Four weights come with one load, and masks make two words of two halves of them: the halves that
 * the first two inputs meet are bytes 0 and 2. */
#ifndef NANO_MAC16_BYTES_H
#define NANO_MAC16_BYTES_H

#include "mac16.h"

/* Rows of bytes, as nano_mac16_job has rows of halves, but nothing is read ahead of them. What
 * fills up the last four is 0, in x as in w. */
typedef struct {
    const uint8_t *w;      /* 0 */
    const int16_t *x;      /* 4 */
    int32_t less;          /* 8: 128 * sum_i x[i] */
    uint32_t eights;       /* 12: terms, in eights */
    uint32_t four;         /* 16: 1: and four more */
    uint32_t below;        /* 20 */
    uint32_t rows;         /* at least 1 */
    const int32_t *scales; /* as in nano_mac16_job */
    int8_t *out;
    int32_t min, max;
} nano_mac16_bytes_job;

#if NANO_MAC16_NATIVE

/* clang-format off */
/* Weights as halves in a12 and a13, of which a8 goes on; %[mask] is 0x00FF00FF. */
#define NANO_MAC16_BYTES(word) \
    "l32i.n a12, a8, " #word "\n\t" \
    "srli a13, a12, 8\n\t" \
    "and a12, a12, %[mask]\n\t" \
    "and a13, a13, %[mask]\n\t"
/* Four products: m0 has been loaded, a9 is where. */
#define NANO_MAC16_BYTES_FOUR \
    NANO_MULA_DA_LDINC(NANO_LL, 0, 12, 1, 9) \
    NANO_MULA_DA(NANO_HH, 0, 12) \
    NANO_MULA_DA_LDINC(NANO_LL, 1, 13, 0, 9) \
    NANO_MULA_DA(NANO_HH, 1, 13)

/* The sum of a row in a11, which is where it starts before. */
#define NANO_MAC16_BYTES_ROW \
    "l32i.n a9, %[job], 4\n\t" \
    "l32i.n a10, %[job], 16\n\t" \
    "addi a9, a9, -4\n\t" \
    NANO_WSR_ACCLO(11) \
    NANO_LDINC(0, 9) \
    "beqz.n a10, 4f\n\t" \
    NANO_MAC16_BYTES(0) \
    "addi.n a8, a8, 4\n\t" \
    NANO_MAC16_BYTES_FOUR \
    "4:\n\t" \
    "l32i.n a10, %[job], 12\n\t" \
    NANO_LOOPNEZ(10) \
    NANO_MAC16_BYTES(0) \
    NANO_MAC16_BYTES_FOUR \
    NANO_MAC16_BYTES(4) \
    "addi.n a8, a8, 8\n\t" \
    NANO_MAC16_BYTES_FOUR \
    "2:\n\t" \
    NANO_RSR_ACCLO(11)

#define NANO_MAC16_BYTES_ROWS(name, below_code) \
    __attribute__((noinline)) static void name(const nano_mac16_bytes_job *job) { \
        register const uint8_t *w __asm__("a8") = job->w; \
        register int32_t min __asm__("a5") = job->min; \
        register int32_t max __asm__("a6") = job->max; \
        const int32_t *scale = job->scales; \
        int8_t *out = job->out; \
        uint32_t rows = job->rows; \
        __asm__ volatile( \
            "3:\n\t" \
            "l32i.n a11, %[scale], 0\n\t" \
            "l32i.n a12, %[job], 8\n\t" \
            "ssr a11\n\t" \
            "srai a11, a11, 8\n\t" \
            "sub a11, a11, a12\n\t" \
            NANO_MAC16_BYTES_ROW \
            "l16ui a12, %[scale], 6\n\t" \
            "l16si a13, %[scale], 4\n\t" \
            "mull a12, a12, a11\n\t" \
            "mull a13, a13, a11\n\t" \
            below_code \
            "l32i.n a11, %[scale], 8\n\t" \
            "srai a13, a13, 12\n\t" \
            "add.n a12, a12, a13\n\t" \
            "add.n a11, a11, a12\n\t" \
            "sra a11, a11\n\t" \
            NANO_MAC16_NEXT \
            : "+r"(w), [scale] "+&r"(scale), [out] "+&r"(out), [rows] "+&r"(rows) \
            : "r"(min), "r"(max), [job] "r"(job), [mask] "r"(0x00FF00FF) \
            : "a9", "a10", "a11", "a12", "a13", "memory"); \
    }

NANO_MAC16_BYTES_ROWS(nano_mac16_bytes_relu, "")
NANO_MAC16_BYTES_ROWS(nano_mac16_bytes_signed,
    "l32i.n a9, %[job], 20\n\t"
    "srai a11, a11, 31\n\t"
    "and a11, a11, a9\n\t"
    "sub a12, a12, a11\n\t")

/* The sum of the row at `weights`, of job->w. */
__attribute__((noinline))
static int32_t nano_mac16_bytes_sum(const nano_mac16_bytes_job *job, const uint8_t *weights) {
    register const uint8_t *w __asm__("a8") = weights;
    register int32_t sum __asm__("a11") = -job->less;
    __asm__ volatile(
        NANO_MAC16_BYTES_ROW
        : "+r"(w), "+r"(sum)
        : [job] "r"(job), [mask] "r"(0x00FF00FF)
        : "a9", "a10", "a12", "a13", "memory");
    return sum;
}

/* 128 * sum_i x[i], i < 2 * words */
__attribute__((noinline))
static int32_t nano_mac16_bytes_less(const int16_t *x, uint32_t words) {
    register const int16_t *at __asm__("a9") = x - 2;
    register uint32_t left __asm__("a10") = words;
    register int32_t sum __asm__("a11") = 0;
    register int32_t factor __asm__("a8") = 128;
    __asm__ volatile(
        NANO_WSR_ACCLO(11)
        NANO_LDINC(0, 9)
        NANO_LOOPNEZ(10)
        NANO_MULA_DA(NANO_LL, 0, 8)
        NANO_MULA_DA_LDINC(NANO_HL, 0, 8, 0, 9)
        "2:\n\t"
        NANO_RSR_ACCLO(11)
        : "+r"(at), "+r"(sum)
        : "r"(left), "r"(factor)
        : "memory");
    return sum;
}
/* clang-format on */

static inline void nano_mac16_bytes_outputs(const nano_mac16_bytes_job *job) {
    (job->below == 0 ? nano_mac16_bytes_relu : nano_mac16_bytes_signed)(job);
}

#else

static inline int32_t nano_mac16_bytes_sum(const nano_mac16_bytes_job *job, const uint8_t *w) {
    uint32_t sum = 0 - (uint32_t)job->less;
    for (uint32_t i = 0; i < 8 * job->eights + 4 * job->four; i++)
        sum += (uint32_t)(w[(i & ~3u) | (i << 1 & 2u) | (i >> 1 & 1u)] * job->x[i]);
    return (int32_t)sum;
}

static inline int32_t nano_mac16_bytes_less(const int16_t *x, uint32_t words) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < 2 * words; i++)
        sum += 128 * x[i];
    return sum;
}

static inline void nano_mac16_bytes_outputs(const nano_mac16_bytes_job *job) {
    const uint8_t *w = job->w;
    for (uint32_t r = 0; r < job->rows; r++, w += 8 * job->eights + 4 * job->four) {
        const nano_scaling s = nano_scaling_of(job->scales + 3 * r);
        const int32_t q = nano_requantize_scalar(nano_mac16_bytes_sum(job, w), &s, job->below);
        job->out[r] = (int8_t)(q < job->min ? job->min : q > job->max ? job->max : q);
    }
}

#endif

#endif
