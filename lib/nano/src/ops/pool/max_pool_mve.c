/* max_pool.c's equation, up to 16 channels at a time. */
#include "../../mve.h"
#include "pool.h"

#if NANO_MVE

static inline nano_bytes best(const nano_pool_taps *t, const int8_t *in, nano_bytes low,
                              uint32_t n) {
    for (uint32_t i = t->rows; i > 0; i--, in += t->next_row) {
        for (uint32_t j = t->columns; j > 0; j--, in += t->step)
            low = nano_max16(low, n < 16 ? nano_load_few(in, n) : nano_load16(in));
    }
    return low;
}

static void channels(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out) {
    const nano_bytes low = nano_fill16((int8_t)p->min), high = nano_fill16((int8_t)p->max);
    const nano_pool_taps t = nano_pool_look(v);
    uint32_t n = p->window.out_c;
    for (; n >= 16; n -= 16, in += 16, out += 16)
        nano_store16(out, nano_min16(best(&t, in, low, 16), high));
    if (n > 0)
        nano_store_few(out, nano_min16(best(&t, in, low, n), high), n);
}

void nano_max_pool_mve(const void *params, const nano_io *io) {
    nano_pool((const nano_pool_params *)params, io, channels);
}

#endif
