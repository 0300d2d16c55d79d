/* out[y,x,o] = conv2d_int16.c's with as many groups as channels: pixel by pixel, four outputs at a
 * time, whose weights of one tap are a word that SXTB16 takes apart. */
#include "nano/ops.h"

#include "../../requant_int16_dsp.h"
#include "../../window.h"

#if NANO_SIMD

#define CHANNELS 4u

/* Gives loops the registers for themselves. */
#if defined(__GNUC__)
#define APART __attribute__((noinline))
#else
#define APART
#endif

/* Four channels side by side: in[at], in[at + 1], ... */
static APART void four(const nano_view *v, const int16_t *in, const int8_t *w, uint32_t kernel_w,
                       int32_t sums[CHANNELS]) {
    const uint32_t columns = v->columns.end - v->columns.begin;
    int32_t a = 0, b = 0, c = 0, d = 0;
    in += v->start;
    w += CHANNELS * (v->rows.begin * kernel_w + v->columns.begin);
#define TAP                                                                                        \
    do {                                                                                           \
        const uint32_t word = nano_load_word(w);                                                   \
        const nano_halves first = nano_load_unaligned(in), last = nano_load_unaligned(in + 2);     \
        const nano_halves w01 = nano_sxtb16(word), w23 = nano_sxtb16_ror8(word);                   \
        a = nano_smlabb(first, w01, a);                                                            \
        b = nano_smlatt(first, w01, b);                                                            \
        c = nano_smlabb(last, w23, c);                                                             \
        d = nano_smlatt(last, w23, d);                                                             \
        in += v->step, w += CHANNELS;                                                              \
    } while (0)
    for (uint32_t i = v->rows.end - v->rows.begin; i > 0; i--) {
        uint32_t k = columns;
        for (; k >= 3; k -= 3) {
            TAP;
            TAP;
            TAP;
        }
        for (; k > 0; k--)
            TAP;
        in += (int32_t)(v->row_step - columns * v->step), w += CHANNELS * (kernel_w - columns);
    }
#undef TAP
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

/* Four channels at places `at` of a pixel. */
static APART void spread(const nano_view *v, const int16_t *in, const int8_t *w, uint32_t kernel_w,
                         const uint32_t at[CHANNELS], int32_t sums[CHANNELS]) {
    int32_t a = 0, b = 0, c = 0, d = 0;
    in += v->start;
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++, in += v->row_step) {
        const int16_t *x = in;
        for (uint32_t j = v->columns.begin; j < v->columns.end; j++, x += v->step) {
            const uint32_t word = nano_load_word(w + CHANNELS * (i * kernel_w + j));
            const nano_halves w01 = nano_sxtb16(word), w23 = nano_sxtb16_ror8(word);
            a = nano_smlabb((nano_halves)x[at[0]], w01, a);
            b = nano_smlabt((nano_halves)x[at[1]], w01, b);
            c = nano_smlabb((nano_halves)x[at[2]], w23, c);
            d = nano_smlabt((nano_halves)x[at[3]], w23, d);
        }
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

/* All outputs of a pixel. */
static void pixel(const nano_depthwise_conv2d_int16_dsp_params *p, const nano_view *v,
                  const int16_t *in, int16_t *out) {
    const nano_window *const w = &p->window;
    const uint32_t taps = (uint32_t)w->kernel_h * w->kernel_w, outputs = w->out_c;
    const int8_t *weights = p->weights;
    const int32_t *scale = p->scales;
    for (uint32_t o = 0; o < outputs; o += CHANNELS, weights += CHANNELS * taps) {
        const uint32_t count = outputs - o < CHANNELS ? outputs - o : CHANNELS;
        int32_t sums[CHANNELS];
        if (p->multiplier == 1 && count == CHANNELS) {
            four(v, in + o, weights, w->kernel_w, sums);
        } else {
            uint32_t at[CHANNELS];
            for (uint32_t k = 0; k < CHANNELS; k++)
                at[k] = (o + (k < count ? k : 0)) / p->multiplier;
            spread(v, in, weights, w->kernel_w, at, sums);
        }
        for (uint32_t k = 0; k < count; k++, scale += 4) {
            const int64_t total = nano_add_scaled(nano_ready_int16(scale), sums[k], scale);
            *out++ = nano_finish_int16(total, scale, p->min, p->max);
        }
    }
}

void nano_depthwise_conv2d_int16_dsp(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_int16_dsp_params *const p =
        (const nano_depthwise_conv2d_int16_dsp_params *)params;
    const nano_window *const w = &p->window;
    const int16_t *const in = (const int16_t *)io->in[0];
    int16_t *out = (int16_t *)io->out;
    for (uint32_t y = 0; y < w->out_h; y++) {
        const nano_taps rows = nano_clip_rows(w, y);
        nano_view v = {{0, 0}, {0, 0}, 0, 0, 0};
        for (uint32_t x = 0; x < w->out_w; x++, out += w->out_c) {
            nano_look_next(w, rows, y, x, &v);
            pixel(p, &v, in, out);
        }
    }
}

#endif
