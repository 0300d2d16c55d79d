/* out[y,x,c] = clamp(max_{i,j} in[y*sh + i*dh - pt, x*sw + j*dw - pl, c], min, max)
 * over the taps inside the image; in, out: H, W, C int8. Four channels at a time keep theirs in
 * registers. */
#include "pool.h"

static inline int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static void four(const nano_pool_params *p, const nano_pool_taps *t, const int8_t *in,
                 int8_t *out) {
    int32_t a = p->min, b = a, c = a, d = a;
    for (uint32_t i = t->rows; i > 0; i--, in += t->next_row) {
        for (uint32_t j = t->columns; j > 0; j--, in += t->step) {
            a = larger(a, in[0]);
            b = larger(b, in[1]);
            c = larger(c, in[2]);
            d = larger(d, in[3]);
        }
    }
    out[0] = (int8_t)nano_pool_clamp(p, a);
    out[1] = (int8_t)nano_pool_clamp(p, b);
    out[2] = (int8_t)nano_pool_clamp(p, c);
    out[3] = (int8_t)nano_pool_clamp(p, d);
}

static void one(const nano_pool_params *p, const nano_pool_taps *t, const int8_t *in, int8_t *out) {
    int32_t a = p->min;
    for (uint32_t i = t->rows; i > 0; i--, in += t->next_row) {
        for (uint32_t j = t->columns; j > 0; j--, in += t->step)
            a = larger(a, *in);
    }
    *out = (int8_t)nano_pool_clamp(p, a);
}

static void channels(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out) {
    const nano_pool_taps t = nano_pool_look(v);
    uint32_t left = p->window.out_c;
    for (; left >= 4; left -= 4, in += 4, out += 4)
        four(p, &t, in, out);
    for (; left > 0; left--)
        one(p, &t, in++, out++);
}

void nano_max_pool(const void *params, const nano_io *io) {
    nano_pool((const nano_pool_params *)params, io, channels);
}
