/* max_pool.c's equation, four channels at a time. */
#include "pool_dsp.h"

#if NANO_SIMD

/* The common window, two by two taps. */
static void fours_2x2(const nano_pool_taps *t, const int8_t *in, int8_t *out, uint32_t count,
                      uint32_t low) {
    const int8_t *right = in + t->step, *below = right + t->step + t->next_row;
    const int8_t *last = below + t->step;
    for (int8_t *const end = out + 4 * count; out != end; out += 4) {
        uint32_t best = nano_max8(nano_load_unaligned(in), low);
        best = nano_max8(best, nano_load_unaligned(right));
        best = nano_max8(best, nano_load_unaligned(below));
        nano_store_unaligned(out, nano_max8(best, nano_load_unaligned(last)));
        in += 4, right += 4, below += 4, last += 4;
    }
}

static void fours(const nano_pool_params *p, const nano_pool_taps *t, const int8_t *in, int8_t *out,
                  uint32_t count) {
    const uint32_t low = (uint8_t)p->min * 0x01010101u;
    if (t->rows == 2 && t->columns == 2) {
        fours_2x2(t, in, out, count, low);
        return;
    }
    const nano_pool_taps copy = *t; /* no store changes it */
    for (; count > 0; count--, in += 4, out += 4) {
        const int8_t *at = in;
        uint32_t best = low;
        for (uint32_t i = copy.rows; i > 0; i--, at += copy.next_row) {
            for (uint32_t j = copy.columns; j > 0; j--, at += copy.step)
                best = nano_max8(best, nano_load_unaligned(at));
        }
        nano_store_unaligned(out, best);
    }
}

static void channels(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out) {
    nano_pool_pixel(p, v, in, out, fours);
}

void nano_max_pool_dsp(const void *params, const nano_io *io) {
    const nano_pool_params *const p = (const nano_pool_params *)params;
    const nano_window *const w = &p->window;
    nano_pool(p, io, channels);
    if (p->max < 127)
        nano_clamp_dsp((int8_t *)io->out, (uint32_t)w->out_h * w->out_w * w->out_c, -128, p->max);
}

#endif
