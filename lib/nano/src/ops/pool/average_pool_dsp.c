/* average_pool.c's equation, four channels at a time: their sums are halves, which hold 256 taps.
 */
#include "pool_dsp.h"

#if NANO_SIMD

/* sum / count, rounded, halves away from zero, as a byte. */
static inline uint32_t mean(const nano_pool_params *p, int32_t sum, int32_t count) {
    const int32_t half = count / 2;
    const int32_t q = (sum > 0 ? sum + half : sum - half) / count;
    return (uint8_t)(q < p->min ? p->min : q > p->max ? p->max : q);
}

static void fours(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out,
                  uint32_t left) {
    const uint32_t columns = v->columns.end - v->columns.begin, step = v->step;
    const uint32_t rows = v->rows.end - v->rows.begin;
    /* Below 0 where a dilated window is wider than the image. */
    const int32_t next_row = (int32_t)(v->row_step - columns * step);
    const int32_t count = rows * columns > 0 ? (int32_t)(rows * columns) : 1; /* average_pool.c */
    for (; left > 0; left--, in += 4, out += 4) {
        const int8_t *at = in;
        nano_halves even = 0, odd = 0;
        for (uint32_t i = rows; i > 0; i--, at += next_row) {
            for (uint32_t j = columns; j > 0; j--, at += step) {
                const uint32_t bytes = nano_load_unaligned(at);
                even = nano_sxtab16(even, bytes);
                odd = nano_sxtab16_ror8(odd, bytes);
            }
        }
        const uint32_t low = mean(p, nano_low(even), count) | mean(p, nano_low(odd), count) << 8;
        const uint32_t high = mean(p, nano_high(even), count) | mean(p, nano_high(odd), count) << 8;
        nano_store_unaligned(out, low | high << 16);
    }
}

void nano_average_pool_dsp(const void *params, const nano_io *io) {
    nano_pool_dsp((const nano_pool_params *)params, io, fours);
}

#endif
