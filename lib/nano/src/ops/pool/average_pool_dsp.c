/* average_pool.c's equation, four channels at a time: their sums are halves, which hold 256 taps.
 */
#include "pool_dsp.h"

#if NANO_SIMD

/* A sum's mean as a byte. */
static inline uint32_t mean(const nano_pool_params *p, int32_t sum, const nano_pool_divisor *by) {
    return (uint8_t)nano_pool_clamp(p, nano_pool_mean(sum, by));
}

static void fours(const nano_pool_params *p, const nano_pool_taps *t, const int8_t *in, int8_t *out,
                  uint32_t left) {
    const nano_pool_divisor by = nano_pool_divide_by(t);
    const nano_pool_taps copy = *t; /* no store changes it */
    for (; left > 0; left--, in += 4, out += 4) {
        const int8_t *at = in;
        nano_halves even = 0, odd = 0;
        for (uint32_t i = copy.rows; i > 0; i--, at += copy.next_row) {
            for (uint32_t j = copy.columns; j > 0; j--, at += copy.step) {
                const uint32_t bytes = nano_load_unaligned(at);
                even = nano_sxtab16(even, bytes);
                odd = nano_sxtab16_ror8(odd, bytes);
            }
        }
        const uint32_t low = mean(p, nano_low(even), &by) | mean(p, nano_low(odd), &by) << 8;
        const uint32_t high = mean(p, nano_high(even), &by) | mean(p, nano_high(odd), &by) << 8;
        nano_store_unaligned(out, low | high << 16);
    }
}

static void channels(const nano_pool_params *p, const nano_view *v, const int8_t *in, int8_t *out) {
    nano_pool_pixel(p, v, in, out, fours);
}

void nano_average_pool_dsp(const void *params, const nano_io *io) {
    nano_pool((const nano_pool_params *)params, io, channels);
}

#endif
