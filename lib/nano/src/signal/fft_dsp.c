/* fft_dsp.c - fft.c with the DSP instructions of Armv7E-M: a complex number in a word, its real
 * part in the low half. */
#include "nano/signal/fft.h"

#include "../simd.h"
#include "fft_dsp.h"

#if NANO_SIMD

#define HALF 16383u /* 1/2 and 1/4 in Q15 */
#define QUARTER 8191u
#define ROUND (1 << 14)

static nano_halves load(const int16_t *z) {
    return nano_load_unaligned(z);
}

static void put(int16_t *z, nano_halves a) {
    nano_store_unaligned(z, a);
}

/* Both sums / 2^15, modulo 2^16. */
static nano_halves q15(int32_t re, int32_t im) {
    return nano_pack_lsl1(re >> 15, im);
}

static nano_halves scaled(nano_halves a, uint32_t factor) {
    return q15(nano_smlabb(a, factor, ROUND), nano_smlatb(a, factor, ROUND));
}

static nano_halves turned(nano_halves a, nano_halves turn) {
    return q15(nano_smlsd(a, turn, ROUND), nano_smladx(a, turn, ROUND));
}

static void pairs(const nano_fft *fft, int16_t *z) {
    const nano_halves turn = load(fft->twiddles);
    for (int16_t *const end = z + fft->size; z < end; z += 4) {
        const nano_halves a = scaled(load(z), HALF), b = turned(scaled(load(z + 2), HALF), turn);
        put(z, nano_sadd16(a, b));
        put(z + 2, nano_ssub16(a, b));
    }
}

static void fours(const nano_fft *fft, int16_t *data, uint32_t span) {
    const uint32_t leg = 2 * span, step = fft->size / (8 * span);
    for (uint32_t place = 0; place < span; place++) {
        const int16_t *const turn = fft->twiddles + 2 * place * step;
        const nano_halves one = load(turn), two = load(turn + 2 * place * step);
        const nano_halves three = load(turn + 4 * place * step);
        int16_t *const end = data + fft->size;
        for (int16_t *z = data + 2 * place; z < end; z += 4 * leg) {
            const nano_halves a = scaled(load(z), QUARTER);
            const nano_halves b = turned(scaled(load(z + leg), QUARTER), one);
            const nano_halves c = turned(scaled(load(z + 2 * leg), QUARTER), two);
            const nano_halves d = turned(scaled(load(z + 3 * leg), QUARTER), three);
            const nano_halves even = nano_sadd16(a, c), odd = nano_sadd16(b, d);
            const nano_halves rest = nano_ssub16(a, c), cross = nano_ssub16(b, d);
            put(z, nano_sadd16(even, odd));
            put(z + leg, nano_ssax(rest, cross));
            put(z + 2 * leg, nano_ssub16(even, odd));
            put(z + 3 * leg, nano_sasx(rest, cross));
        }
    }
}

/* Halves of 16 bits, whose sums fit 16. */
static void unpack(const nano_fft *fft, int16_t *data) {
    const uint32_t half = fft->size / 2u;
    const nano_halves first = scaled(load(data), HALF);
    put(data, (uint32_t)(nano_low(first) + nano_high(first)) & 0xFFFFu);
    put(data + 2 * half, (uint32_t)(nano_low(first) - nano_high(first)) & 0xFFFFu);
    for (uint32_t k = 1; k <= half / 2; k++) {
        int16_t *const low = data + 2 * k, *const high = data + 2 * (half - k);
        const nano_halves there = load(high);
        const nano_halves p = scaled(load(low), HALF);
        const nano_halves q = scaled(nano_pack_mixed(there, nano_ssub16(0, there)), HALF);
        const nano_halves even = nano_sadd16(p, q);
        const nano_halves odd = turned(nano_ssub16(p, q), load(fft->unpacking + 2 * (k - 1)));
        put(low, nano_shadd16(even, odd));
        put(high, nano_pack_mixed(nano_shsub16(even, odd), nano_shsub16(odd, even)));
    }
}

void nano_real_fft_dsp(const nano_fft *fft, int16_t *data) {
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
