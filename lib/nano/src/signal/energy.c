/* energy.c - see energy.h. */
#include "energy.h"

#define ROOM_BITS 29    /* of magnitudes before the FFT, less log2 of its size */
#define LN_2 1488522236 /* at 2^31 */

static int log2_of(uint32_t power) {
    return nano_bit_length(power) - 1;
}

static int32_t shifted(int32_t x, int left) {
    return left >= 0 ? x * (1 << left) : (x + (1 << (-1 - left))) >> -left;
}

int nano_block_fft(const nano_fft32 *fft, int32_t *data) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < fft->size; i++)
        bits |= (uint32_t)(data[i] < 0 ? -data[i] : data[i]);
    const int left = ROOM_BITS - log2_of(fft->size) - nano_bit_length(bits);
    for (uint32_t i = 0; i < fft->size; i++)
        data[i] = shifted(data[i], left);
    nano_real_fft32(fft, data);
    return left;
}

/* log2 x with 16 fractional bits, x > 0. */
static int32_t log2_q16(const uint16_t *logs, uint64_t x) {
    const uint32_t high = (uint32_t)(x >> 32), low = (uint32_t)x;
    const int exponent =
        high != 0 ? 31 + nano_bit_length(high) : nano_bit_length(low) - 1; /* 0..63 */
    uint32_t fraction; /* the 16 bits below the top one */
    if (exponent > 47)
        fraction = high >> (exponent - 48);
    else if (exponent > 16)
        fraction = nano_shift_down(x, exponent - 16);
    else
        fraction = low << (16 - exponent);
    fraction &= 0xFFFFu;
    const uint32_t segment = fraction >> 9;
    const int32_t slope = (int32_t)logs[segment + 1] - (int32_t)logs[segment];
    const int32_t bend = (slope * (int32_t)(fraction & 511u)) >> 16;
    return exponent * 65536 + (int32_t)fraction + (int32_t)logs[segment] + bend;
}

int32_t nano_log_energy(const uint16_t *logs, uint64_t energy, int scale, int32_t floor) {
    int32_t log2 = floor;
    if (energy != 0) {
        const int32_t found = log2_q16(logs, energy) - scale * 65536;
        log2 = found > log2 ? found : log2;
    }
    return nano_high_product(log2 * 256, LN_2);
}
