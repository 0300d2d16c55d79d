/* fft.c - X[k] = sum x[n] exp(-2 pi i n k / size) / size, decimation in time.
 *
 * Pairs of samples are the real and imaginary parts of size / 2 complex points. Their transform
 * takes stages of radix 4, the innermost of radix 2 where there is an odd number of twos; each
 * divides its inputs by its radix, rounding, before it adds. The last step takes the two real
 * transforms apart. The twin in NumPy is nanotool/signal/fft.py. */
#include "nano/signal/fft.h"

#include <stddef.h>

#include "../simd.h"
#include "fft_dsp.h"

#define HALF 16383 /* 1/2 and 1/4 in Q15 */
#define QUARTER 8191

/* Places are the pairs' numbers with their digits, one a stage, reversed: add 1 at the front and
 * carry backwards. */
uint32_t nano_fft_next(const nano_fft *fft, uint32_t place) {
    uint32_t weight = fft->size / 8u;
    for (place += weight; weight != 0 && (place & 3u * weight) == 0; place += weight) {
        place -= 4 * weight;
        weight = weight == 2 ? 1 : weight / 4;
    }
    return place;
}

#if NANO_SIMD_NATIVE

void nano_real_fft(const nano_fft *fft, int16_t *data) {
    nano_real_fft_dsp(fft, data);
}

#else

typedef struct {
    int32_t re, im;
} complex;

static int32_t q15(int32_t x) {
    return (int16_t)((x + (1 << 14)) >> 15);
}

static int32_t wrapped(int32_t x) {
    return (int16_t)x;
}

static complex scaled(const int16_t *z, int32_t factor) {
    const complex result = {q15(z[0] * factor), q15(z[1] * factor)};
    return result;
}

static complex turned(complex a, const int16_t *turn) {
    const complex result = {q15(a.re * turn[0] - a.im * turn[1]),
                            q15(a.re * turn[1] + a.im * turn[0])};
    return result;
}

static complex sum(complex a, complex b) {
    const complex result = {wrapped(a.re + b.re), wrapped(a.im + b.im)};
    return result;
}

static complex difference(complex a, complex b) {
    const complex result = {wrapped(a.re - b.re), wrapped(a.im - b.im)};
    return result;
}

static void put(int16_t *z, complex a) {
    z[0] = (int16_t)a.re;
    z[1] = (int16_t)a.im;
}

/* Neighbours: what stage of radix 2 there is comes first, where only the first twiddle is met. */
static void pairs(const nano_fft *fft, int16_t *z) {
    for (int16_t *const end = z + fft->size; z < end; z += 4) {
        const complex a = scaled(z, HALF), b = turned(scaled(z + 2, HALF), fft->twiddles);
        put(z, sum(a, b));
        put(z + 2, difference(a, b));
    }
}

/* Butterflies of four legs, `span` points apart. */
static void fours(const nano_fft *fft, int16_t *data, uint32_t span) {
    const uint32_t leg = 2 * span, step = fft->size / (8 * span);
    for (uint32_t place = 0; place < span; place++) {
        const int16_t *const turn = fft->twiddles + 2 * place * step;
        const int16_t *const turn2 = turn + 2 * place * step, *const turn3 =
                                                                  turn2 + 2 * place * step;
        int16_t *const end = data + fft->size;
        for (int16_t *z = data + 2 * place; z < end; z += 4 * leg) {
            const complex a = scaled(z, QUARTER);
            const complex b = turned(scaled(z + leg, QUARTER), turn);
            const complex c = turned(scaled(z + 2 * leg, QUARTER), turn2);
            const complex d = turned(scaled(z + 3 * leg, QUARTER), turn3);
            const complex even = sum(a, c), odd = sum(b, d);
            const complex rest = difference(a, c), cross = difference(b, d);
            const complex back = {cross.im, -cross.re}; /* times -i */
            put(z, sum(even, odd));
            put(z + leg, sum(rest, back));
            put(z + 2 * leg, difference(even, odd));
            put(z + 3 * leg, difference(rest, back));
        }
    }
}

/* Z[k] of the pairs -> X[k] of the samples, k and half - k together. */
static void unpack(const nano_fft *fft, int16_t *data) {
    const uint32_t half = fft->size / 2u;
    const complex first = scaled(data, HALF);
    const complex lowest = {first.re + first.im, 0}, highest = {first.re - first.im, 0};
    put(data, lowest);
    put(data + 2 * half, highest);
    for (uint32_t k = 1; k <= half / 2; k++) {
        int16_t *const low = data + 2 * k, *const high = data + 2 * (half - k);
        const int16_t mirrored[2] = {high[0], (int16_t)-high[1]};
        const complex p = scaled(low, HALF), q = scaled(mirrored, HALF);
        const complex even = {p.re + q.re, p.im + q.im};
        const complex odd = turned(difference(p, q), fft->unpacking + 2 * (k - 1));
        const complex up = {(even.re + odd.re) >> 1, (even.im + odd.im) >> 1};
        const complex down = {(even.re - odd.re) >> 1, (odd.im - even.im) >> 1};
        put(low, up);
        put(high, down);
    }
}

void nano_real_fft(const nano_fft *fft, int16_t *data) {
    const uint32_t points = fft->size / 2u;
    uint32_t span = 1;
    while (points > 4 * span)
        span *= 4; /* 4 * span is points, or twice as many */
    const int odd = points != 4 * span;
    if (odd)
        pairs(fft, data);
    for (span = odd ? 2 : 1; span < points; span *= 4)
        fours(fft, data, span);
    unpack(fft, data);
}

#endif
