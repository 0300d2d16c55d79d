/* out[y,x,c] = clamp(round(sum_{i,j} in[y*sh + i*dh - pt, x*sw + j*dw - pl, c] / n), min, max)
 * over the n taps inside the image, halves away from zero; in, out: H, W, C int8. Four channels at
 * a time keep their sums in registers. */
#include "pool.h"

/* Once for all sums: a quarter of the kernel's code. */
#if defined(__GNUC__)
__attribute__((noinline))
#endif
static int8_t
store(const nano_pool_params *p, int32_t sum, const nano_pool_divisor *d) {
    return (int8_t)nano_pool_clamp(p, nano_pool_mean(sum, d));
}

static void four(const nano_pool_params *p, const nano_pool_taps *t, const nano_pool_divisor *by,
                 const int8_t *in, int8_t *out) {
    int32_t a = 0, b = 0, c = 0, d = 0;
    for (uint32_t i = t->rows; i > 0; i--, in += t->next_row) {
        for (uint32_t j = t->columns; j > 0; j--, in += t->step) {
            a += in[0];
            b += in[1];
            c += in[2];
            d += in[3];
        }
    }
    out[0] = store(p, a, by);
    out[1] = store(p, b, by);
    out[2] = store(p, c, by);
    out[3] = store(p, d, by);
}

static void one(const nano_pool_params *p, const nano_pool_taps *t, const nano_pool_divisor *by,
                const int8_t *in, int8_t *out) {
    int32_t sum = 0;
    for (uint32_t i = t->rows; i > 0; i--, in += t->next_row) {
        for (uint32_t j = t->columns; j > 0; j--, in += t->step)
            sum += *in;
    }
    *out = store(p, sum, by);
}

static void channels(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out) {
    const nano_pool_taps t = nano_pool_look(v);
    const nano_pool_divisor by = nano_pool_divide_by(&t);
    uint32_t left = p->window.out_c;
    for (; left >= 4; left -= 4, in += 4, out += 4)
        four(p, &t, &by, in, out);
    for (; left > 0; left--)
        one(p, &t, &by, in++, out++);
}

void nano_average_pool(const void *params, const nano_io *io) {
    nano_pool((const nano_pool_params *)params, io, channels);
}
