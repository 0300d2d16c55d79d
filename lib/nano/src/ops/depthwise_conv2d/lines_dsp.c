/* One channel's outputs from its plane, lines of any number of taps, four outputs at a time: they
 * share each word of weights, two taps of a line. */
#include "planes_dsp.h"

#if NANO_SIMD

#define OUTPUTS 4u /* at a time */
#define NOINLINE __attribute__((noinline))

/* The sums of four outputs side by side, their taps `step` bytes apart; `plane` is the first one's
 * first tap, in halves. */
static inline void sum(const nano_lines *l, const uint8_t *plane, uint32_t step, int32_t *sums) {
    const nano_halves *w = l->widened;
    const uint32_t row = 4 * l->words, next = l->pitch - row;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t i = l->kernel; i > 0; i--, plane += next) {
        for (const uint8_t *const end = plane + row; plane != end; plane += 4) {
            const nano_halves word = *w++;
            s0 = nano_smlad(word, nano_load_unaligned(plane), s0);
            s1 = nano_smlad(word, nano_load_unaligned(plane + step), s1);
            s2 = nano_smlad(word, nano_load_unaligned(plane + 2 * step), s2);
            s3 = nano_smlad(word, nano_load_unaligned(plane + 3 * step), s3);
        }
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

/* Functions of their own: the loops need all registers. */
NOINLINE static void sum_stride1(const nano_lines *l, const uint8_t *plane, int32_t *sums) {
    sum(l, plane, 2, sums);
}

NOINLINE static void sum_any(const nano_lines *l, const uint8_t *plane, int32_t *sums) {
    sum(l, plane, 2 * l->stride, sums);
}

static void widen(const nano_lines *l) {
    const int8_t *w = l->weights;
    for (uint32_t i = 0; i < l->kernel * l->words; i++, w += 2)
        l->widened[i] = nano_pack_low((uint32_t)w[0], (uint32_t)w[1]);
}

static inline void lines(const nano_lines *l,
                         int32_t (*requantize)(int32_t, const int32_t *, int32_t)) {
    const int32_t scale[2] = {l->scales[0], l->scales[1]}, offset = l->offset;
    const uint32_t outputs = l->pairs / (2 * l->stride) + l->odd, step = l->step;
    const uint8_t *line = (const uint8_t *)l->plane;
    int8_t *out = l->out;
    widen(l);
    for (uint32_t i = 0; i < l->lines; i++, line += (int32_t)l->pairs + l->next) {
        const uint8_t *plane = line;
        for (uint32_t left = outputs; left > 0; plane += 2 * OUTPUTS * l->stride) {
            int32_t sums[OUTPUTS];
            if (l->stride == 1)
                sum_stride1(l, plane, sums);
            else
                sum_any(l, plane, sums);
            for (uint32_t k = 0; k < OUTPUTS && left > 0; k++, left--, out += step)
                *out = (int8_t)requantize(sums[k], scale, offset);
        }
        out += l->out_next - (int32_t)(l->odd * step);
    }
}

void nano_lines_dsp(const nano_lines *l) {
    lines(l, nano_requantize_dsp);
}

void nano_lines_relu_dsp(const nano_lines *l) {
    lines(l, nano_requantize_relu_dsp);
}

#endif
