/* average_pool.c's equation, eight channels at a time. */
#include "../../mve.h"
#include "pool.h"

#if NANO_MVE

/* sum / n, rounded, halves away from zero; factor: ceil(2^31 / (4 n)). pool.h has the reason. */
static inline nano_words mean(nano_words sum, int32_t factor) {
    const nano_words two = nano_add4(sum, sum);
    return nano_high4_all(nano_add4(nano_add4(two, two), nano_sign4(sum)), factor);
}

static void channels(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out) {
    const nano_pool_taps t = nano_pool_look(v);
    const uint32_t taps = t.rows * t.columns, n = taps > 0 ? taps : 1; /* 0: as pool.h */
    const int32_t factor = (int32_t)(((1u << 29) + n - 1) / n);
    uint32_t left = p->window.out_c;
    for (; left >= 8; left -= 8, in += 8, out += 8) {
        const int8_t *at = in;
        nano_words a = nano_fill4(0), b = a;
        for (uint32_t i = t.rows; i > 0; i--, at += t.next_row) {
            for (uint32_t j = t.columns; j > 0; j--, at += t.step) {
                a = nano_add4(a, nano_load4(at));
                b = nano_add4(b, nano_load4(at + 4));
                NANO_MADE_HERE(a);
                NANO_MADE_HERE(b);
            }
        }
        nano_store4(out, mean(a, factor));
        nano_store4(out + 4, mean(b, factor));
    }
    for (uint32_t few; left > 0; left -= few, in += few, out += few) {
        const int8_t *at = in;
        nano_words a = nano_fill4(0);
        few = left < 4 ? left : 4;
        for (uint32_t i = t.rows; i > 0; i--, at += t.next_row) {
            for (uint32_t j = t.columns; j > 0; j--, at += t.step) {
                a = nano_add4(a, nano_load4_few(at, few));
                NANO_MADE_HERE(a);
            }
        }
        nano_store4_few(out, mean(a, factor), few);
    }
}

void nano_average_pool_mve(const void *params, const nano_io *io) {
    const nano_pool_params *const p = (const nano_pool_params *)params;
    const nano_window *const w = &p->window;
    nano_pool(p, io, channels);
    if (p->min > -128 || p->max < 127)
        nano_clamp_mve((int8_t *)io->out, (uint32_t)w->out_h * w->out_w * w->out_c, p->min, p->max);
}

#endif
