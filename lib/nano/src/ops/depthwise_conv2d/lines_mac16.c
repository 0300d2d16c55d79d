/* sum = bias + sum_{i,j} plane[i][j] * w[i][j] along lines with MAC16. 3 x 3: weights stay in
 * registers, and inputs, two to a word, come with the products: where two outputs share their words
 * the second one goes through them backwards. */
#include "lines_mac16.h"

#include "../../mac16_code.h"
#include "nano/ops.h"

/* Lines of sums of 3 x 3 taps. */
typedef struct {
    const int16_t *weights; /* 0 */
    uint32_t pitch, step;   /* 4, 8: bytes from a line of taps to the next, from output lines */
    uint32_t count;         /* 12: outputs of a line; stride 1: pairs of them */
    uint32_t odd;           /* 16: bytes of sums that a line has too many */
    const uint16_t *end;    /* 20: behind the last output line's first line */
    int32_t bias;           /* 24 */
} lines;

#if NANO_MAC16_NATIVE

/* clang-format off */
/* Weights in a2 to a6, the lines' inputs at a8 to a10, the bias in a12. m0 is a line's first word
 * and m1 its second; what m2 gets is not used, its address is. */
#define LINES_3X3(name, body) \
    __attribute__((noinline)) static void name(const lines *job, const uint16_t *line, \
                                               int32_t *sum) { \
        __asm__ volatile( \
            "l32i.n a8, %[job], 0\n\t" \
            "l32i.n a12, %[job], 24\n\t" \
            "l32i.n a2, a8, 0\n\t" \
            "l32i.n a3, a8, 4\n\t" \
            "l32i.n a4, a8, 8\n\t" \
            "l32i.n a5, a8, 12\n\t" \
            "l32i.n a6, a8, 16\n" \
            "3:\n\t" \
            "l32i.n a11, %[job], 4\n\t" \
            "addi a8, %[line], -4\n\t" \
            "add.n a9, a8, a11\n\t" \
            "add.n a10, a9, a11\n\t" \
            NANO_LDINC(0, 8) \
            "l32i.n a11, %[job], 12\n\t" \
            NANO_LOOPNEZ(11) \
            body \
            "2:\n\t" \
            "l32i.n a8, %[job], 8\n\t" \
            "l32i.n a9, %[job], 16\n\t" \
            "l32i.n a10, %[job], 20\n\t" \
            "add.n %[line], %[line], a8\n\t" \
            "sub %[sum], %[sum], a9\n\t" \
            "bne %[line], a10, 3b" \
            : [line] "+&r"(line), [sum] "+&r"(sum) \
            : [job] "r"(job) \
            : "a2", "a3", "a4", "a5", "a6", "a8", "a9", "a10", "a11", "a12", "memory"); \
    }

LINES_3X3(lines_3x3,
    NANO_WSR_ACCLO(12)
    NANO_MULA_DA_LDINC(NANO_LL, 0, 2, 1, 8)
    NANO_MULA_DA_LDINC(NANO_HH, 0, 2, 0, 9)
    NANO_MULA_DA_LDINC(NANO_LL, 1, 3, 1, 9)
    NANO_MULA_DA(NANO_LH, 0, 3)
    NANO_MULA_DA_LDINC(NANO_HL, 0, 4, 0, 10)
    NANO_MULA_DA_LDINC(NANO_LH, 1, 4, 1, 10)
    NANO_MULA_DA(NANO_LL, 0, 5)
    NANO_MULA_DA(NANO_HH, 0, 5)
    NANO_MULA_DA(NANO_LL, 1, 6)
    NANO_RSR_ACCLO(11)
    NANO_WSR_ACCLO(12)
    NANO_MULA_DA_LDDEC(NANO_HL, 0, 5, 0, 9)
    NANO_MULA_DA_LDDEC(NANO_LH, 1, 5, 2, 10)
    NANO_MULA_DA_LDINC(NANO_HL, 1, 6, 1, 9)
    NANO_MULA_DA_LDDEC(NANO_HH, 0, 3, 0, 8)
    NANO_MULA_DA_LDDEC(NANO_LL, 1, 4, 2, 9)
    NANO_MULA_DA_LDINC(NANO_HH, 1, 4, 1, 8)
    NANO_MULA_DA_LDDEC(NANO_HL, 0, 2, 2, 8)
    NANO_MULA_DA_LDINC(NANO_LH, 1, 2, 0, 8)
    NANO_MULA_DA(NANO_HL, 1, 3)
    "s32i.n a11, %[sum], 0\n\t"
    NANO_RSR_ACCLO(11)
    "s32i.n a11, %[sum], 4\n\t"
    "addi.n %[sum], %[sum], 8\n\t")

LINES_3X3(lines_3x3_stride2,
    NANO_WSR_ACCLO(12)
    NANO_MULA_DA_LDINC(NANO_LL, 0, 2, 1, 8)
    NANO_MULA_DA_LDINC(NANO_HH, 0, 2, 0, 9)
    NANO_MULA_DA_LDINC(NANO_LL, 1, 3, 1, 9)
    NANO_MULA_DA_LDDEC(NANO_LH, 0, 3, 2, 8)
    NANO_MULA_DA_LDINC(NANO_HL, 0, 4, 0, 10)
    NANO_MULA_DA_LDINC(NANO_LH, 1, 4, 1, 10)
    NANO_MULA_DA_LDDEC(NANO_LL, 0, 5, 2, 9)
    NANO_MULA_DA_LDINC(NANO_HH, 0, 5, 0, 8)
    NANO_MULA_DA_LDDEC(NANO_LL, 1, 6, 2, 10)
    NANO_RSR_ACCLO(11)
    "s32i.n a11, %[sum], 0\n\t"
    "addi.n %[sum], %[sum], 4\n\t")

/* One sum: `fours` fours of each of `rows` rows, `pitch` bytes apart. */
__attribute__((noinline)) static int32_t window(const int16_t *weights, const uint16_t *x,
                                                uint32_t pitch, uint32_t rows, uint32_t n,
                                                int32_t bias) {
    register const int16_t *w __asm__("a8") = weights - 2;
    register uint32_t fours __asm__("a10") = n;
    register int32_t sum __asm__("a11") = bias;
    const uint16_t *row = x - 2;
    __asm__ volatile(
        NANO_WSR_ACCLO(11)
        NANO_LDINC(0, 8)
        NANO_LDINC(1, 8)
        "\n3:\n\t"
        "mov.n a9, %[row]\n\t"
        "add.n %[row], %[row], %[pitch]\n\t"
        NANO_LDINC(2, 9)
        NANO_LOOPNEZ(10)
        NANO_MAC16_FOUR
        "2:\n\t"
        "addi.n %[rows], %[rows], -1\n\t"
        "bnez %[rows], 3b\n\t"
        NANO_RSR_ACCLO(11)
        : "+r"(w), "+r"(sum), [row] "+&r"(row), [rows] "+&r"(rows)
        : "r"(fours), [pitch] "r"(pitch)
        : "a9", "memory");
    return sum;
}
/* clang-format on */

#else

/* Output lines with `along` inputs from output to output; `together` at a time. */
static inline void any_3x3(const lines *job, const uint16_t *line, int32_t *sum, uint32_t along) {
    const uint32_t outputs = along == 1 ? 2 * job->count : job->count;
    for (; line != job->end; line += job->step / 2, sum -= job->odd / 4) {
        for (uint32_t x = 0; x < outputs * along; x += along) {
            int32_t acc = job->bias;
            for (uint32_t i = 0; i < 9; i++)
                acc += line[i / 3 * (job->pitch / 2) + x + i % 3] * job->weights[i];
            *sum++ = acc;
        }
    }
}

static void lines_3x3(const lines *job, const uint16_t *line, int32_t *sum) {
    any_3x3(job, line, sum, 1);
}

static void lines_3x3_stride2(const lines *job, const uint16_t *line, int32_t *sum) {
    any_3x3(job, line, sum, 2);
}

static int32_t window(const int16_t *w, const uint16_t *x, uint32_t pitch, uint32_t rows,
                      uint32_t fours, int32_t bias) {
    int32_t sum = bias;
    for (; rows > 0; rows--, x += pitch / 2) {
        for (uint32_t k = 0; k < 4 * fours; k++)
            sum += x[k] * *w++;
    }
    return sum;
}

#endif

void nano_lines_sums_3x3_mac16(const nano_lines_job *job) {
    const uint32_t outputs = job->outputs, paired = job->along == 1;
    const uint16_t *const plane = (const uint16_t *)job->plane;
    lines all = {.weights = (const int16_t *)(const void *)job->weights};
    all.pitch = 2 * job->pitch;
    all.step = 2 * job->plane_step;
    all.count = paired ? (outputs + 1) / 2 : outputs;
    all.odd = paired ? 4 * (outputs & 1) : 0;
    all.end = plane + job->lines * job->plane_step;
    all.bias = *job->scale >> 8;
    (paired ? lines_3x3 : lines_3x3_stride2)(&all, plane, job->sums);
}

void nano_lines_sums_mac16(const nano_lines_job *job) {
    const int16_t *const weights = (const int16_t *)(const void *)job->weights;
    const uint32_t fours[2] = {nano_lines_mac16_fours(job, 0), nano_lines_mac16_fours(job, 1)};
    const int16_t *const w[2] = {weights, weights + 4 * fours[0] * job->kernel};
    const int32_t bias = *job->scale >> 8;
    const uint16_t *plane = (const uint16_t *)job->plane;
    int32_t *sum = job->sums;
    for (uint32_t n = job->lines; n > 0; n--, plane += job->plane_step) {
        for (uint32_t i = 0, x = 0; i < job->outputs; i++, x += job->along)
            *sum++ = window(w[x & 1], plane + (x & ~1u), 2 * job->pitch, job->kernel, fours[x & 1],
                            bias);
    }
}
