/* pool_dsp.h - what the pools of four channels at a time share (internal). */
#ifndef NANO_POOL_DSP_H
#define NANO_POOL_DSP_H

#include "../../requant_dsp.h"
#include "../../window.h"
#include "nano/ops.h"

#if NANO_SIMD

/* `count` times four channels of one output pixel, side by side. `in` is the window's first tap
 * inside the image, of the first channel. */
typedef void (*nano_pool_fours)(const nano_pool_params *params, const nano_view *view,
                                const int8_t *in, int8_t *out, uint32_t count);

/* The channels that are left behind the last whole four: channels do not touch each other, so the
 * last four are computed, and only those that are left are written. */
static inline void nano_pool_rest(const nano_pool_params *p, const nano_view *view,
                                  const int8_t *in, int8_t *out, nano_pool_fours fours) {
    const uint32_t channels = p->window.out_c, left = channels % 4;
    int8_t four[4];
    fours(p, view, in + channels - 4, four, 1);
    for (uint32_t i = 4 - left; i < 4; i++)
        out[channels - 4 + i] = four[i];
}

/* All pixels. The view of a window that lies inside the image whole is its neighbour's, moved on.
 */
static inline void nano_pool_dsp(const nano_pool_params *p, const nano_io *io,
                                 nano_pool_fours fours) {
    const nano_window *const w = &p->window;
    const uint32_t channels = w->out_c, step = (uint32_t)w->stride_w * channels;
    const uint32_t span = (w->kernel_w - 1u) * w->dilation_w + 1;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < w->out_h; y++) {
        const nano_taps rows = nano_clip_rows(w, y);
        nano_view view = nano_look(w, rows, y, 0);
        uint32_t column = 0; /* where the window begins, behind the padding's begin */
        for (uint32_t x = 0; x < w->out_w; x++, out += channels, column += w->stride_w) {
            if (x > 0 && column - w->stride_w >= w->pad_left &&
                column + span <= (uint32_t)w->pad_left + w->in_w)
                view.start += step;
            else
                view = nano_look(w, rows, y, x);
            const int8_t *const in = (const int8_t *)io->in[0] + view.start;
            fours(p, &view, in, out, channels / 4);
            if (channels % 4 != 0)
                nano_pool_rest(p, &view, in, out, fours);
        }
    }
}

#endif
#endif
