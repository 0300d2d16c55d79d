/* out[y,x,c] = clamp(max_{i,j} in[y*sh + i*dh - pt, x*sw + j*dw - pl, c], min, max)
 * over the taps inside the image; in, out: H, W, C int8. Four channels at a time keep theirs in
 * registers. */
#include "pool.h"

#if defined(__GNUC__)
#define INLINE __attribute__((always_inline)) static inline
#else
#define INLINE static inline
#endif

static inline int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

/* n of them; n is a constant. */
INLINE void some(const nano_pool_params *p, const nano_pool_taps *t, const int8_t *in, int8_t *out,
                 uint32_t n) {
    int32_t a = p->min, b = a, c = a, d = a;
    for (uint32_t i = t->rows; i > 0; i--, in += t->next_row) {
        for (uint32_t j = t->columns; j > 0; j--, in += t->step) {
            a = larger(a, in[0]);
            b = n > 1 ? larger(b, in[1]) : b;
            c = n > 2 ? larger(c, in[2]) : c;
            d = n > 3 ? larger(d, in[3]) : d;
        }
    }
    out[0] = (int8_t)nano_pool_clamp(p, a);
    if (n > 1)
        out[1] = (int8_t)nano_pool_clamp(p, b);
    if (n > 2)
        out[2] = (int8_t)nano_pool_clamp(p, c);
    if (n > 3)
        out[3] = (int8_t)nano_pool_clamp(p, d);
}

static void channels(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out) {
    const nano_pool_taps t = nano_pool_look(v);
    uint32_t left = p->window.out_c;
    for (; left >= 4; left -= 4, in += 4, out += 4)
        some(p, &t, in, out, 4);
    if (left == 3)
        some(p, &t, in, out, 3);
    else if (left == 2)
        some(p, &t, in, out, 2);
    else if (left == 1)
        some(p, &t, in, out, 1);
}

void nano_max_pool(const void *params, const nano_io *io) {
    nano_pool((const nano_pool_params *)params, io, channels);
}
