/* pool_dsp.h - pools of four channels at a time (internal). */
#ifndef NANO_POOL_DSP_H
#define NANO_POOL_DSP_H

#include "../../requant_dsp.h"
#include "pool.h"

#if NANO_SIMD

/* `count` times four channels of one output pixel, side by side. */
typedef void (*nano_pool_fours)(const nano_pool_params *params, const nano_pool_taps *taps,
                                const int8_t *in, int8_t *out, uint32_t count);

/* All channels of a pixel, at least four. Those that are left behind the last whole four: channels
 * do not touch each other, so the last four are computed, and only those that are left are written.
 */
static inline void nano_pool_pixel(const nano_pool_params *p, const nano_view *view,
                                   const int8_t *in, int8_t *out, nano_pool_fours fours) {
    const nano_pool_taps taps = nano_pool_look(view);
    const uint32_t channels = p->window.out_c, left = channels % 4;
    int8_t four[4];
    fours(p, &taps, in, out, channels / 4);
    if (left == 0)
        return;
    fours(p, &taps, in + channels - 4, four, 1);
    for (uint32_t i = 4 - left; i < 4; i++)
        out[channels - 4 + i] = four[i];
}

#endif
#endif
