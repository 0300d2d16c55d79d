/* depthwise_conv2d.c's equation for an output of one pixel, as streamed models have it. Four
 * channels at a time, which lie side by side in the input as in the weights: nothing is put into
 * planes. */
#include "nano/ops.h"

#include "nano/requant.h"
#include "../../simd.h"

#if NANO_SIMD

/* sums[0..3] += the products of four channels over `count` taps, `step` and `channels` bytes apart.
 */
static inline void add_taps(const int8_t *in, uint32_t step, const int8_t *w, uint32_t channels,
                            uint32_t count, int32_t sums[4]) {
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (; count > 0; count--, in += step, w += channels) {
        const uint32_t xs = nano_load_word(in), ws = nano_load_word(w);
        const nano_halves x02 = nano_sxtb16(xs), x13 = nano_sxtb16_ror8(xs);
        const nano_halves w02 = nano_sxtb16(ws), w13 = nano_sxtb16_ror8(ws);
        a = nano_smlabb(x02, w02, a);
        b = nano_smlabb(x13, w13, b);
        c = nano_smlatt(x02, w02, c);
        d = nano_smlatt(x13, w13, d);
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

void nano_depthwise_conv2d_pixel_dsp(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_params *const p = (const nano_depthwise_conv2d_params *)params;
    const nano_window *const v = &p->window;
    const uint32_t channels = v->in_c, row = (uint32_t)v->kernel_w * channels;
    const uint32_t step = v->dilation_w * channels,
                   down = (uint32_t)v->dilation_h * v->in_w * channels;
    const int8_t *const in = (const int8_t *)io->in[0];
    int8_t *const out = (int8_t *)io->out;
    /* Taps that follow each other without a gap are one row. */
    const int joined = v->kernel_w == 1 || down == row;
    const uint32_t rows = joined ? 1 : v->kernel_h;
    const uint32_t taps = joined ? (uint32_t)v->kernel_h * v->kernel_w : v->kernel_w;
    const uint32_t apart = v->kernel_w == 1 ? down : step;
    for (uint32_t c = 0; c < channels; c += 4) {
        int32_t sums[4] = {p->bias[c], p->bias[c + 1], p->bias[c + 2], p->bias[c + 3]};
        for (uint32_t i = 0; i < rows; i++)
            add_taps(in + c + i * down, apart, p->weights + c + i * row, channels, taps, sums);
        for (uint32_t i = 0; i < 4; i++)
            out[c + i] = nano_requantize(sums[i], &p->requant, c + i);
    }
}

#endif
