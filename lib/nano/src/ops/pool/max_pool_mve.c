/* max_pool.c's equation, up to 16 channels at a time. */
#include "../../mve.h"
#include "pool_dsp.h"

#if NANO_MVE

static inline nano_bytes best(const nano_view *v, const int8_t *in, nano_bytes low, uint32_t n) {
    const uint32_t columns = v->columns.end - v->columns.begin;
    const uint32_t rows = v->rows.end - v->rows.begin;
    /* Below 0 where a dilated window is wider than the image. */
    const int32_t next_row = (int32_t)(v->row_step - columns * v->step);
    for (uint32_t i = rows; i > 0; i--, in += next_row) {
        for (uint32_t j = columns; j > 0; j--, in += v->step)
            low = nano_max16(low, n < 16 ? nano_load_few(in, n) : nano_load16(in));
    }
    return low;
}

static void fours(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out,
                  uint32_t count) {
    const nano_bytes low = nano_fill16((int8_t)p->min), high = nano_fill16((int8_t)p->max);
    uint32_t n = 4 * count;
    for (; n >= 16; n -= 16, in += 16, out += 16)
        nano_store16(out, nano_min16(best(v, in, low, 16), high));
    if (n > 0)
        nano_store_few(out, nano_min16(best(v, in, low, n), high), n);
}

void nano_max_pool_mve(const void *params, const nano_io *io) {
    nano_pool_dsp((const nano_pool_params *)params, io, fours);
}

#endif
