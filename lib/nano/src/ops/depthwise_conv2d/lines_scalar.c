/* sum = bias + sum_{i,j} plane[i][j] * w[i][j] along lines, three at a time: what neighbours share
 * is loaded once, and so is a weight for all three. Then out = requantize(sum). */
#include "nano/ops.h"

#include "lines_scalar.h"

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
        const uint8_t *plane = job->plane;                                                         \
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

IN_ORDER void nano_lines_sums(const nano_lines_job *job) {
    SUMS(1);
}

IN_ORDER void nano_lines_sums_stride2(const nano_lines_job *job) {
    SUMS(2);
}

/* What the outputs of a channel have in common. */
typedef struct {
    nano_scaling scaling;
    int32_t low, high; /* clamp, 2^shift times as large */
    uint32_t step;     /* bytes from output to output */
} channel;

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
