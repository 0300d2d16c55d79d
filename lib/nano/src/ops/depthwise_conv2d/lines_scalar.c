/* sum = bias + sum_{i,j} plane[i][j] * w[i][j] along lines, three at a time: what neighbours share
 * is loaded once, and so is a weight for all three. Then out = requantize(sum). */
#include "lines_scalar.h"

#include "../../mac16_code.h"
#include "nano/ops.h"

/* gcc would load and multiply far ahead, and spill what then fills the registers. */
#if defined(__GNUC__) && !defined(__clang__)
#define IN_ORDER __attribute__((optimize("no-schedule-insns")))
#else
#define IN_ORDER
#endif

/* A line's taps u, v, w times the inputs that three sums need: a[0..], `stride` apart. */
#define THREE(stride)                                                                              \
    do {                                                                                           \
        const int32_t u = weight[0], v = weight[1], w = weight[2];                                 \
        int32_t x = line[0];                                                                       \
        a += x * u;                                                                                \
        x = line[1];                                                                               \
        a += x * v;                                                                                \
        if ((stride) == 1)                                                                         \
            b += x * u;                                                                            \
        x = line[2];                                                                               \
        a += x * w;                                                                                \
        b += x * ((stride) == 1 ? v : u);                                                          \
        if ((stride) == 1)                                                                         \
            c += x * u;                                                                            \
        x = line[3];                                                                               \
        b += x * ((stride) == 1 ? w : v);                                                          \
        if ((stride) == 1)                                                                         \
            c += x * v;                                                                            \
        x = line[4];                                                                               \
        if ((stride) == 2)                                                                         \
            b += x * w;                                                                            \
        c += x * ((stride) == 1 ? w : u);                                                          \
        if ((stride) == 2) {                                                                       \
            c += line[5] * v;                                                                      \
            c += line[6] * w;                                                                      \
        }                                                                                          \
    } while (0)

static inline int32_t one(const uint8_t *line, uint32_t pitch, const int32_t *weight) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < 3; i++, line += pitch, weight += 3) {
        sum += line[0] * weight[0];
        sum += line[1] * weight[1];
        sum += line[2] * weight[2];
    }
    return sum;
}

#define SUMS(stride)                                                                               \
    do {                                                                                           \
        const uint32_t pitch = job->pitch, outputs = job->outputs;                                 \
        const int32_t bias = *job->scale >> 8;                                                     \
        const uint8_t *plane = (const uint8_t *)job->plane;                                        \
        int32_t *sum = job->sums;                                                                  \
        for (uint32_t n = job->lines; n > 0; n--, plane += job->plane_step) {                      \
            const uint8_t *in = plane;                                                             \
            uint32_t left = outputs;                                                               \
            for (; left >= 3; left -= 3, in += 3 * (stride), sum += 3) {                           \
                const int32_t *weight = job->weights;                                              \
                const uint8_t *line = in;                                                          \
                int32_t a = bias, b = bias, c = bias;                                              \
                THREE(stride);                                                                     \
                line += pitch, weight += 3;                                                        \
                THREE(stride);                                                                     \
                line += pitch, weight += 3;                                                        \
                THREE(stride);                                                                     \
                sum[0] = a, sum[1] = b, sum[2] = c;                                                \
            }                                                                                      \
            for (; left > 0; left--, in += (stride))                                               \
                *sum++ = bias + one(in, pitch, job->weights);                                      \
        }                                                                                          \
    } while (0)

IN_ORDER void nano_lines_sums_3x3(const nano_lines_job *job) {
    SUMS(1);
}

IN_ORDER void nano_lines_sums_3x3_stride2(const nano_lines_job *job) {
    SUMS(2);
}

/* A tap of N outputs, two or three, `along` apart. */
#define TAP(N, i)                                                                                  \
    do {                                                                                           \
        const int32_t w = weight[i];                                                               \
        a += first[i] * w;                                                                         \
        b += second[i] * w;                                                                        \
        if ((N) == 3)                                                                              \
            c += third[i] * w;                                                                     \
    } while (0)
#define STEP(n) weight += (n), first += (n), second += (n), third += (n)

/* N sums side by side, from the first one's first tap. */
#define SEVERAL(name, N)                                                                           \
    IN_ORDER static void name(const nano_lines_job *job, const uint8_t *in, int32_t *out) {        \
        const int32_t *weight = job->weights;                                                      \
        const uint32_t along = job->along, gap = job->gap, next = job->pitch - job->taps * gap;    \
        int32_t a = *job->scale >> 8, b = a, c = a;                                                \
        const uint8_t *first = in, *second = in + along, *third = second + along;                  \
        for (uint32_t lines = job->kernel; lines > 0; lines--) {                                   \
            const int32_t *const end = weight + job->taps;                                         \
            for (; gap == 1 && end - weight >= 4; STEP(4)) {                                       \
                TAP(N, 0);                                                                         \
                TAP(N, 1);                                                                         \
                TAP(N, 2);                                                                         \
                TAP(N, 3);                                                                         \
            }                                                                                      \
            if (gap == 1 && end - weight >= 2) {                                                   \
                TAP(N, 0);                                                                         \
                TAP(N, 1);                                                                         \
                STEP(2);                                                                           \
            }                                                                                      \
            for (; weight != end; weight++, first += gap, second += gap, third += gap)             \
                TAP(N, 0);                                                                         \
            first += next, second += next, third += next;                                          \
        }                                                                                          \
        out[0] = a, out[1] = b;                                                                    \
        if ((N) == 3)                                                                              \
            out[2] = c;                                                                            \
    }

SEVERAL(two, 2)
SEVERAL(three, 3)

static int32_t any(const nano_lines_job *job, const uint8_t *in) {
    const int32_t *weight = job->weights;
    int32_t sum = 0;
    for (uint32_t i = job->kernel; i > 0; i--, in += job->pitch) {
        for (uint32_t k = 0; k < job->taps; k++)
            sum += in[k * job->gap] * *weight++;
    }
    return sum;
}

void nano_lines_sums(const nano_lines_job *job) {
    const uint32_t along = job->along;
    const int32_t bias = *job->scale >> 8;
    const uint8_t *plane = (const uint8_t *)job->plane;
    int32_t *sum = job->sums;
    for (uint32_t n = job->lines; n > 0; n--, plane += job->plane_step) {
        const uint8_t *in = plane;
        uint32_t left = job->outputs;
        for (; left >= 3; left -= 3, in += 3 * along, sum += 3)
            three(job, in, sum);
        if (left == 2)
            two(job, in, sum);
        else if (left == 1)
            *sum = bias + any(job, in);
        sum += left;
    }
}

/* What the outputs of a channel have in common. */
typedef struct {
    nano_scaling scaling;
    int32_t low, high; /* clamp, 2^shift times as large */
    uint32_t step;     /* bytes from output to output */
} channel;

#if NANO_MAC16_NATIVE

/* n accumulators to outputs, in a loop of the hardware's. */
/* clang-format off */
#define STORE(name, below_code) \
    __attribute__((noinline)) static void name(const int32_t *acc, uint32_t n, int8_t *out, \
                                               const channel *c, uint32_t below) { \
        register int32_t low __asm__("a5") = c->low; \
        register int32_t high __asm__("a6") = c->high; \
        register uint32_t left __asm__("a10") = n; \
        int32_t lower; \
        __asm__ volatile( \
            "ssr %[shift]\n\t" \
            NANO_LOOPNEZ(10) \
            "l32i.n a11, %[acc], 0\n\t" \
            "addi.n %[acc], %[acc], 4\n\t" \
            "mull %[lower], %[factor], a11\n\t" \
            "mull a9, %[upper], a11\n\t" \
            "srai %[lower], %[lower], 12\n\t" \
            "add.n a9, a9, %[round]\n\t" \
            "add.n a9, a9, %[lower]\n\t" \
            below_code \
            NANO_MAX(9, 9, 5) \
            NANO_MIN(9, 9, 6) \
            "sra a9, a9\n\t" \
            "s8i a9, %[out], 0\n\t" \
            "add.n %[out], %[out], %[step]\n" \
            "2:\n\t" \
            : [acc] "+&r"(acc), [out] "+&r"(out), [lower] "=&r"(lower) \
            : "r"(low), "r"(high), "r"(left), [factor] "r"(c->scaling.low), \
              [upper] "r"(c->scaling.high), [round] "r"(c->scaling.round), [step] "r"(c->step), \
              [shift] "r"(c->scaling.shift), [below] "r"(below) \
            : "a9", "a11", "memory"); \
    }

STORE(store_relu, "")
STORE(store_signed,
    "srai a11, a11, 31\n\t"
    "and a11, a11, %[below]\n\t"
    "sub a9, a9, a11\n\t")
/* clang-format on */

static void store(const int32_t *acc, uint32_t n, int8_t *out, const channel *c, uint32_t below) {
    (below == 0 ? store_relu : store_signed)(acc, n, out, c, below);
}

#else

/* n accumulators to outputs. */
static inline void store(const int32_t *acc, uint32_t n, int8_t *out, const channel *c,
                         uint32_t below) {
    const nano_scaling s = c->scaling;
    const int32_t low = c->low, high = c->high;
    const uint32_t step = c->step;
    for (const int32_t *const end = acc + n; acc != end; out += step) {
        int32_t q = nano_scaled_scalar(*acc++, &s, below);
        q = q < low ? low : q;
        q = q > high ? high : q;
        *out = (int8_t)(q >> s.shift);
    }
}

#endif

void nano_lines_store(const nano_lines_job *job) {
    channel c = {.scaling = nano_scaling_of(job->scale)};
    c.low = (int32_t)((uint32_t)job->store.min << c.scaling.shift);
    c.high = (int32_t)((uint32_t)job->store.max << c.scaling.shift);
    c.step = job->step;
    const int whole = job->line_step == job->outputs * job->step; /* lines are one long line */
    const uint32_t n = whole ? job->outputs * job->lines : job->outputs;
    const int32_t *acc = job->sums;
    int8_t *out = job->out;
    for (uint32_t lines = whole ? 1 : job->lines; lines > 0; lines--) {
        if (job->below == 0)
            store(acc, n, out, &c, 0);
        else
            store(acc, n, out, &c, job->below);
        acc += n;
        out += job->line_step;
    }
}
