/* fft32.c - X[k] = sum x[n] exp(-2 pi i n k / size), decimation in time, radix 2.
 *
 * Pairs of samples are the real and imaginary parts of size / 2 complex points; the last step takes
 * the two real transforms apart. The twin in NumPy is nanotool/signal/fft32.py. */
#include "nano/signal/fft32.h"

#include "nano/requant.h"

/* Places are the pairs' numbers with their bits reversed: add 1 at the front, carry backwards. */
uint32_t nano_fft32_next(const nano_fft32 *fft, uint32_t place) {
    uint32_t bit = fft->size / 4u;
    while ((place & bit) != 0) {
        place ^= bit;
        bit /= 2;
    }
    return place | bit;
}

static void butterflies(const nano_fft32 *fft, int32_t *data, uint32_t span) {
    int32_t *const end = data + fft->size;
    const uint32_t step = fft->size / (2 * span);
    for (uint32_t place = 0; place < span; place++) {
        const int32_t re = fft->turns[2 * place * step], im = fft->turns[2 * place * step + 1];
        for (int32_t *a = data + 2 * place; a < end; a += 4 * span) {
            int32_t *const b = a + 2 * span;
            const int32_t x = nano_high_product(b[0], re) - nano_high_product(b[1], im);
            const int32_t y = nano_high_product(b[0], im) + nano_high_product(b[1], re);
            b[0] = a[0] - x;
            b[1] = a[1] - y;
            a[0] += x;
            a[1] += y;
        }
    }
}

/* Z[k] of the pairs -> X[k] of the samples, k and half - k together. */
static void unpack(const nano_fft32 *fft, int32_t *data) {
    const uint32_t half = fft->size / 2u;
    const int32_t first = data[0], second = data[1];
    data[0] = first + second;
    data[1] = 0;
    data[2 * half] = first - second;
    data[2 * half + 1] = 0;
    for (uint32_t k = 1; k <= half / 2; k++) {
        int32_t *const low = data + 2 * k, *const high = data + 2 * (half - k);
        const int32_t re = fft->turns[2 * k], im = fft->turns[2 * k + 1];
        const int32_t even[2] = {(low[0] + high[0]) >> 1, (low[1] - high[1]) >> 1};
        const int32_t odd[2] = {(low[1] + high[1]) >> 1, (high[0] - low[0]) >> 1};
        const int32_t x = nano_high_product(odd[0], re) - nano_high_product(odd[1], im);
        const int32_t y = nano_high_product(odd[0], im) + nano_high_product(odd[1], re);
        low[0] = even[0] + x;
        low[1] = even[1] + y;
        high[0] = even[0] - x;
        high[1] = y - even[1];
    }
}

void nano_real_fft32(const nano_fft32 *fft, int32_t *data) {
    for (uint32_t span = 1; span < fft->size / 2u; span *= 2)
        butterflies(fft, data, span);
    unpack(fft, data);
}
